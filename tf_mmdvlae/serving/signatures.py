"""The functions of the SavedModel, one per signature.

Inputs and outputs are float32 unless the table gives a type; n is the number of rows, at least 1.

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
retouch       as edit; detail [n] in [0, 1]               retouched
arithmetic_retouched
              as arithmetic; detail [n] in [0, 1]         retouched
interpolate   a, b images; t [n]                          result

Each signature has a twin, `<signature>_bytes`. In place of an image the twin takes JPEG or PNG
bytes (string [n], in an input named `<input>_bytes`), and it returns PNG bytes (`<output>_bytes`).

Each signature also has the output `error`, string [n]: empty, or why a row has no result. Then the
row's numbers are NaN and its pictures empty strings; the other rows are what they are without it.
Inputs of a wrong shape, or with different numbers of rows, fail the request.
"""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_mmdvlae.data.decode import MAX_MEGAPIXELS
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.retouching import retouched
from tf_mmdvlae.model.samplers import Mixture
from tf_mmdvlae.serving import checks, image_bytes

# Any two constants: the second halves of the keys of a seed's noise and of its component.
_STREAM, _COMPONENT_STREAM = 7, 8
_IMAGE_INPUTS = {"image", "a", "b", "minus", "plus"}
_IMAGE_OUTPUTS = {"image", "reconstruction", "sample", "result", "edited", "retouched"}


class Signature(NamedTuple):
    """One function of the SavedModel.

    Attributes:
      function: takes a dict of tensors by input name and returns a dict of tensors.
      inputs: the name, shape and type of each input.
    """

    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]


