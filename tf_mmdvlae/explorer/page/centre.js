// The centre of a photograph at the model's size, as `tf_mmdvlae/data/decode.py` cuts it.

// Larger pictures are first reduced by the browser: its canvases have limits, and time is short.
const MOST_PIXELS = 4e6;
// Sums are of whole numbers, in units of 2^-22, as in Pillow: every machine gets the same pixels.
const BITS = 22;

/** Uint8Array of height * width * channels, for a picture file of any size. */
export async function centre(blob, { image_shape: [height, width, channels], crop, max_megapixels }) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" })
    .catch(() => { throw new Error("This file can't be read as a picture."); });
  if (bitmap.width * bitmap.height > max_megapixels * 1e6)
    throw new Error(`This picture has more than ${max_megapixels} megapixels.`);
  const scale = crop * Math.min(bitmap.width / width, bitmap.height / height);
  const kept = [width, height].map((side) => Math.max(1, even(side * scale)));
  const [left, top] = [bitmap.width, bitmap.height].map((side, at) => Math.floor((side - kept[at]) / 2));
  const reduction = Math.min(1, Math.sqrt(MOST_PIXELS / (kept[0] * kept[1])));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = kept.map((side) => Math.max(1, Math.round(side * reduction)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  // What is transparent becomes white.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, left, top, ...kept, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const rows = channels === 3 ? data.filter((_, place) => place % 4 < 3) : grey(data);
  const narrow = resized(rows, canvas.height, canvas.width, width, channels);
  return turned(resized(turned(narrow, canvas.height, width, channels), width, canvas.height, height, channels),
    width, height, channels);
}

/** The nearest whole number, the even one of two, as Python rounds. */
function even(value) {
  const lower = Math.floor(value);
  return value - lower === 0.5 ? lower + (lower % 2) : Math.round(value);
}

/** Pillow's grey: ITU-R 601. */
function grey(data) {
  return Uint8Array.from({ length: data.length / 4 }, (_, pixel) =>
    (19595 * data[4 * pixel] + 38470 * data[4 * pixel + 1] + 7471 * data[4 * pixel + 2] + 0x8000) >> 16);
}

/** [count, length, channels] -> [count, wanted, channels], bilinear with antialiasing. */
function resized(pixels, count, length, wanted, channels) {
  if (length === wanted) return pixels;
  const scale = length / wanted, reach = Math.max(1, scale);
  const result = new Uint8ClampedArray(count * wanted * channels);
  for (let place = 0; place < wanted; place++) {
    const middle = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5));
    const last = Math.min(length, Math.trunc(middle + reach + 0.5));
    const shares = Array.from({ length: last - first }, (_, each) =>
      Math.max(0, 1 - Math.abs((first + each - middle + 0.5) / reach)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const weights = shares.map((share) => Math.round((share / total) * 2 ** BITS));
    for (let row = 0; row < count; row++)
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (BITS - 1), from = (row * length + first) * channels + channel;
        for (const weight of weights) {
          sum += weight * pixels[from];
          from += channels;
        }
        result[(row * wanted + place) * channels + channel] = sum >> BITS;
      }
  }
  return result;
}

/** [height, width, channels] -> [width, height, channels]. */
function turned(pixels, height, width, channels) {
  const result = new Uint8ClampedArray(pixels.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let channel = 0; channel < channels; channel++)
        result[(x * height + y) * channels + channel] = pixels[(y * width + x) * channels + channel];
  return result;
}
