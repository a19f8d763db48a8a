"use strict";
const SIZE = 200;
for (const section of document.querySelectorAll("section.data")) {
  const body = section.querySelector("tbody");
  const tools = section.querySelector(".tools");
  const all = Array.from(body.rows, (row, at) => ({ row, at, text: row.textContent.toLowerCase() }));
  const control = (name) => tools.querySelector(`[name=${name}]`);
  const [search, severity, condition, counts] =
    ["search", "severity", "condition", "counts"].map(control);
  const [before, after] = tools.querySelectorAll("button");
  const said = tools.querySelector("output");
  let order = all.slice();
  let shown = order;
  let page = 0;
  const show = (from, to) => {
    for (const { row } of all) row.hidden = true;
    for (const { row } of shown.slice(from, to)) row.hidden = false;
  };
  const draw = () => {
    const pages = Math.max(1, Math.ceil(shown.length / SIZE));
    page = Math.min(Math.max(page, 0), pages - 1);
    show(page * SIZE, (page + 1) * SIZE);
    before.disabled = page === 0;
    after.disabled = page === pages - 1;
    said.textContent = `${shown.length} of ${all.length}, page ${page + 1} of ${pages}`;
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = order.filter(({ row, text }) =>
      words.every((word) => text.includes(word)) &&
      (!severity || Number(row.dataset.severity) >= Number(severity.value)) &&
      (!condition || condition.value === "" || row.dataset.condition === condition.value) &&
      (!counts || !counts.checked || row.dataset.counts === "true"));
    page = 0;
    draw();
  };
  for (const one of tools.querySelectorAll("input, select")) one.addEventListener("input", filter);
  before.addEventListener("click", () => { page -= 1; draw(); });
  after.addEventListener("click", () => { page += 1; draw(); });
  const heads = Array.from(section.querySelectorAll("th"));
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const one of heads) one.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = ({ row }) => row.cells[column].dataset.key ?? row.cells[column].textContent;
      const keyed = all.map((one) => [key(one), one]);
      keyed.sort(([a, one], [b, other]) =>
        a.localeCompare(b, undefined, { numeric: true }) || one.at - other.at);
      if (down) keyed.reverse();
      order = keyed.map(([, one]) => one);
      body.append(...order.map(({ row }) => row));
      filter();
    });
  });
  // A link to a row leads there, whichever page it is on.
  const target = () => {
    const at = shown.findIndex(({ row }) => row.id && `#${row.id}` === location.hash);
    if (at < 0) return;
    page = Math.floor(at / SIZE);
    draw();
    shown[at].row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", target);
  // On paper everything that was chosen stands.
  addEventListener("beforeprint", () => show(0, shown.length));
  addEventListener("afterprint", draw);
  tools.hidden = false;
  filter();
  target();
}
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    document.querySelector("section.data input[type=search]")?.focus();
  } else if (event.key === "Escape" && typing?.type === "search") {
    typing.value = "";
    typing.dispatchEvent(new Event("input", { bubbles: true }));
  }
});
