// The wizard with scripts: what is typed is checked at once, and a step takes the place of the one before it.

import { replace } from "./console.js";
import { forget, keep } from "./draft.js";

const form = document.getElementById("wizard");
const trouble = document.getElementById("trouble");
let turn = 0;
let typing = 0;
let changed = false;

const live = () => document.getElementById("live");

/** What the controls hold: the server's answer changes those that a person has not changed in the meantime. */
function held() {
  return new Map([...form.elements].filter((control) => control.name).map((control) => [control, stateOf(control)]));
}

const stateOf = (control) => (/^(checkbox|radio)$/.test(control.type) ? control.checked : control.value);

async function send(action, { settle = false } = {}) {
  const mine = ++turn;
  clearTimeout(typing);
  const body = new FormData(form);
  body.set("action", action);
  const before = held();
  let page;
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new URLSearchParams(body) });
    page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return;
    if (!answer.ok || !page.getElementById("wizard")) {
      throw new Error(page.querySelector("[data-error]")?.textContent ?? `the console answered ${answer.status}`);
    }
  } catch (error) {
    if (mine !== turn) return;
    const lost = error instanceof TypeError ? "the console does not answer; does `hpo console` still run?" : error.message;
    trouble.textContent = `Not checked: ${lost}`;
    trouble.hidden = false;
    return;
  }
  trouble.hidden = true;
  const step = live().dataset.step;
  replace(page);
  for (const control of form.elements) {
    if (!control.matches("input:not([type=hidden], [type=file]), select, textarea") || !control.name) continue;
    const kept = !settle && before.has(control) && (control === document.activeElement || stateOf(control) !== before.get(control));
    if (!kept) fill(control);
  }
  if (live().querySelector("[data-saved]")) saved();
  else keep(new FormData(form));
  if (settle) {
    if (live().dataset.step !== step) {
      scrollTo(0, 0);
      history.pushState({ step: live().dataset.step }, "");
    }
    lead();
  }
}

function saved() {
  changed = false;
  forget();
}

/** Give a control the value that the server has sent. */
function fill(control) {
  if (/^(checkbox|radio)$/.test(control.type)) control.checked = control.defaultChecked;
  else if (control.localName === "select") {
    const chosen = [...control.options].find((option) => option.hasAttribute("selected")) ?? control.options[0];
    if (chosen && control.value !== chosen.value) control.value = chosen.value;
  } else if (!control.hasAttribute("data-once") || !live().querySelector(".summary[data-focus]")) {
    if (control.value !== control.defaultValue) control.value = control.defaultValue;
  }
}

/** Lead the reader to what the server says. */
function lead() {
  const place = live().querySelector("[data-focus]");
  for (let around = place?.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  place?.focus({ preventScroll: live().querySelector("h1") === place });
}

form.addEventListener("input", (event) => {
  changed = true;
  if (event.target.closest("[data-add]") || event.target.matches("#builtin, #new-definition, #file")) return;
  clearTimeout(typing);
  const typed = event.target.matches("input:not([type=checkbox], [type=radio]), textarea");
  typing = setTimeout(() => send("stay"), typed ? 350 : 0);
});

form.addEventListener("submit", (event) => {
  const action = event.submitter?.value ?? "next";
  if (action === "download") {
    saved();
    return;
  }
  event.preventDefault();
  send(action, { settle: true });
});

form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.localName !== "input") return;
  // Enter beside a button means that button, and not the next step.
  const button = event.target.closest(".pair")?.querySelector("button[value^='add:'], button[value='write']");
  if (button) {
    event.preventDefault();
    button.click();
  }
});

// A link of the summary leads to a field, which may stand in a part that is closed.
form.addEventListener("click", (event) => {
  const link = event.target.closest(".summary a");
  if (!link) return;
  const target = document.getElementById(link.hash.slice(1));
  if (!target) return;
  event.preventDefault();
  for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
  const control = target.matches("input, select, textarea") ? target : target.closest("[tabindex]") ?? target;
  control.focus();
  control.scrollIntoView({ block: "center" });
});

window.addEventListener("popstate", (event) => {
  if (event.state?.step) send(`go:${event.state.step}`, { settle: true });
});
window.addEventListener("beforeunload", (event) => {
  if (changed) event.preventDefault();
});
history.replaceState({ step: live().dataset.step }, "");
lead();

/** Whether a control holds something else than the server has sent: it was quicker than this script, or kept. */
function ahead(control) {
  if (!control.name?.startsWith("v:")) return false;
  if (control.localName === "select") return [...control.options].some((one) => one.selected !== one.defaultSelected && one.value);
  return /^(checkbox|radio)$/.test(control.type) ? control.checked !== control.defaultChecked : control.value !== control.defaultValue;
}
if ([...form.elements].some(ahead)) send("stay");
