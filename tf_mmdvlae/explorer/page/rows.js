// Codes and pictures as bytes: what `Server` in Python answers.

/** How large codes and pictures of a model are, and its picture in a buffer. */
export function sizes({ image_shape: [height, width, channels], latent_dims: dims }) {
  const size = height * width * channels;
  return {
    width, height, channels, size,
    dimensions: dims.reduce((sum, each) => sum + each, 0),
    picture: (buffer, start) => ({ width, height, channels, pixels: new Uint8Array(buffer, start, size) }),
  };
}

/** [{code, picture}] of an ArrayBuffer that holds them one after the other. */
export function rows(buffer, about) {
  const { size, dimensions, picture } = sizes(about), length = 4 * dimensions + size;
  return Array.from({ length: buffer.byteLength / length }, (_, row) => ({
    code: new Float32Array(buffer.slice(row * length, row * length + 4 * dimensions)),
    picture: picture(buffer, row * length + 4 * dimensions),
  }));
}
