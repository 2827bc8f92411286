// What every page does with scripts: it refreshes in place, filters as one types, and asks in a dialog.
// Without scripts the same links and forms load the page anew.

const live = () => document.getElementById("live");
const trouble = document.getElementById("trouble");
const announcer = document.getElementById("announcer");
const dialog = document.getElementById("dialog");
const LONGEST_PAUSE = 60;

document.documentElement.classList.add("scripted");

/** Make `from` like `to`, keeping the elements that stay, and with them focus, selection and scroll positions. */
function morph(from, to) {
  if (from.hasAttribute("data-keep")) return;
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(from.localName === "details" && name === "open")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.localName === "details" && name === "open") continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  // What a person is filling in stays as it is: a control's state is not its attributes any more.
  if (from.matches("input, textarea")) return;
  morphChildren(from, to);
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") || node.id : "") || null;
const alike = (one, other) =>
  one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = keyed.get(keyOf(wanted));
    if (known && known.nodeName === wanted.nodeName) {
      if (known === at) at = at.nextSibling;
      else from.insertBefore(known, at);
      morph(known, wanted);
    } else if (at && alike(at, wanted)) {
      const next = at.nextSibling;
      if (at.nodeType === Node.ELEMENT_NODE) morph(at, wanted);
      else if (at.data !== wanted.data) at.data = wanted.data;
      at = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function announce(text) {
  if (announcer.textContent !== text) announcer.textContent = text;
}

const spoken = (root) => root.querySelector("[data-announce]")?.textContent.replace(/\s+/g, " ").trim() ?? "";

/** Show a page's new state in place of the one that is shown. */
export function replace(page) {
  const next = page.getElementById("live");
  // Where the reader is led is for the page's own script.
  for (const control of next.querySelectorAll("[autofocus]")) control.removeAttribute("autofocus");
  const before = spoken(live());
  const focused = document.activeElement;
  const ends = [...live().querySelectorAll("[data-tail]")].filter(
    (log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 8,
  );
  morph(live(), next);
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  for (const log of ends) log.scrollTop = log.scrollHeight;
  const now = spoken(next);
  if (now !== before) announce(now);
  document.title = page.title;
  live().dispatchEvent(new CustomEvent("refreshed"));
}

let asked = 0;

/** Load an address and show its state; whether it was shown. A later call makes an earlier one's answer void. */
async function load(address, { refresh = false } = {}) {
  const turn = ++asked;
  let text;
  try {
    const answer = await fetch(address, { headers: refresh ? { "X-Refresh": "1" } : {}, redirect: "follow" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return false;
    if (answer.ok && page.getElementById("live")) {
      trouble.hidden = true;
      replace(page);
      return true;
    }
    text = page.querySelector("[data-error]")?.textContent ?? `the console answered ${answer.status}`;
  } catch {
    if (turn !== asked) return false;
    text = "the console does not answer; does `hpo console` still run?";
  }
  const message = `Not refreshed: ${text}`;
  if (trouble.hidden || trouble.textContent !== message) {
    trouble.textContent = message;
    trouble.hidden = false;
  }
  return false;
}

// Refreshing

let timer = 0;
let failures = 0;
let paused = false;

const seconds = () => Number(live()?.dataset.refresh ?? 0);

function pace() {
  const place = document.getElementById("pace");
  clearTimeout(timer);
  if (!live() || !seconds()) {
    place.replaceChildren();
    return;
  }
  if (!place.firstChild) {
    const button = document.createElement("button");
    button.className = "button small";
    button.type = "button";
    button.addEventListener("click", () => {
      paused = !paused;
      pace();
    });
    place.append(document.createElement("span"), button);
  }
  const [text, button] = place.children;
  text.textContent = paused ? "Refreshing is paused" : `Refreshes every ${seconds()} s`;
  button.textContent = paused ? "Go on" : "Pause";
  if (!paused) timer = setTimeout(refresh, Math.min(seconds() * 2 ** failures, LONGEST_PAUSE) * 1000);
}

async function refresh() {
  // Nobody looks, or somebody is answering a question.
  if (!document.hidden && !dialog.open) failures = (await load(location.href, { refresh: true })) ? 0 : failures + 1;
  pace();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused && seconds()) refresh();
});

// Links and filters that change what the page shows

async function visit(address) {
  if (await load(address)) {
    history.replaceState(null, "", address);
    pace();
    return true;
  }
  return false;
}

function filtersAddress(form) {
  const address = new URL(form.getAttribute("action"), location.href);
  const asked = new URLSearchParams(location.search);
  for (const [name, value] of new FormData(form)) {
    if (value) asked.set(name, value);
    else asked.delete(name);
  }
  for (const name of ["page", "note", "execution"]) asked.delete(name);
  address.search = asked;
  address.hash = "";
  return address.href;
}

let typing = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => visit(filtersAddress(form)), event.target.localName === "select" ? 0 : 300);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-auto]")) {
    event.preventDefault();
    clearTimeout(typing);
    visit(filtersAddress(event.target));
  }
});

document.addEventListener("click", async (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a");
  if (!link) return;
  if (link.matches("[data-swap]")) {
    event.preventDefault();
    const { hash } = new URL(link.href);
    if ((await visit(link.href)) && hash) document.getElementById(hash.slice(1))?.focus();
  } else if (link.matches("[data-dialog]")) {
    event.preventDefault();
    ask(link);
  } else if (link.matches("#dialog [data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

/** Show a page that asks a question as a dialog; the browser gives the focus back when it closes. */
async function ask(link) {
  let body;
  try {
    const answer = await fetch(link.href);
    body = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-dialog-body]");
  } catch {
    body = null;
  }
  if (!body) {
    // The page itself says what is wrong.
    location.assign(link.href);
    return;
  }
  dialog.replaceChildren(document.importNode(body, true));
  dialog.showModal();
  dialog.querySelector("[data-close]")?.focus();
}

// A form that changes something is sent once.
dialog.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) button.disabled = true;
});
window.addEventListener("pageshow", () => dialog.open && dialog.close());

for (const log of document.querySelectorAll("[data-tail]")) log.scrollTop = log.scrollHeight;
pace();
