// The plots of a tuning job. Plotly runs in a frame without an origin of its own; this page sends it the figures.

const box = document.getElementById("plots");
const dark = matchMedia("(prefers-color-scheme: dark)");
const quiet = matchMedia("(prefers-reduced-motion: reduce)");
let shown = "";
let ready = false;
let frame;

function say(text) {
  let line = box.querySelector("p");
  if (!line) {
    line = document.createElement("p");
    line.className = "quiet";
    box.prepend(line);
  }
  line.textContent = text;
  line.hidden = !text;
}

async function update({ force = false } = {}) {
  if (!ready) return;
  let answer;
  try {
    answer = await fetch(box.dataset.figures);
  } catch {
    return; // the page itself says that the console does not answer
  }
  const text = await answer.text();
  if (!answer.ok) {
    const page = new DOMParser().parseFromString(text, "text/html");
    say(page.querySelector("[data-error]")?.textContent ?? "The plots cannot be shown.");
    return;
  }
  if (text === shown && !force) return;
  shown = text;
  const { figures, missing } = JSON.parse(text);
  say(missing);
  frame.hidden = !figures.length;
  frame.contentWindow.postMessage({ figures, dark: dark.matches, quiet: quiet.matches }, "*");
}

function start() {
  frame = document.createElement("iframe");
  frame.title = "Plots of the tuning job";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = box.dataset.frame;
  window.addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow) return;
    if (event.data?.ready) {
      ready = true;
      update({ force: true });
    } else if (Number.isFinite(event.data?.height)) {
      frame.height = Math.min(Math.max(event.data.height, 100), 20000);
    }
  });
  box.replaceChildren(frame);
  say("The plots are being made …");
}

document.getElementById("live").addEventListener("refreshed", () => update());
dark.addEventListener("change", () => update({ force: true }));
start();
