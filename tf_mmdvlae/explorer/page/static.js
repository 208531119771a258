// The backend that runs the networks in the browser; served.js says what a backend is.
//
// What it needs lies beside the page as files, or inside it, packed, as texts of their names.

import { centre } from "./centre.js";
import { rows, sizes } from "./rows.js";

const WASM = "ort-wasm-simd-threaded";

/** `say` is called with sentences on how far it is. */
export async function connect(say) {
  const about = JSON.parse(new TextDecoder().decode(await part("about.json")));
  const { width, height, channels, size, dimensions } = sizes(about);
  // Threads need headers that few hosts can set, and gain nothing here.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  say("Loading the runtime …");
  const loader = new Blob([await part(`${WASM}.mjs`)], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(loader) };
  ort.env.wasm.wasmBinary = await part(`${WASM}.wasm`);
  say("Loading the model …");
  const open = async (name) =>
    ort.InferenceSession.create(await part(name), { executionProviders: ["wasm"] });
  const decoder = await open("decode.onnx"), encoder = await open("encode.onnx");
  const mixture = mixtureOf(floats(await part("mixture.bin")), dimensions);

  async function run(session, values, shape) {
    const name = session.inputNames[0];
    const outputs = await session.run({ [name]: new ort.Tensor("float32", values, shape) });
    return outputs[session.outputNames[0]].data;
  }

  async function images(codes) {
    const joined = new Float32Array(codes.length * dimensions);
    codes.forEach((code, row) => joined.set(code, row * dimensions));
    return run(decoder, joined, [codes.length, dimensions]);
  }

  async function decode(codes) {
    if (!codes.length) return [];
    const values = await images(codes);
    return codes.map((_, row) => ({
      width, height, channels,
      pixels: Uint8ClampedArray.from(values.subarray(row * size, (row + 1) * size), (value) => 255 * value),
    }));
  }

  async function encode(blob) {
    const pixels = await centre(blob, about);
    const values = Float32Array.from(pixels, (value) => value / 255);
    const code = await run(encoder, values, [1, height, width, channels]);
    return { code: Float32Array.from(code), picture: { width, height, channels, pixels } };
  }

  const examples = await part("examples.bin");
  return {
    about,
    decode,
    /** As `decode`, before the pictures are rounded: [n, height, width, channels] in [0, 1]. */
    images,
    encode,
    async draw(seed, count) {
      const codes = Array.from({ length: count }, (_, row) => drawn(mixture, seed + row));
      const pictures = await decode(codes);
      return codes.map((code, row) => ({ code, picture: pictures[row] }));
    },
    examples: async () => rows(examples.buffer, about),
  };
}

/** The bytes of a file beside the page, or inside it. */
async function part(name) {
  const inside = document.getElementById(name);
  if (!inside) {
    const answer = await fetch(name).catch(() => null);
    if (!answer?.ok) throw new Error(`${name} can't be loaded. Is it beside this page?`);
    return new Uint8Array(await answer.arrayBuffer());
  }
  const letters = atob(inside.textContent), packed = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) packed[place] = letters.charCodeAt(place);
  inside.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of four bytes each, which every browser's machine has in this order. */
const floats = (bytes) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

/** Weights [K], means [K, D] and factors [K, D, D], one after the other. */
function mixtureOf(values, dimensions) {
  const count = values.length / (1 + dimensions + dimensions ** 2);
  const means = count, factors = count + count * dimensions;
  return {
    weights: values.subarray(0, count),
    mean: (k) => values.subarray(means + k * dimensions, means + (k + 1) * dimensions),
    factor: (k, row) => values.subarray(factors + (k * dimensions + row) * dimensions).subarray(0, dimensions),
  };
}

/** A code of a mixture; the same seed gives the same. */
function drawn({ weights, mean, factor }, seed) {
  const random = generator(seed);
  let level = random(), k = 0;
  while (k < weights.length - 1 && level >= weights[k]) level -= weights[k++];
  // Box and Muller's normal numbers.
  const noise = Float32Array.from(mean(k), () =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  return mean(k).map((value, row) => {
    const shares = factor(k, row);
    let sum = value;
    for (let dim = 0; dim <= row; dim++) sum += shares[dim] * noise[dim];
    return sum;
  });
}

/** Numbers in [0, 1): "mulberry32" by Tommy Ettinger, in the public domain. */
function generator(seed) {
  // Neighbours among seeds should not be neighbours in the sequence.
  let state = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
