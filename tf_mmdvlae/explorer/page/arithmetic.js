// Arithmetic: a - b + c, computed in the codes; rows are collected below.

import { arithmetic } from "./codes.js";
import { paint, savePng, sheet } from "./pictures.js";
import { layerBoxes, make, newest } from "./tools.js";

const NAMES = ["a", "b, which is taken away", "c, which is added"];

export function arithmeticView(app) {
  let selected = 0;
  const boxes = layerBoxes(app.layers, () => app.state.sumBoxes, (index, isTicked) => {
    app.state.sumBoxes = app.state.sumBoxes.with(index, isTicked);
    app.commit();
  });
  const slots = NAMES.map((name, index) => {
    const slot = make("button", { className: "tile" }, make("canvas", { width: 8, height: 8 }),
      ["a", "− b", "+ c"][index]);
    slot.setAttribute("aria-label", `Place ${name}: choose it, then a picture of the gallery`);
    slot.addEventListener("click", () => { selected = index; app.show(); });
    slot.addEventListener("dragover", (event) => { if (app.dragged) event.preventDefault(); });
    slot.addEventListener("drop", (event) => {
      if (!app.dragged) return;
      event.preventDefault();
      put(index, app.dragged);
    });
    return slot;
  });
  const result = make("canvas", { role: "img", aria: { label: "The result of a minus b plus c" } });
  const keep = make("button", { className: "primary", textContent: "Keep this row" });
  const look = make("button", { textContent: "Explore the result" });
  const clear = make("button", { textContent: "Clear rows" });
  const save = make("button", { textContent: "Save rows (PNG)" });
  const list = make("div", { className: "rows" });
  let shownRows = [];

  function put(index, code) {
    app.state.slots = app.state.slots.with(index, code);
    selected = (index + 1) % 3;
    app.commit();
  }

  const sum = () => app.state.slots.every(Boolean) &&
    arithmetic(...app.state.slots, app.layers, app.state.sumBoxes);

  const refresh = newest(async () => {
    const filled = app.state.slots.map((code, index) => [code, slots[index].firstChild]).filter(([code]) => code);
    const code = sum();
    const pictures = await app.decode([...filled.map(([each]) => each), ...(code ? [code] : [])]);
    if (!pictures) return;
    filled.forEach(([, canvas], index) => paint(canvas, pictures[index]));
    if (!code) return;
    paint(result, pictures[3]);
  });

  const refreshRows = newest(async (rows, overtaken) => {
    const pictures = await app.decode(rows.flat(), overtaken);
    if (!pictures) return;
    shownRows = rows.map((_, row) => pictures.slice(4 * row, 4 * row + 4));
    list.replaceChildren(...shownRows.map((row) => make("div", { className: "sum" },
      ...row.flatMap((picture, index) =>
        [...(index ? [["−", "+", "="][index - 1]] : []), paint(make("canvas"), picture)]))));
    clear.disabled = save.disabled = !rows.length;
  });
  function setRows(rows) {
    app.state.rows = rows;
    app.commit();
  }

  keep.addEventListener("click", () => { if (sum()) setRows([...app.state.rows, [...app.state.slots, sum()]]); });
  clear.addEventListener("click", () => setRows([]));
  save.addEventListener("click", () => savePng(sheet(shownRows), "arithmetic.png"));
  look.addEventListener("click", () => {
    const code = sum();
    if (!code) return;
    app.state.view = "layers";
    app.adopt(code);
  });
  return {
    name: "arithmetic",
    title: "Arithmetic",
    hint: "Click a picture, or drag it, to put it into a − b + c.",
    take: (code) => put(selected, code),
    children: [
      make("p", {
        textContent: "What c has and b has not is added to a, and the reverse is taken away. If, for " +
          "example, c wears glasses and b does not, a puts glasses on. Choose one of the three places, then a " +
          "picture of the gallery.",
      }),
      make("div", { className: "options" }, boxes.element),
      make("div", { className: "card" },
        make("div", { className: "sum" }, slots[0], "−", slots[1], "+", slots[2], "=",
          make("figure", {}, result, make("figcaption", { textContent: "a − b + c" })))),
      make("div", { className: "buttons" }, keep, look, save, clear),
      list,
    ],
    show() {
      boxes.show();
      slots.forEach((slot, index) => slot.setAttribute("aria-pressed", index === selected));
      refresh();
      refreshRows(app.state.rows);
    },
  };
}
