"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);

  // Figures: drawn when they come near the screen, in the page's colours, and again for paper.
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const drawn = new Set();

  function colours(layout) {
    const text = colour("text"), ground = colour("ground"), grid = colour("grid"), line = colour("line");
    const update = {
      "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font.color": text,
      "hoverlabel.bgcolor": ground, "hoverlabel.bordercolor": line, "hoverlabel.font.color": text,
      "modebar.color": colour("muted"), "modebar.activecolor": text, "modebar.bgcolor": "rgba(0,0,0,0)",
    };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) {
        Object.assign(update, {
          [`${key}.gridcolor`]: grid, [`${key}.linecolor`]: line, [`${key}.zerolinecolor`]: grid,
          [`${key}.tickcolor`]: line,
        });
      }
    }
    (layout.annotations || []).forEach((_, index) => {
      update[`annotations[${index}].bgcolor`] = ground;
      update[`annotations[${index}].font.color`] = text;
    });
    return update;
  }

  function size(plot) {
    const width = Math.floor(plot.clientWidth);
    // Times are long texts.
    return plot.layout.xaxis.type === "date" ? { width, "xaxis.nticks": Math.max(2, Math.floor(width / 130)) } : { width };
  }

  const again = (plot) => Plotly.relayout(plot, { ...colours(plot.layout), ...size(plot) });

  function draw(plot) {
    if (drawn.has(plot)) return;
    drawn.add(plot);
    const { data, layout } = figures[plot.id];
    const own = { width: Math.floor(plot.clientWidth), font: { size: 12, family: getComputedStyle(document.body).fontFamily } };
    const config = { displaylogo: false, responsive: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    Plotly.newPlot(plot, data, { ...layout, ...own }, config);
    again(plot);
  }

  const plots = [...document.querySelectorAll(".plot")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        near.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  plots.forEach((plot) => near.observe(plot));

  const fit = () => drawn.forEach((plot) => {
    if (plot.clientWidth && Math.floor(plot.clientWidth) !== plot.layout.width) Plotly.relayout(plot, size(plot));
  });
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(fit, 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(again));

  addEventListener("beforeprint", () => {
    root.dataset.printing = "";
    plots.forEach(draw);
    drawn.forEach(again);
  });
  addEventListener("afterprint", () => {
    delete root.dataset.printing;
    drawn.forEach(again);
  });
})();
