"""What the SavedModel can be asked for: one function a signature.

Inputs and outputs are float32 but for what is said; n is the number of rows, any number from 1.

signature     inputs                                      outputs
------------  ------------------------------------------  --------------------------------------
encode        image [n, H, W, C] in [0, 1]                z_1 ... z_L [n, d_l], std_1 ... std_L
decode        z_1 ... z_L                                 image
reconstruct   image                                       reconstruction
sample        seed int64 [n], temperature [n]             sample
sample_fitted as sample                                   sample
arithmetic    a, minus, plus images;                      result
              layer_weights [n, L]
edit          image, attribute string [n],                edited
              strength [n], layer_weights [n, L]
interpolate   a, b images; t [n]                          result

Each has a twin, `<signature>_bytes`, that takes JPEG or PNG bytes (string [n], the input's name and
`_bytes`) in place of images and gives PNG bytes in place of images.
"""

import numpy as np
import tensorflow as tf

from tf_mmdvlae.model import latents
from tf_mmdvlae.serving import checks, image_bytes

# Any two constants: the second halves of the keys of a seed's noise and of its component.
_STREAM, _COMPONENT_STREAM = 7, 8
_IMAGES = {"image", "a", "b", "minus", "plus"}
_PICTURES = {"image", "reconstruction", "sample", "result", "edited"}


def signatures(model, directions=None, crop=1.0, checked=True, mixture=None):
    """The signatures of a model.

    Args:
      model: an `MMDVLAE`.
      directions: `Directions`, for `edit`; without them (or with none of them) there is no `edit`.
      crop: side of the centre that is kept of a picture given as bytes; see `DataConfig.crop`.
      checked: False leaves out the checks of the inputs, which not every format can hold.
      mixture: a `samplers.Mixture` over all layers, for `sample_fitted`; without it there is none.

    Returns:
      name -> (function, specification). Both work on a dict of tensors by input name, but where
      there is one input only on that tensor itself; functions return a dict of tensors.
    """
    made = _on_images(model, directions, checked, mixture)
    for name, (function, specification) in list(made.items()):
        made[f"{name}_bytes"] = _on_bytes(function, specification, model.config.image_shape, crop)
    return {name: _single(*pair) for name, pair in made.items()}


def noise(seed, total):
    """Standard normal noise, a row a seed: row i depends on seed i alone.

    Args:
      seed: int64 [n].
      total: numbers a row: the dimensions of all layers, lowest layer first.

    Returns:
      float32 [n, total].
    """

    return tf.map_fn(
        lambda one: _row_of_noise(one, total),
        seed,
        fn_output_signature=tf.TensorSpec([total], tf.float32),
    )


def mixture_draws(mixture, seed, temperature):
    """Draws from a mixture, a row a seed: row i depends on seed i and temperature i alone.

    The seed's own uniform number chooses the component k, and its noise e is that of `noise`:
    mean_k + temperature * factor_k @ e.

    Args:
      mixture: a `samplers.Mixture` of D dimensions.
      seed: int64 [n].
      temperature: float32 [n], >= 0.

    Returns:
      float32 [n, D].
    """
    means, factors = tf.constant(mixture.means), tf.constant(mixture.factors)
    # Without the last bound, which rounding may leave below one, there is a component for all.
    bounds = tf.constant(np.cumsum(mixture.weights)[:-1], tf.float32)
    total = mixture.means.shape[1]

    # Row by row, so that no kernel sums in another order for another number of rows.
    def row(inputs):
        one, scale = inputs
        key = tf.stack([one, _COMPONENT_STREAM])
        level = tf.random.stateless_uniform([], key, alg="philox")
        component = tf.math.count_nonzero(level >= bounds)
        deviation = tf.linalg.matvec(factors[component], _row_of_noise(one, total))
        return means[component] + scale * deviation

    return tf.map_fn(
        row, (seed, temperature), fn_output_signature=tf.TensorSpec([total], tf.float32)
    )


def _row_of_noise(seed, total):
    return tf.random.stateless_normal([total], tf.stack([seed, _STREAM]), alg="philox")


