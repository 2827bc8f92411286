// This tab keeps a copy of the draft, so that leaving the page by mistake, or a console that ends, loses nothing.

const KEY = "hpo-draft";

/** Keep what the wizard's form carries. */
export function keep(data) {
  sessionStorage.setItem(KEY, JSON.stringify({ draft: data.get("draft"), step: data.get("step") }));
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

/** The draft that was left and its step; null where there is none. */
export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}
