// Runs in the frame of the plots: draws what the page around it sends, and tells it how high that is.

const place = document.getElementById("figures");

function tell() {
  parent.postMessage({ height: Math.ceil(place.getBoundingClientRect().height) }, "*");
}

window.addEventListener("message", async (event) => {
  if (event.source !== parent || !Array.isArray(event.data?.figures)) return;
  const { figures, dark, quiet } = event.data;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  while (place.children.length > figures.length) {
    Plotly.purge(place.lastChild.lastChild);
    place.lastChild.remove();
  }
  // All places first: how wide each is depends on how many there are.
  while (place.children.length < figures.length) {
    const section = document.createElement("section");
    section.append(document.createElement("h3"), document.createElement("div"));
    place.append(section);
  }
  for (const [index, { title, figure }] of figures.entries()) {
    const [heading, canvas] = place.children[index].children;
    heading.textContent = title;
    const layout = themed(figure.layout, dark, canvas.clientWidth);
    if (quiet) delete layout.transition;
    await Plotly.react(canvas, figure.data, layout, { responsive: true, displaylogo: false });
  }
  tell();
});

/** A figure's layout in the colours of the page. */
function themed(layout, dark, width) {
  const [text, line] = dark ? ["#c9d1db", "#2a313b"] : ["#3a434e", "#dfe3e8"];
  const axes = Object.fromEntries(
    Object.keys(layout)
      .filter((name) => /^[xy]axis\d*$/.test(name))
      .map((name) => [name, { ...layout[name], gridcolor: line, zerolinecolor: line, linecolor: line }]),
  );
  // Times of day need room.
  if (axes.xaxis?.type === "date") axes.xaxis.nticks = Math.max(2, Math.floor(width / 120));
  return {
    ...layout,
    ...axes,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { ...layout.font, color: text },
    margin: { t: 40, r: 20, ...layout.margin },
    autosize: true,
    width: undefined,
  };
}

new ResizeObserver(tell).observe(place);
parent.postMessage({ ready: true }, "*");
