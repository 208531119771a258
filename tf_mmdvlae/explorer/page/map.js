// Map: two dimensions of a layer over a grid of 9 x 9, all else as it is.

import { along, moved } from "./codes.js";
import { paint, savePng, sheet } from "./pictures.js";
import { make, newest } from "./tools.js";

const SIDE = 9;
const VALUES = Array.from({ length: SIDE }, (_, index) => -3 + (6 * index) / (SIDE - 1));

export function mapView(app) {
  const [layer, x, y] = ["Layer", "from left to right", "from bottom to top"].map((text) => {
    const select = make("select", {});
    return { select, label: make("label", {}, text, select) };
  });
  layer.select.append(...app.layers.map((each) => make("option", { value: each.number, textContent: each.number })).reverse());
  layer.select.addEventListener("change", () => {
    const number = +layer.select.value;
    app.state.map = { layer: number, x: 0, y: Math.min(1, app.layers[number - 1].size - 1) };
    app.commit();
  });
  for (const [name, { select }] of [["x", x], ["y", y]])
    select.addEventListener("change", () => { app.state.map = { ...app.state.map, [name]: +select.value }; app.commit(); });

  const tiles = Array.from({ length: SIDE * SIDE }, (_, place) => {
    const tile = make("button", { className: "tile" }, make("canvas", { width: 8, height: 8 }));
    tile.addEventListener("click", () => {
      app.place(spot(place).reduce((code, [axis, value]) => moved(code, axis, value), app.shown()));
      app.commit();
    });
    return tile;
  });
  const grid = make("div", { className: "map", role: "group", aria: { label: "Map: choose a place with the arrow keys" } }, ...tiles);
  grid.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: SIDE, ArrowUp: -SIDE }[event.key];
    const next = tiles[tiles.indexOf(document.activeElement) + by];
    if (!by || !next) return;
    event.preventDefault();
    next.focus();
  });

  const save = make("button", { textContent: "Save map (PNG)" });
  save.addEventListener("click", () => savePng(sheet(VALUES.map((_, row) => pictures.slice(SIDE * row, SIDE * row + SIDE))), "map.png"));
  let pictures = [];

  /** [[axis, value], ...] of a tile; they are laid out like a plot. */
  function spot(place) {
    const { map } = app.state, axes = app.axes(app.layers[map.layer - 1]);
    return [
      [axes[map.y], VALUES[SIDE - 1 - Math.floor(place / SIDE)]],
      [axes[map.x], VALUES[place % SIDE]],
    ];
  }

  const refresh = newest(async (code, overtaken) => {
    const spots = tiles.map((_, place) => spot(place));
    const near = spots.map((values) => values.reduce((sum, [axis, value]) => sum + (along(code, axis) - value) ** 2, 0));
    const here = near.indexOf(Math.min(...near));
    tiles.forEach((tile, place) => {
      const [[, up], [, right]] = spots[place];
      tile.classList.toggle("here", place === here);
      tile.tabIndex = place === here ? 0 : -1;
      tile.setAttribute("aria-label", `${right} to the right, ${up} up${place === here ? ", here" : ""}`);
    });
    const found = await app.decode(spots.map((values) =>
      values.reduce((moving, [axis, value]) => moved(moving, axis, value), code)), overtaken);
    if (!found) return;
    pictures = found;
    pictures.forEach((picture, place) => paint(tiles[place].firstChild, picture));
  });

  return {
    name: "map",
    title: "Map",
    hint: "Click a picture to lay the map around it.",
    take: (code) => app.adopt(code),
    children: [
      make("p", { textContent: "Two numbers of a layer, from −3 to 3, over a map; all others stay as they are. Click a place to go there." }),
      make("div", { className: "options" }, layer.label, x.label, y.label, save),
      grid,
    ],
    show() {
      const { map } = app.state, of = app.layers[map.layer - 1];
      layer.select.value = map.layer;
      for (const [name, { select }] of [["x", x], ["y", y]]) {
        select.replaceChildren(...app.axes(of).map((axis, index) =>
          make("option", { value: index, textContent: axis.name })));
        select.value = map[name];
      }
      refresh(app.shown());
    },
  };
}
