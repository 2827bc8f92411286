"use strict";
(() => {
  // The table of training jobs.
  const table = document.getElementById("jobs");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, index) => ({ row, index, text: row.textContent.toLowerCase() }));
  const heads = [...table.tHead.rows[0].cells];
  const controls = document.querySelector(".controls");
  controls.hidden = false;

  function value(row, column, kind) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (text === "") return null;
    return kind === "number" ? Number(text) : text;
  }

  const words = new Intl.Collator(undefined, { numeric: true });
  function sort(column) {
    const head = heads[column], kind = head.dataset.kind;
    const descending = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const keyed = rows.map((entry) => ({ entry, key: value(entry.row, column, kind) }));
    keyed.sort((a, b) => {
      // What has no value stands last either way; equals keep the order of creation.
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.entry.index - b.entry.index;
      const order = kind === "number" ? a.key - b.key : words.compare(a.key, b.key);
      return (descending ? -order : order) || a.entry.index - b.entry.index;
    });
    body.append(...keyed.map(({ entry }) => entry.row));
  }
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));

  function filter() {
    const chosen = Object.fromEntries(new FormData(controls));
    const wanted = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      const fits = (!chosen.status || row.dataset.status === chosen.status)
        && (!chosen.definition || row.dataset.definition === chosen.definition)
        && wanted.every((word) => text.includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    // Columns of other definitions' hyperparameters are empty then.
    heads.forEach((head, column) => {
      if (head.dataset.of === undefined) return;
      const away = Boolean(chosen.definition) && !JSON.parse(head.dataset.of).includes(chosen.definition);
      if (head.hidden !== away) [head, ...rows.map(({ row }) => row.cells[column])].forEach((cell) => { cell.hidden = away; });
    });
    controls.querySelector("output").value = `${shown} of ${rows.length} training jobs`;
  }
  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(filter));
  filter();

  // A link to a training job shows it, whatever is filtered.
  addEventListener("hashchange", () => {
    const row = document.getElementById(location.hash.slice(1));
    if (row && row.hidden) {
      controls.reset();
      setTimeout(() => row.scrollIntoView({ block: "center" }));
    }
  });
})();
