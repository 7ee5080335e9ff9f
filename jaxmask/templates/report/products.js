// The table of products: sorted by a button in each heading, filtered above it; what was chosen outlives a reload.
(() => {
  "use strict";
  const table = document.getElementById("product-table");
  if (!table) return;
  const form = document.getElementById("product-filters");
  const [text, part, light, failed] = ["text", "part", "light", "failed"].map((name) => document.getElementById(`filter-${name}`));
  const scroll = document.getElementById("product-scroll");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((row, order) => ({
    row, order, words: row.textContent.toLowerCase(),
    values: headings.map((th, i) => {
      const value = row.cells[i].dataset.v ?? "";
      return "numeric" in th.dataset && value !== "" ? Number(value) : value;
    }),
  }));
  const collator = new Intl.Collator("en", { numeric: true });
  const KEY = `jaxmask-products ${location.pathname}`;
  const state = { key: "", down: false, text: "", part: "", light: "", failed: false, focus: "", left: 0, top: 0 };

  const save = () => { try { sessionStorage.setItem(KEY, JSON.stringify(state)); } catch { /* forgotten, then */ } };
  const restore = () => { try { Object.assign(state, JSON.parse(sessionStorage.getItem(KEY) ?? "{}")); } catch { /* none */ } };

  const compare = (column) => (a, b) => {
    const [x, y] = [a.values[column], b.values[column]];
    if (x === "" || y === "") return (x === "") - (y === "") || a.order - b.order; // what is missing is last, both ways
    const sign = typeof x === "number" ? x - y : collator.compare(x, y);
    return (state.down ? -sign : sign) || a.order - b.order;
  };
  const sort = () => {
    const column = headings.findIndex((th) => th.dataset.key && th.dataset.key === state.key);
    headings.forEach((th, i) => {
      if (i === column) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    if (column >= 0) rows.sort(compare(column));
    else rows.sort((a, b) => a.order - b.order);
    body.append(...rows.map(({ row }) => row));
  };
  const filter = () => {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, words: its } of rows) {
      const { part: p, light: l } = row.dataset;
      row.hidden = !(words.every((word) => its.includes(word)) && (!state.part || p === state.part)
        && (!state.light || l === state.light) && (!state.failed || "failed" in row.dataset));
      shown += !row.hidden;
    }
    document.getElementById("product-count").textContent = `${shown} of ${rows.length} products shown`;
  };

  for (const th of headings.filter(({ dataset }) => dataset.key)) {
    const button = document.createElement("button");
    button.type = "button";
    button.id = `sort-${th.dataset.key}`;
    button.append(...th.childNodes);
    button.addEventListener("click", () => {
      state.down = state.key === th.dataset.key ? !state.down : "numeric" in th.dataset;
      state.key = th.dataset.key;
      sort();
      save();
    });
    th.append(button);
  }
  const chosen = () => {
    Object.assign(state, { text: text.value, part: part.value, light: light.value, failed: failed.checked });
    filter();
    save();
  };
  form.addEventListener("input", chosen);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault(); // what the browser would put back may be older than the page
    Object.assign(text, { value: "" });
    part.value = light.value = "";
    failed.checked = false;
    chosen();
  });
  window.addEventListener("pagehide", () => {
    Object.assign(state, { focus: document.activeElement?.id ?? "", left: scroll.scrollLeft, top: scroll.scrollTop });
    save();
  });

  restore();
  text.value = state.text;
  [[part, state.part], [light, state.light]].forEach(([select, value]) => {
    select.value = [...select.options].some((option) => option.value === value) ? value : "";
  });
  failed.checked = state.failed;
  form.hidden = false;
  Object.assign(state, { part: part.value, light: light.value });
  if (state.key) sort();
  filter();
  scroll.scrollTo(state.left, state.top);
  if (state.focus && performance.getEntriesByType("navigation")[0]?.type === "reload") {
    document.getElementById(state.focus)?.focus({ preventScroll: true });
  }
})();
