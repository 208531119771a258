// The backend that asks the server of bin/explore.
//
// A backend is an object with
//   about                 what the page knows about the model; `Subject.about` in Python says what
//   decode(codes)         codes, Float32Array [D] each -> pictures
//   encode(blob)          a picture file -> {code, picture}: its code, and its centre as it was seen
//   align(blob)           a picture file -> where eyes and mouth corners lie in it, or null; only of
//                         backends that find faces
//   draw(seed, count)     random {code, picture}s; the same seed gives the same
//   examples()            the export's example pictures, {code, picture}s, perhaps none
// All functions return promises, which fail with an Error whose message is a sentence for people.
// A picture is {width, height, channels, pixels: Uint8Array, one byte per channel}.

import { rows, sizes } from "./rows.js";

export async function connect() {
  const about = await (await ask("about")).json();
  const { size, dimensions, picture } = sizes(about);
  const items = async (answer) => rows(await (await answer).arrayBuffer(), about);

  return {
    about,
    async decode(codes) {
      if (!codes.length) return [];
      const body = new Float32Array(codes.length * dimensions);
      codes.forEach((code, row) => body.set(code, row * dimensions));
      const buffer = await (await ask("decode", { method: "POST", body })).arrayBuffer();
      return codes.map((_, row) => picture(buffer, row * size));
    },
    async encode(blob) {
      if (blob.size > 20e6) throw new Error("This file is larger than 20 MB, the most here.");
      return (await items(ask("encode", { method: "POST", body: blob })))[0];
    },
    align: about.finds ? async (blob) => {
      const { points } = await (await ask("find", { method: "POST", body: blob })).json();
      // The server counts from the centre of the first pixel, and a canvas from its corner.
      return points && points.map((point) => point.map((value) => value + 0.5));
    } : null,
    draw: (seed, count) => items(ask(`draw?seed=${seed}&count=${count}`)),
    examples: () => items(ask("examples")),
  };
}

async function ask(place, options) {
  let answer;
  try {
    answer = await fetch(place, options);
  } catch {
    throw new Error("bin/explore does not answer any more. Start it again.");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}
