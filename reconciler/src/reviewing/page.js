"use strict";
const SIZE = 50;
const section = document.querySelector("#changes");
const tools = section.querySelector(".tools");
const all = Array.from(section.querySelectorAll("article"), (card) =>
  ({ card, text: card.textContent.toLowerCase() }));
const control = (name) => tools.querySelector(`[name=${name}]`);
const [search, level, missing, before, next] =
  ["search", "level", "missing", "before", "next"].map(control);
const said = tools.querySelector("output");
let shown = all;
let page = 0;
const show = (from, to) => {
  for (const { card } of all) card.hidden = true;
  for (const { card } of shown.slice(from, to)) card.hidden = false;
};
const draw = () => {
  const pages = Math.max(1, Math.ceil(shown.length / SIZE));
  page = Math.min(Math.max(page, 0), pages - 1);
  show(page * SIZE, (page + 1) * SIZE);
  before.disabled = page === 0;
  next.disabled = page === pages - 1;
  said.textContent = `${shown.length} of ${all.length}, page ${page + 1} of ${pages}`;
};
const filter = () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = all.filter(({ card, text }) =>
    words.every((word) => text.includes(word)) &&
    Number(card.dataset.level) >= Number(level.value) &&
    (!missing.checked || card.dataset.missing === "true"));
  page = 0;
  draw();
};
for (const one of [search, level, missing]) one.addEventListener("input", filter);
before.addEventListener("click", () => { page -= 1; draw(); });
next.addEventListener("click", () => { page += 1; draw(); });
// A link to a card leads there, whichever page it is on.
const target = () => {
  const at = shown.findIndex(({ card }) => `#${card.id}` === location.hash);
  if (at < 0) return;
  page = Math.floor(at / SIZE);
  draw();
  shown[at].card.scrollIntoView({ block: "start" });
  shown[at].card.focus();
};
addEventListener("hashchange", target);
// On paper everything that was chosen stands, unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  show(0, shown.length);
  folded = Array.from(section.querySelectorAll("details:not([open])"));
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
  draw();
});
for (const button of section.querySelectorAll(".copy")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, button, summary");
  const step = { j: 1, k: -1 }[event.key];
  if (event.key === "/" && !typing) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && event.target === search) {
    search.value = "";
    filter();
  } else if (step && !typing) {
    // From card to card.
    const open = all.map(({ card }) => card).filter((card) => !card.hidden);
    const at = open.indexOf(document.activeElement.closest?.("article"));
    const to = open[at < 0 ? 0 : Math.min(Math.max(at + step, 0), open.length - 1)];
    to?.focus();
    to?.scrollIntoView({ block: "start" });
  }
});
tools.hidden = false;
filter();
target();
