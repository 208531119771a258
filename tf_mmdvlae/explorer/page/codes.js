// Arithmetic on codes: Float32Array [D], all layers side by side, lowest first.

/** [{number, start, size}] of layers, lowest first. */
export function layersOf(dims) {
  let start = 0;
  return dims.map((size, index) => {
    const layer = { number: index + 1, start, size };
    start += size;
    return layer;
  });
}

/** code + sum of weight * (plus - minus), in the layers whose box is ticked. */
export function arithmetic(a, minus, plus, layers, boxes) {
  return inLayers(a, layers, boxes, (dim) => a[dim] + plus[dim] - minus[dim]);
}

/** The sum of strength * vector over attributes, in the layers whose box is ticked. */
export function offset(strengths, attributes, layers, boxes) {
  const sum = new Float32Array(layers.at(-1).start + layers.at(-1).size);
  for (const [index, strength] of strengths) {
    const { vector } = attributes[index];
    for (const layer of layers.filter((_, number) => boxes[number]))
      for (let dim = layer.start; dim < layer.start + layer.size; dim++)
        sum[dim] += strength * vector[dim];
  }
  return sum;
}

export const plus = (a, b) => a.map((value, dim) => value + b[dim]);

/** (1 - t) * a + t * b. */
export const between = (a, b, t) => a.map((value, dim) => (1 - t) * value + t * b[dim]);

export const minus = (a, b) => a.map((value, dim) => value - b[dim]);

/** How far a code lies along an axis: {layer, vector}, of length 1. */
export function along(code, { layer, vector }) {
  return vector.reduce((sum, value, dim) => sum + value * code[layer.start + dim], 0);
}

/** A copy that lies at `value` along an axis. */
export function moved(code, axis, value) {
  const copy = code.slice(), by = value - along(code, axis);
  axis.vector.forEach((share, dim) => { copy[axis.layer.start + dim] += by * share; });
  return copy;
}

/** A copy whose one layer is that of another code. */
export function withLayer(code, layer, other) {
  const copy = code.slice();
  copy.set(other.subarray(layer.start, layer.start + layer.size), layer.start);
  return copy;
}

function inLayers(code, layers, boxes, value) {
  const copy = code.slice();
  for (const layer of layers.filter((_, number) => boxes[number]))
    for (let dim = layer.start; dim < layer.start + layer.size; dim++) copy[dim] = value(dim);
  return copy;
}

// In an address a number takes two bytes, in steps of 1/2048 from -16 to 16.
const SCALE = 2048;

export function toText(code) {
  const bytes = new Uint8Array(2 * code.length);
  const view = new DataView(bytes.buffer);
  code.forEach((value, dim) =>
    view.setInt16(2 * dim, Math.max(-32767, Math.min(32767, Math.round(value * SCALE)))));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** The code in a text; an Error if it is of another model. */
export function fromText(text, dimensions) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  } catch {
    bytes = [];
  }
  if (bytes.length !== 2 * dimensions) throw new Error("This link is of another model, or cut off.");
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: dimensions }, (_, dim) => view.getInt16(2 * dim) / SCALE);
}

/** A code as `bin/encode` names its parts: {"z_1": [...], ...}. */
export const toLayers = (code, layers) => Object.fromEntries(layers.map((layer) =>
  [`z_${layer.number}`, [...code.subarray(layer.start, layer.start + layer.size)]]));

export function fromLayers(values, layers) {
  const parts = layers.map(({ number, size }) => {
    const part = values?.[`z_${number}`];
    if (!Array.isArray(part) || part.length !== size || !part.every(Number.isFinite))
      throw new Error(`This file is no code of this model: z_${number} needs ${size} numbers.`);
    return part;
  });
  return Float32Array.from(parts.flat());
}
