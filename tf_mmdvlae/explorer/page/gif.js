// Animated GIF (the format of CompuServe's GIF89a): a palette by median cut, pixels by LZW.

const COLOURS = 256;
// Colours are told apart by 6 bits a channel.
const SHIFT = 2, LEVELS = 1 << (8 - SHIFT);
const key = (r, g, b) => ((r >> SHIFT) * LEVELS + (g >> SHIFT)) * LEVELS + (b >> SHIFT);

/** The file of ImageDatas of one size, which run in a loop, `delay` hundredths of a second each. */
export function gif(frames, delay) {
  const { width, height } = frames[0];
  const { palette, indexOf } = quantise(frames);
  const short = (value) => [value & 255, value >> 8];
  const parts = [
    new TextEncoder().encode("GIF89a"),
    [...short(width), ...short(height), 0xf7, 0, 0],
    palette,
    [0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0],
  ];
  for (const { data } of frames) {
    const pixels = new Uint8Array(width * height);
    for (let pixel = 0; pixel < pixels.length; pixel++)
      pixels[pixel] = indexOf[key(data[4 * pixel], data[4 * pixel + 1], data[4 * pixel + 2])];
    parts.push([0x21, 0xf9, 4, 0, ...short(delay), 0, 0],
      [0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0, 8], ...blocks(lzw(pixels)));
  }
  return new Blob([...parts.map((part) => Uint8Array.from(part)), Uint8Array.of(0x3b)], { type: "image/gif" });
}

/** Boxes of colours are cut in two where they differ most, until there are enough of them. */
function quantise(frames) {
  const counts = new Uint32Array(LEVELS ** 3), sums = new Float64Array(3 * LEVELS ** 3);
  for (const { data } of frames)
    for (let place = 0; place < data.length; place += 4) {
      const colour = key(data[place], data[place + 1], data[place + 2]);
      counts[colour]++;
      for (let channel = 0; channel < 3; channel++) sums[3 * colour + channel] += data[place + channel];
    }
  const mean = (colour, channel) => sums[3 * colour + channel] / counts[colour];
  const boxes = [box([...counts.keys()].filter((colour) => counts[colour]))];
  while (boxes.length < COLOURS) {
    const worst = boxes.reduce((most, each) => (each.error > most.error ? each : most));
    if (!worst.error) break;
    const { colours, channel } = worst;
    colours.sort((p, q) => mean(p, channel) - mean(q, channel));
    let left = worst.count / 2, cut = 0;
    while (left > 0 && cut < colours.length - 1) left -= counts[colours[cut++]];
    boxes.splice(boxes.indexOf(worst), 1, box(colours.slice(0, cut)), box(colours.slice(cut)));
  }

  function box(colours) {
    const count = colours.reduce((sum, colour) => sum + counts[colour], 0);
    const means = [0, 1, 2].map((channel) =>
      colours.reduce((sum, colour) => sum + sums[3 * colour + channel], 0) / count);
    const errors = means.map((middle, channel) =>
      colours.reduce((sum, colour) => sum + counts[colour] * (mean(colour, channel) - middle) ** 2, 0));
    const error = colours.length > 1 ? Math.max(...errors) : 0;
    return { colours, count, means, error, channel: errors.indexOf(Math.max(...errors)) };
  }

  const palette = new Uint8Array(3 * COLOURS), indexOf = new Uint8Array(LEVELS ** 3);
  boxes.forEach(({ colours, means }, index) => {
    palette.set(means.map(Math.round), 3 * index);
    for (const colour of colours) indexOf[colour] = index;
  });
  return { palette, indexOf };
}

/** Bytes of codes of 9 to 12 bits; 256 begins a new table, 257 ends. */
function lzw(pixels) {
  const bytes = [];
  let held = 0, bits = 0, width = 9, next = 258, table = new Map(), before = pixels[0];
  function write(code) {
    held |= code << bits;
    for (bits += width; bits >= 8; bits -= 8, held >>>= 8) bytes.push(held & 255);
  }
  write(256);
  for (let place = 1; place < pixels.length; place++) {
    const pair = (before << 8) | pixels[place], known = table.get(pair);
    if (known !== undefined) {
      before = known;
      continue;
    }
    write(before);
    before = pixels[place];
    if (next === 4096) {
      write(256);
      [width, next, table] = [9, 258, new Map()];
      continue;
    }
    table.set(pair, next);
    if (next++ === 1 << width) width++;
  }
  write(before);
  write(257);
  if (bits) bytes.push(held & 255);
  return bytes;
}

/** Data in blocks of at most 255 bytes, each behind its length, and an empty one. */
function blocks(bytes) {
  const parts = [];
  for (let start = 0; start < bytes.length; start += 255) {
    const part = bytes.slice(start, start + 255);
    parts.push([part.length], part);
  }
  return [...parts, [0]];
}
