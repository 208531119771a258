// Pictures on canvases, and files of what is seen.

export function paint(canvas, picture) {
  const { width, height, channels, pixels } = picture;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++)
      image.data[4 * pixel + channel] = pixels[channels * pixel + (channels === 3 ? channel : 0)];
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Where pictures differ from a first, from dark (nowhere) to bright (most), and the mean in [0, 1]. */
export function differences(picture, others) {
  const { width, height, channels } = picture;
  const sums = new Float32Array(width * height);
  for (const other of others)
    other.pixels.forEach((value, place) => {
      sums[Math.floor(place / channels)] += Math.abs(value - picture.pixels[place]);
    });
  const least = 12 * channels * others.length; // Below this, all is nearly the same.
  const most = Math.max(least, ...sums);
  const pixels = new Uint8Array(3 * sums.length);
  sums.forEach((sum, place) => {
    const heat = sum / most;
    pixels.set([255 * Math.min(1, 2 * heat), 255 * Math.max(0, 1.6 * heat - 0.6), 60 * (1 - heat)], 3 * place);
  });
  const total = sums.reduce((all, sum) => all + sum, 0);
  return {
    picture: { width, height, channels: 3, pixels },
    mean: total / (255 * channels * others.length * sums.length),
  };
}

/** Pictures side by side, rows of them: a canvas, each picture `scale` times its size. */
export function sheet(rows, scale = 2, gap = 4) {
  const { width, height } = rows[0][0];
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(...rows.map((row) => row.length)) * (width * scale + gap) - gap;
  canvas.height = rows.length * (height * scale + gap) - gap;
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  rows.forEach((row, y) => row.forEach((picture, x) => context.drawImage(
    paint(document.createElement("canvas"), picture),
    x * (width * scale + gap), y * (height * scale + gap), width * scale, height * scale)));
  return canvas;
}

/** A picture's pixels at `scale` times its size, for a film. */
export function enlarged(picture, scale) {
  const canvas = sheet([[picture]], scale);
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const savePng = (canvas, name) => canvas.toBlob((blob) => save(blob, name), "image/png");
