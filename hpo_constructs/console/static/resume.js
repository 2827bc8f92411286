// On the page of beginnings: offers the draft that was left.

import { kept } from "./draft.js";

const form = document.getElementById("resume");
const left = kept();

if (left) {
  form.elements.draft.value = left.draft;
  form.elements.step.value = left.step;
  form.hidden = false;
}
