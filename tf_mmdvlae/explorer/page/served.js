// The backend that asks the server of bin/explore.
//
// A backend is an object with
//   about                 what the page knows about the model; `Subject.about` in Python says what
//   decode(codes)         codes, Float32Array [D] each -> pictures
//   encode(blob)          a picture file -> {code, picture}: its code, and its centre as it was seen
//   align(blob)           a picture file -> where eyes and mouth corners lie in it, or null; only of
//                         backends that find faces
//   draw(seed, count)     random {code, picture}s; the same seed gives the same
// All but `about` return promises, which fail with an Error whose message is a sentence for people.
// A picture is {width, height, channels, pixels: Uint8Array, one byte per channel}.

export async function connect() {
  const about = await (await ask("about")).json();
  const [height, width, channels] = about.image_shape;
  const size = height * width * channels;
  const dimensions = about.latent_dims.reduce((sum, each) => sum + each, 0);
  const picture = (buffer, start) =>
    ({ width, height, channels, pixels: new Uint8Array(buffer, start, size) });

  function rows(buffer) {
    const length = 4 * dimensions + size;
    return Array.from({ length: buffer.byteLength / length }, (_, row) => ({
      code: new Float32Array(buffer.slice(row * length, row * length + 4 * dimensions)),
      picture: picture(buffer, row * length + 4 * dimensions),
    }));
  }

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
      return rows(await (await ask("encode", { method: "POST", body: blob })).arrayBuffer())[0];
    },
    align: about.finds ? async (blob) => {
      const { points } = await (await ask("find", { method: "POST", body: blob })).json();
      // The server counts from the centre of the first pixel, and a canvas from its corner.
      return points && points.map((point) => point.map((value) => value + 0.5));
    } : null,
    async draw(seed, count) {
      return rows(await (await ask(`draw?seed=${seed}&count=${count}`)).arrayBuffer());
    },
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