def signatures(
    model: MMDVLAE,
    directions: Directions | None = None,
    crop: float = 1.0,
    checked: bool = True,
    mixture: Mixture | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> dict[str, Signature]:
    """Makes the signatures of a model, by name.

    Args:
      model: the model.
      directions: the directions of `edit` and `retouch`; without them (or with none of them) there
        are neither.
      crop: side of the centre that is kept of an image given as bytes; see `DataConfig.crop`.
      checked: False leaves out what not every format can hold: the checks of the inputs, the
        output `error`, and the twins.
      mixture: a mixture over all layers, for `sample_fitted`; without it there is none.
      max_megapixels: larger pictures given as bytes are refused.
    """
    plain = _on_images(model, directions, mixture)
    plain = {name: _traced_once(signature) for name, signature in plain.items()}
    if not checked:
        return plain
    names = directions.names if directions else []
    table = {name: _checked(each, names) for name, each in plain.items()}

    @_graph_of(tf.TensorSpec([None], tf.string, name="contents"))
    def read(contents):
        return image_bytes.from_bytes(contents, model.config.image_shape, crop, max_megapixels)

    table |= {f"{name}_bytes": on_bytes(each, read, names) for name, each in plain.items()}
    return {name: _traced_once(signature) for name, signature in table.items()}


def save(table: Mapping[str, Signature], model: MMDVLAE, folder: pathlib.Path | str) -> None:
    """Writes signatures of a model as a SavedModel; the first is also `serving_default`.

    `keras.export.ExportArchive` does the same, but traces each signature twice.
    """
    saved_model = tf.Module()
    saved_model.weights = [weight.value for weight in model.weights]
    functions = {name: _of_tensors(signature) for name, signature in table.items()}
    for name, function in functions.items():
        setattr(saved_model, name, function)
    default = {"serving_default": next(iter(functions.values()))}
    tf.saved_model.save(saved_model, str(folder), signatures=functions | default)


def _of_tensors(signature):
    """The function as it is served: of a single input by its name, or of a dict of several."""
    function, inputs = signature
    if len(inputs) == 1:
        (specification,) = inputs
        return _graph_of(specification)(lambda values: function({specification.name: values}))
    return function


def _traced_once(signature):
    """The same signature, whose function is one graph wherever others call it."""
    specifications = {specification.name: specification for specification in signature.inputs}
    return signature._replace(function=_graph_of(specifications)(signature.function))


def _graph_of(*inputs):
    """Decorates a function without control flow of its own that depends on a tensor."""
    return functools.partial(tf.function, input_signature=inputs, autograph=False)


def noise(seed: tf.Tensor, total: int) -> tf.Tensor:
    """Standard normal noise float32 [n, total] for seeds int64 [n]: row i depends on seed i alone.

    `total` is the number of dimensions of all layers; the columns begin with the lowest layer's.
    """
    specification = tf.TensorSpec([total], tf.float32)
    return tf.map_fn(lambda one: _row_of_noise(one, total), seed, fn_output_signature=specification)


def mixture_draws(mixture: Mixture, seed: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    """Draws from a mixture, one row per seed: row i depends on seed i and temperature i alone.

    The seed's own uniform number chooses the component k, and its noise e is that of `noise`:
    mean_k + temperature * factor_k @ e. For a mixture of D dimensions, seeds int64 [n] and
    temperatures float32 [n] >= 0 give float32 [n, D].
    """
    means, factors = tf.constant(mixture.means), tf.constant(mixture.factors)
    # Rounding may leave the last bound below one, so it is left out: then every level has a
    # component.
    bounds = tf.constant(np.cumsum(mixture.weights)[:-1], tf.float32)
    total = mixture.means.shape[1]

    # One row at a time, so that no kernel sums in another order for another number of rows.
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


def _checked(signature, attributes):
    """The same signature, with the output `error`, which refuses wrong inputs."""

    def function(inputs):
        inputs = checks.shaped(inputs, signature.inputs)
        images = inputs.keys() & _IMAGE_INPUTS
        faults = [checks.images(inputs[name], name) for name in sorted(images)]
        inputs |= {name: tf.clip_by_value(inputs[name], 0.0, 1.0) for name in images}
        outputs, error = _answered(signature, inputs, attributes, faults)
        return {**checks.without(error != "", outputs), "error": error}

    return Signature(function, signature.inputs)


def _answered(signature, inputs, attributes, faults):
    """The outputs for inputs of the right shapes, and why a row has none; images are checked."""
    for name, values in inputs.items():
        if values.dtype == tf.float32 and name not in _IMAGE_INPUTS:
            faults.append(checks.numbers(values, name))
    if "temperature" in inputs:
        faults.append(checks.negative(inputs["temperature"], "temperature"))
    if "detail" in inputs:
        faults.append(checks.no_shares(inputs["detail"], "detail"))
    if "attribute" in inputs:
        faults.append(checks.unknown(inputs["attribute"], attributes, "attribute"))
    outputs = signature.function(inputs)
    return outputs, checks.first_of(*faults, checks.outputs(outputs))


def _on_images(model, directions, mixture):
    config, names = model.config, model.latent_names
    layers, total = len(names), sum(config.latent_dims)

    def spec(name, *shape, dtype=tf.float32):
        return tf.TensorSpec([None, *shape], dtype, name=name)

    def image(name):
        return spec(name, *config.image_shape)

    dimensions = zip(names, config.latent_dims, strict=True)
    codes = {name: spec(name, dimension) for name, dimension in dimensions}

    # All signatures call these graphs; without them the export would hold thirty.
    @_graph_of(image("image"))
    def encoded(image):
        means, deviations = model.encode(image)
        return _float32(means), _float32(deviations)

    @_graph_of(codes)
    def decoded(codes):
        # The network may turn an infinite code into a picture.
        codes = {
            name: tf.where(tf.abs(values) < math.inf, values, math.nan)
            for name, values in codes.items()
        }
        return tf.cast(model.decode(codes), tf.float32)

    drawing = [spec("seed", dtype=tf.int64), spec("temperature")]

    @_graph_of(*drawing)
    def fitted(seed, temperature):
        return mixture_draws(mixture, seed, temperature)

    def means(image):
        return encoded(image)[0]

    def columns(layer_weights):
        return [layer_weights[:, layer : layer + 1] for layer in range(layers)]

    def encode(inputs):
        codes, deviations = encoded(inputs["image"])
        return codes | {name.replace("z_", "std_"): std for name, std in deviations.items()}

    def decode(inputs):
        return {"image": decoded(inputs)}

    def reconstruct(inputs):
        return {"reconstruction": decoded(means(inputs["image"]))}

    def decoded_sample(draws):
        parts = tf.split(draws, config.latent_dims, axis=1)
        return {"sample": decoded(dict(zip(names, parts, strict=True)))}

    def sample(inputs):
        return decoded_sample(inputs["temperature"][:, None] * noise(inputs["seed"], total))

    def sample_fitted(inputs):
        return decoded_sample(fitted(inputs["seed"], inputs["temperature"]))

    def difference(inputs):
        minus, plus = means(inputs["minus"]), means(inputs["plus"])
        weights = columns(inputs["layer_weights"])
        return {name: plus[name] - minus[name] for name in names}, weights

    def arithmetic(inputs):
        return {"result": decoded(latents.displaced(means(inputs["a"]), *difference(inputs)))}

    def step(inputs):
        matches = tf.equal(inputs["attribute"][:, None], tf.constant(directions.names))
        index = tf.argmax(tf.cast(matches, tf.int32), axis=1)
        vectors = {name: tf.gather(directions.vectors[name], index) for name in names}
        return vectors, columns(inputs["strength"][:, None] * inputs["layer_weights"])

    def edit(inputs):
        return {"edited": decoded(latents.displaced(means(inputs["image"]), *step(inputs)))}

    def keeping(image, change, detail):
        codes = means(image)
        edited = decoded(latents.displaced(codes, *change))
        return {"retouched": retouched(image, decoded(codes), edited, detail)}

    def retouch(inputs):
        return keeping(inputs["image"], step(inputs), inputs["detail"])

    def arithmetic_retouched(inputs):
        return keeping(inputs["a"], difference(inputs), inputs["detail"])

    def interpolate(inputs):
        a, b = means(inputs["a"]), means(inputs["b"])
        differences = {name: b[name] - a[name] for name in names}
        t = inputs["t"][:, None]
        return {"result": decoded(latents.displaced(a, differences, [t] * layers))}

    weights = spec("layer_weights", layers)
    three = [*map(image, ("a", "minus", "plus")), weights]
    editing = [image("image"), spec("attribute", dtype=tf.string), spec("strength"), weights]
    table = {
        "encode": Signature(encode, [image("image")]),
        "decode": Signature(decode, list(codes.values())),
        "reconstruct": Signature(reconstruct, [image("image")]),
        "sample": Signature(sample, drawing),
        "sample_fitted": Signature(sample_fitted, drawing),
        "arithmetic": Signature(arithmetic, three),
        "arithmetic_retouched": Signature(arithmetic_retouched, [*three, spec("detail")]),
        "edit": Signature(edit, editing),
        "retouch": Signature(retouch, [*editing, spec("detail")]),
        "interpolate": Signature(interpolate, [image("a"), image("b"), spec("t")]),
    }
    if directions is None or not directions.names:
        del table["edit"], table["retouch"]
    if mixture is None:
        del table["sample_fitted"]
    return table


def on_bytes(
    signature: Signature,
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    attributes: Sequence[str] = (),
) -> Signature:
    """Makes the twin of an unchecked signature that takes and returns images as JPEG or PNG bytes.

    `read` turns bytes, string [n], into images of the model, NaN where it can't, and says why. The
    twin has the output `error`; `attributes` are those that it knows.
    """
    names = [spec.name for spec in signature.inputs if spec.name in _IMAGE_INPUTS]
    specifications = [
        tf.TensorSpec([None], tf.string, name=f"{spec.name}_bytes") if spec.name in names else spec
        for spec in signature.inputs
    ]

    def function(inputs):
        inputs = checks.shaped(inputs, specifications)
        faults = []
        if names:
            # All at once: each reading has a cost of its own.
            contents = [inputs.pop(f"{name}_bytes") for name in names]
            images, reasons = read(tf.concat(contents, axis=0))
            images, reasons = (tf.split(values, len(names)) for values in (images, reasons))
            inputs |= dict(zip(names, images, strict=True))
            for name, reason in zip(names, reasons, strict=True):
                message = functools.partial(_unreadable, name, reason)
                faults.append((reason != "", message))
        outputs, error = _answered(signature, inputs, attributes, faults)
        coded = {
            f"{name}_bytes" if name in _IMAGE_OUTPUTS else name: image_bytes.to_bytes(values)
            if name in _IMAGE_OUTPUTS
            else values
            for name, values in outputs.items()
        }
        return {**checks.without(error != "", coded), "error": error}

    return Signature(function, specifications)


def _unreadable(name, reason):
    return f"{name}_bytes can't be read as a picture: " + reason + "."


def _float32(codes):
    return {name: tf.cast(values, tf.float32) for name, values in codes.items()}
