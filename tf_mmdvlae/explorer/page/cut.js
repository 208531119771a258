// Photographs as the model wants them: turned, scaled and cut by a similarity.
//
// A similarity {a, b, x, y} carries (u, v) to (a u - b v + x, b u + a v + y).

// Larger photographs are halved; the models' pictures are far smaller.
const MOST = 2048;

export const apply = ({ a, b, x, y }, [u, v]) => [a * u - b * v + x, b * u + a * v + y];

/** The similarity that carries points onto others with the least squares; null if all are at one place. */
export function similarity(from, to) {
  const middle = (points, axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [mu, mv, mx, my] = [middle(from, 0), middle(from, 1), middle(to, 0), middle(to, 1)];
  let a = 0, b = 0, spread = 0;
  from.forEach(([u, v], index) => {
    const [du, dv, dx, dy] = [u - mu, v - mv, to[index][0] - mx, to[index][1] - my];
    a += du * dx + dv * dy;
    b += du * dy - dv * dx;
    spread += du * du + dv * dv;
  });
  if (!spread || (!a && !b)) return null;
  [a, b] = [a / spread, b / spread];
  return { a, b, x: mx - a * mu + b * mv, y: my - b * mu - a * mv };
}

export function inverse({ a, b, x, y }) {
  const square = a * a + b * b;
  return { a: a / square, b: -b / square, x: -(a * x + b * y) / square, y: (b * x - a * y) / square };
}

/**
 * How a cut lies: its size, the frame in it that the model sees, and where its points lie: those of
 * a face, or the frame's corners where no face is expected.
 */
export function layoutOf({ image_shape: [height, width], crop, layout }) {
  const size = layout ? [layout.width, layout.height] : [width / crop, height / crop];
  const scale = crop * Math.min(size[0] / width, size[1] / height);
  const [right, bottom] = [(size[0] + scale * width) / 2, (size[1] + scale * height) / 2];
  const [left, top] = [size[0] - right, size[1] - bottom];
  const frame = [[left, top], [right, top], [right, bottom], [left, bottom]];
  // A layout counts from the centre of the first pixel, and a canvas from its corner.
  const points = layout?.points.map((point) => point.map((value) => value + 0.5)) ?? frame;
  return { size, frame, points };
}

/** A photograph: its canvas at full size, then at half, at a quarter, as they are asked for. */
export class Photograph {
  constructor(image) {
    let canvas = draw(image, image.width, image.height);
    while (Math.max(canvas.width, canvas.height) > MOST) canvas = halved(canvas);
    this.levels = [canvas];
    [this.width, this.height] = [canvas.width, canvas.height];
  }

  /** What a similarity carries onto a canvas of this size. Beyond its edges a photograph is mirrored. */
  cut(similar, [width, height]) {
    let level = 0;
    // Drawing alone would skip pixels where it shrinks by more than two.
    for (let scale = Math.hypot(similar.a, similar.b); scale <= 0.5; scale *= 2) level++;
    while (this.levels.length <= level) this.levels.push(halved(this.levels.at(-1)));
    const image = this.levels[level], { width: w, height: h } = image;
    const across = this.width / w, down = this.height / h, { a, b, x, y } = similar;
    const canvas = blank(Math.round(width), Math.round(height));
    const context = canvas.getContext("2d");
    for (const [i, j] of TILES) {
      context.setTransform(a * across, b * across, -b * down, a * down, x, y);
      // One pixel of overlap hides the seams.
      context.translate([1, 0, 2 * w - 1][i + 1], [1, 0, 2 * h - 1][j + 1]);
      context.scale(i ? -1 : 1, j ? -1 : 1);
      context.drawImage(image, 0, 0);
    }
    return canvas;
  }
}

// The photograph itself is drawn last, over its mirror images.
const TILES = [[-1, -1], [1, -1], [-1, 1], [1, 1], [-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]];

const halved = (canvas) => draw(canvas, Math.max(1, canvas.width >> 1), Math.max(1, canvas.height >> 1));

function draw(image, width, height) {
  const canvas = blank(width, height);
  canvas.getContext("2d").drawImage(image, 0, 0, width, height);
  return canvas;
}

/** A white canvas, on which what is transparent becomes white. */
function blank(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** Swaps dark and bright. */
export function swap(canvas) {
  const context = canvas.getContext("2d");
  context.resetTransform();
  context.globalCompositeOperation = "difference";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
}