def _on_images(model, directions, checked, mixture):
    config, names = model.config, model.latent_names
    layers, total = len(names), sum(config.latent_dims)

    def unchecked(values, name):
        return values

    images = checks.images if checked else unchecked
    numbers = checks.numbers if checked else unchecked

    def rows(inputs):
        return checks.same_rows(inputs) if checked else inputs

    def spec(name, *shape, dtype=tf.float32):
        return tf.TensorSpec([None, *shape], dtype, name=name)

    def image(name):
        return spec(name, *config.image_shape)

    dimensions = zip(names, config.latent_dims, strict=True)
    codes = {name: spec(name, dimension) for name, dimension in dimensions}

    # One graph each, which all signatures call: without that the export holds thirty.
    @tf.function(input_signature=[image("image")])
    def encoded(image):
        means, deviations = model.encode(image)
        return _float32(means), _float32(deviations)

    @tf.function(input_signature=[codes])
    def decoded(codes):
        return tf.cast(model.decode(codes), tf.float32)

    drawing = [spec("seed", dtype=tf.int64), spec("temperature")]

    @tf.function(input_signature=drawing)
    def fitted(seed, temperature):
        return mixture_draws(mixture, seed, temperature)

    def means(image):
        return encoded(image)[0]

    def columns(layer_weights):
        return [layer_weights[:, layer : layer + 1] for layer in range(layers)]

    def encode(inputs):
        codes, deviations = encoded(images(inputs["image"], "image"))
        return codes | {name.replace("z_", "std_"): std for name, std in deviations.items()}

    def decode(inputs):
        codes = {name: numbers(inputs[name], name) for name in names}
        return {"image": decoded(rows(codes))}

    def reconstruct(inputs):
        return {"reconstruction": decoded(means(images(inputs["image"], "image")))}

    def sampled(inputs, draws):
        inputs = rows(inputs)
        temperature = numbers(inputs["temperature"], "temperature")
        if checked:
            temperature = checks.not_negative(temperature, "temperature")
        parts = tf.split(draws(inputs["seed"], temperature), config.latent_dims, axis=1)
        return {"sample": decoded(dict(zip(names, parts, strict=True)))}

    def sample(inputs):
        return sampled(inputs, lambda seed, scale: scale[:, None] * noise(seed, total))

    def sample_fitted(inputs):
        return sampled(inputs, fitted)

    def arithmetic(inputs):
        inputs = rows(inputs)
        a, minus, plus = (means(images(inputs[name], name)) for name in ("a", "minus", "plus"))
        weights = columns(numbers(inputs["layer_weights"], "layer_weights"))
        differences = {name: plus[name] - minus[name] for name in names}
        return {"result": decoded(latents.displaced(a, differences, weights))}

    def edit(inputs):
        inputs = rows(inputs)
        codes = means(images(inputs["image"], "image"))
        strength = numbers(inputs["strength"], "strength")[:, None]
        weights = numbers(inputs["layer_weights"], "layer_weights")
        index = checks.position(inputs["attribute"], directions.names, "attribute")
        vectors = {name: tf.gather(directions.vectors[name], index) for name in names}
        return {"edited": decoded(latents.displaced(codes, vectors, columns(strength * weights)))}

    def interpolate(inputs):
        inputs = rows(inputs)
        a, b = (means(images(inputs[name], name)) for name in ("a", "b"))
        t = numbers(inputs["t"], "t")[:, None]
        differences = {name: b[name] - a[name] for name in names}
        return {"result": decoded(latents.displaced(a, differences, [t] * layers))}

    weights = spec("layer_weights", layers)
    made = {
        "encode": (encode, [image("image")]),
        "decode": (decode, list(codes.values())),
        "reconstruct": (reconstruct, [image("image")]),
        "sample": (sample, drawing),
        "sample_fitted": (sample_fitted, drawing),
        "arithmetic": (arithmetic, [image("a"), image("minus"), image("plus"), weights]),
        "edit": (
            edit,
            [image("image"), spec("attribute", dtype=tf.string), spec("strength"), weights],
        ),
        "interpolate": (interpolate, [image("a"), image("b"), spec("t")]),
    }
    if directions is None or not directions.names:
        del made["edit"]
    if mixture is None:
        del made["sample_fitted"]
    return made


def _on_bytes(function, specification, image_shape, crop):
    taken = [spec.name for spec in specification if spec.name in _IMAGES]

    def on_bytes(inputs):
        inputs = checks.same_rows(inputs)
        given = {name: values for name, values in inputs.items() if not name.endswith("_bytes")}
        for name in taken:
            content = checks.rows(inputs[f"{name}_bytes"], f"{name}_bytes")
            given[name] = image_bytes.from_bytes(content, image_shape, crop)
        results = function(given)
        return {
            f"{name}_bytes" if name in _PICTURES else name: (
                image_bytes.to_bytes(value) if name in _PICTURES else value
            )
            for name, value in results.items()
        }

    changed = [
        tf.TensorSpec([None], tf.string, name=f"{spec.name}_bytes") if spec.name in taken else spec
        for spec in specification
    ]
    return on_bytes, changed


def _single(function, specification):
    """One input is served as a tensor of its name, several as a dict."""
    if len(specification) > 1:
        return function, {spec.name: spec for spec in specification}
    (only,) = specification
    return (lambda value: function({only.name: value})), only


def _float32(codes):
    return {name: tf.cast(values, tf.float32) for name, values in codes.items()}
