// Layers: a column of sliders each, and the current picture with only that layer drawn anew.

import { along, between, moved, withLayer } from "./codes.js";
import { differences, paint } from "./pictures.js";
import { make, newest, percent, sliderRow, words } from "./tools.js";

const VARIANTS = 5, FIRST = 8;
// A layer decides much of a feature from so many times its usual share; the first of these are named.
const MARKED = 1.3, NAMED = 5;

export function layersView(app) {
  const hasMany = app.layers.some((layer) => layer.size > FIRST);
  const options = [
    ["wide", "wider sliders, from −6 to 6"],
    ...(hasMany ? [["all", `all sliders, not only the ${FIRST} that change most`],
      ["single", "single dimensions in place of main directions, which move many at once"]] : []),
  ].map(([name, text]) => {
    const input = make("input", { type: "checkbox" });
    input.addEventListener("change", () => { app.state[name] = input.checked; app.commit(); });
    return { input, name, label: make("label", {}, input, text) };
  });
  const columns = app.layers.map((layer) => column(app, layer)).reverse();

  // Variants of all layers come first: they say most. Then the ends of the sliders that are seen.
  const refresh = newest(async (code, overtaken) => {
    for (const each of columns) if (!await each.showVariants(code, overtaken)) return;
    for (const each of columns) if (!await each.showEnds(code, overtaken)) return;
  }, 150);

  return {
    name: "layers",
    title: "Layers",
    hint: "Click a picture to explore it.",
    take: (code) => app.adopt(code),
    children: [
      make("p", {
        textContent: "The model draws a picture from several layers of numbers, as if several people each " +
          "decided one part of it. What does each layer do? Its small pictures are yours with that layer alone " +
          "drawn anew: point at one to see it large, click to take it. The coloured one shows where it changes.",
      }),
      make("div", { className: "columns" }, ...columns.map((each) => each.element)),
      make("div", { className: "options" }, ...options.map((option) => option.label)),
    ],
    show() {
      for (const { input, name } of options) input.checked = app.state[name];
      const code = app.shown();
      columns.forEach((each) => each.show(code));
      refresh(code);
    },
  };
}

function column(app, layer) {
  let draws = Array.from({ length: VARIANTS }, () => app.draw());
  const heat = make("canvas", { role: "img", aria: { label: `Where layer ${layer.number} changes the picture` } });
  const share = make("p", { className: "quiet" });
  const tiles = draws.map((_, index) => {
    const tile = make("button", {
      className: "tile", title: "Take this picture",
      aria: { label: `Layer ${layer.number}, variant ${index + 1}: take it` },
    }, make("canvas"));
    tile.addEventListener("click", () => take(draws[index]));
    const preview = () => app.paintPicture(withLayer(app.shown(), layer, draws[index]));
    const end = () => app.paintPicture(app.shown());
    for (const [event, task] of Object.entries({ pointerenter: preview, focus: preview, pointerleave: end, blur: end }))
      tile.addEventListener(event, task);
    return tile;
  });
  const rows = [...layer.dimensions, ...layer.directions].map((axis) => slider(app, axis));
  const sliders = make("div", { className: "rows" }, ...rows.map((row) => row.element));
  const play = make("button", { textContent: "▶ Watch", className: "primary", title: "Let this layer alone wander" });
  play.addEventListener("click", () => {
    if (play.textContent !== "▶ Watch") return app.stop();
    const begin = app.shown();
    const stops = [begin, ...draws.map((draw) => withLayer(begin, layer, draw)), begin];
    app.play((seconds) => {
      const place = seconds / 1.2, from = Math.floor(place);
      return from < stops.length - 1 && between(stops[from], stops[from + 1], place - from);
    }, () => { play.textContent = "▶ Watch"; });
    play.textContent = "■ Stop";
  });
  const anew = make("button", { textContent: "Draw anew", aria: { label: `Draw layer ${layer.number} anew` } });
  anew.addEventListener("click", () => {
    take(app.draw());
    draws = draws.map(() => app.draw());
  });

  function take(draw) {
    app.place(withLayer(app.shown(), layer, draw));
    app.commit();
  }

  return {
    element: make("section", { className: "column", aria: { label: `Layer ${layer.number}` } },
      make("h2", { textContent: `Layer ${layer.number}${place(app, layer)}` }),
      make("div", {}, share, make("p", { className: "quiet", textContent: part(app, layer) })),
      make("div", { className: "variants" },
        ...tiles,
        make("figure", { title: "Where this layer changes the picture" }, heat,
          make("figcaption", { textContent: "where" }))),
      make("div", { className: "buttons" }, play, anew),
      sliders),
    show(code) {
      const axes = app.axes(layer), seen = new Set(app.state.all ? axes : axes.slice(0, FIRST));
      for (const row of rows) {
        row.element.hidden = !seen.has(row.axis);
        if (!row.element.hidden) row.show(code);
      }
    },
    async showVariants(code, overtaken) {
      const pictures = await app.decode([code, ...draws.map((draw) => withLayer(code, layer, draw))], overtaken);
      if (!pictures) return false;
      tiles.forEach((tile, index) => paint(tile.firstChild, pictures[index + 1]));
      const { picture, mean } = differences(pictures[0], pictures.slice(1));
      paint(heat, picture);
      share.textContent = `Changes the picture by ${percent(mean)}.`;
      return true;
    },
    async showEnds(code, overtaken) {
      const most = app.state.wide ? 6 : 3;
      const seen = rows.filter((row) => !row.element.hidden);
      const pictures = await app.decode(seen.flatMap((row) =>
        [-most, most].map((value) => moved(code, row.axis, value))), overtaken);
      if (!pictures) return false;
      seen.forEach((row, index) => row.ends.forEach((end, side) => paint(end, pictures[2 * index + side])));
      return true;
    },
  };
}

function slider(app, axis) {
  const row = sliderRow({
    name: axis.name,
    spoken: `Layer ${axis.layer.number}, ${axis.name}`,
    oninput(value) {
      app.place(moved(app.shown(), axis, value));
      app.show();
    },
    onchange: () => app.commit(),
    onreset() {
      app.place(moved(app.shown(), axis, along(app.state.base, axis)));
      app.commit();
    },
  });
  return { ...row, axis, show: (code) => row.show(along(code, axis), app.state.wide ? 6 : 3) };
}

function place(app, layer) {
  if (app.layers.length === 1) return "";
  if (layer.number === 1) return ", the lowest";
  return layer.number === app.layers.length ? ", the highest" : "";
}

/** The named features of whose changes this layer has a larger share than of others'. */
function part(app, layer) {
  const { attributes } = app.about, mine = (each) => each.shares[layer.number - 1];
  const label = (each) => each.name.split("=")[0], best = new Map();
  // A model that knows one label alone has nothing to compare it with.
  const usual = new Set(attributes.map(label)).size < 3 ? 1 / app.layers.length
    : attributes.reduce((sum, each) => sum + mine(each), 0) / attributes.length;
  for (const each of attributes) {
    const lift = mine(each) / usual;
    if (lift > MARKED && !(best.get(label(each)) > lift)) best.set(label(each), lift);
  }
  const names = [...best].sort((a, b) => b[1] - a[1]).map(([name]) => (name === "label" ? "the class" : words(name)));
  return names.length ? `Decides much of: ${names.slice(0, NAMED).join(", ")}.` : "";
}
