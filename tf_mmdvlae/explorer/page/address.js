// The address: the state as text, which "back" and links read again.

import { fromText, toText } from "./codes.js";

/** The text of a state. What is as it was at the start is left out, so that links stay short. */
export function write({ state, first }) {
  const fields = { view: state.view, z: toText(state.own) };
  const base = toText(state.base);
  const strengths = [...state.strengths].filter(([, strength]) => strength);
  const list = (codes) => codes.map((code) => (code ? toText(code) : "")).join(",");
  const isFirst = (codes, start) => codes.every((code, index) => code === first[start + index]);
  if (base !== fields.z) fields.base = base;
  if (strengths.length) fields.add = strengths.map(([i, s]) => `${i}:${+s.toFixed(3)}`).join(",");
  if (state.boxes.includes(false)) fields.layers = state.boxes.map(Number).join("");
  if (state.sumBoxes.includes(false)) fields.sum = state.sumBoxes.map(Number).join("");
  for (const name of ["wide", "all", "single"]) if (state[name]) fields[name] = 1;
  if (!isFirst(state.slots, 1)) fields.abc = list(state.slots);
  if (state.rows.length) fields.rows = list(state.rows.flat());
  if (state.stops.length !== 3 || !isFirst(state.stops, 4)) fields.walk = list(state.stops);
  fields.map = [state.map.layer, state.map.x, state.map.y].join(".");
  return Object.entries(fields).map(([name, value]) => `${name}=${value}`).join("&");
}

/** The state in a text; an Error if that is of another model. */
export function read(text, { about, dimensions, first, layers, views }) {
  const fields = new URLSearchParams(text);
  const code = (part) => fromText(part, dimensions);
  const list = (name) => (fields.get(name) || null)?.split(",") ?? [];
  const boxes = (name) => layers.map((_, index) => fields.get(name)?.[index] !== "0");
  const flags = (...names) => Object.fromEntries(names.map((name) => [name, fields.get(name) === "1"]));
  const own = fields.has("z") ? code(fields.get("z")) : first[0];
  const strengths = list("add").map((each) => each.split(":").map(Number)).filter(
    ([index, strength]) => about.attributes[index] && Number.isFinite(strength));
  const rows = list("rows").map(code);
  const top = layers.at(-1);
  const [layer, x, y] = (fields.get("map") ?? "").split(".").map(Number);
  const of = layers[layer - 1];
  const isMap = of && [x, y].every((dim) => Number.isInteger(dim) && dim >= 0 && dim < of.size);
  return {
    view: views.some((view) => view.name === fields.get("view")) ? fields.get("view") : "layers",
    own,
    base: fields.has("base") ? code(fields.get("base")) : own,
    strengths: new Map(strengths),
    boxes: boxes("layers"),
    sumBoxes: boxes("sum"),
    ...flags("wide", "all", "single"),
    slots: fields.has("abc") ? [0, 1, 2].map((i) => (list("abc")[i] ? code(list("abc")[i]) : null)) : first.slice(1, 4),
    // Each row is the codes of a, b, c and of what they gave.
    rows: Array.from({ length: Math.floor(rows.length / 4) }, (_, row) => rows.slice(4 * row, 4 * row + 4)),
    stops: fields.has("walk") ? list("walk").map(code) : first.slice(4, 7),
    map: isMap ? { layer, x, y } : { layer: top.number, x: 0, y: Math.min(1, top.size - 1) },
  };
}
