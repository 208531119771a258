"""The model for other runtimes, TensorFlow Lite and ONNX, each compared with the SavedModel."""

from __future__ import annotations

import contextlib
import functools
import logging
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.extras import require_packages
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.serving.signatures import save, signatures

SIGNATURES = ("encode", "decode", "reconstruct", "arithmetic", "interpolate")
"""The signatures that these formats can hold; they have no text, encoded images or seeded noise."""

_OPSET = 18
# The packages that each format needs.
_PACKAGES = {"tflite": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnxruntime")}
# The largest differences from the SavedModel's float32 that count as equal.
_TOLERANCE, _HALF_TOLERANCE = 1e-4, 2e-2


def require_formats(formats: Sequence[str]) -> None:
    """Raises an InputError for a format that is not known or whose packages are not installed."""
    for name in formats:
        if name not in _PACKAGES:
            raise InputError(f"Format {name!r} is not known. Known: {', '.join(_PACKAGES)}.")
        require_packages(f"--{name}", name, _PACKAGES[name])


def other_formats(
    formats: Sequence[str], model: MMDVLAE, images: np.ndarray
) -> Callable[[pathlib.Path], None]:
    """Makes a function that writes a model in other formats, for `export`'s `extras`.

    The function writes into `<version>/assets.extra/`: for "tflite" `model_float32.tflite` and
    `model_float16.tflite` (weights of half the size), each of which holds all signatures; for
    "onnx" `<signature>.onnx`. Their signatures are `SIGNATURES`, and they do not check their
    inputs.

    Args:
      formats: "tflite", "onnx" or both.
      model: the model.
      images: float32 [n, H, W, C] in [0, 1], n >= 2, which compare each file with the SavedModel.

    Returns:
      A function of the SavedModel's folder.

    Raises:
      InputError: for a format that is not known or whose packages are not installed. The function
        raises it where a format cannot hold the model, or computes something else.
    """
    require_formats(formats)
    writers = {"tflite": functools.partial(_write_tflite, model), "onnx": _write_onnx}

    def write(saved_model):
        unchecked = signatures(model, checked=False)
        table = {name: unchecked[name] for name in SIGNATURES}
        served = tf.saved_model.load(str(saved_model)).signatures
        examples = {
            name: (_arrays(inputs), _arrays(served[name](**inputs)))
            for name, inputs in _inputs(served, images).items()
        }
        for name in formats:
            print(f"Writing {name} ...", flush=True)
            try:
                writers[name](saved_model / "assets.extra", table, examples)
            except (InputError, OSError):
                raise
            except Exception as error:  # Each converter and runtime has exceptions of its own.
                raise InputError(
                    f"The model could not be written as {name} ({type(error).__name__}: "
                    f"{first_line(error)}). No version was added."
                ) from error

    return write


def _arrays(tensors):
    # The other formats do not say which rows are wrong.
    return {name: tensor.numpy() for name, tensor in tensors.items() if name != "error"}


def _inputs(served, images):
    encoded = served["encode"](image=tf.constant(images))
    codes = {name: value for name, value in encoded.items() if name.startswith("z_")}
    image, count = tf.constant(images), len(images)
    others = {"minus": tf.reverse(image, [0]), "plus": tf.roll(image, 1, 0)}
    weights = np.linspace(-1, 1, count * len(codes), dtype=np.float32).reshape(count, -1)
    return {
        "encode": {"image": image},
        "decode": codes,
        "reconstruct": {"image": image},
        "arithmetic": {"a": image, **others, "layer_weights": tf.constant(weights)},
        "interpolate": {"a": image, "b": others["minus"], "t": tf.linspace(0.0, 1.0, count)},
    }


def _write_tflite(model, folder, table, examples):
    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as temporary:
        save(table, model, temporary)
        for precision, tolerance in (("float32", _TOLERANCE), ("float16", _HALF_TOLERANCE)):
            converter = tf.lite.TFLiteConverter.from_saved_model(
                temporary, signature_keys=list(table)
            )
            if precision == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            with _quiet():
                content = converter.convert()
            interpreter = Interpreter(model_content=content)
            for name, (inputs, expected) in examples.items():
                outputs = interpreter.get_signature_runner(name)(**inputs)
                compare(f"tflite {precision}", name, outputs, expected, tolerance)
            (folder / f"model_{precision}.tflite").write_bytes(content)


def _write_onnx(folder, table, examples):
    for name, (function, specs) in table.items():
        inputs, expected = examples[name]
        content, outputs = onnx_model(function, specs, inputs)
        compare("onnx", name, outputs, expected)
        (folder / f"{name}.onnx").write_bytes(content)


def onnx_model(
    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]],
    inputs: Sequence[tf.TensorSpec],
    example: dict[str, np.ndarray],
) -> tuple[bytes, dict[str, np.ndarray]]:
    """Converts a function of a dict of tensors to ONNX, and runs that.

    Returns:
      The ONNX file's contents, and the outputs of onnxruntime for `example`, by name.
    """
    import onnxruntime
    import tf2onnx

    # tf2onnx renames the specifications while it converts.
    names = [spec.name for spec in inputs]

    def positional(*values):
        return function(dict(zip(names, values, strict=True)))

    with _quiet():
        model, _ = tf2onnx.convert.from_function(tf.function(positional), inputs, opset=_OPSET)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    output_names = [output.name for output in session.get_outputs()]
    return content, dict(zip(output_names, session.run(None, example), strict=True))


def compare(
    file: str,
    signature: str,
    outputs: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    tolerance: float = _TOLERANCE,
) -> None:
    """Refuses, by an InputError, a file whose outputs differ from those of the SavedModel."""
    if set(outputs) != set(expected):
        raise InputError(f"{file} {signature} gives {sorted(outputs)}, not {sorted(expected)}.")
    worst = max(float(np.max(np.abs(outputs[name] - value))) for name, value in expected.items())
    if not worst <= tolerance:
        raise InputError(
            f"{file} {signature} differs from the SavedModel by {worst:.2g} (at most "
            f"{tolerance:g} is taken for equal); nothing was written."
        )
    print(f"  {file} {signature}: equal to the SavedModel's to {worst:.1g}", flush=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the converters, which log every pass; a failure still raises."""
    levels = {name: logging.getLogger(name).level for name in ("tensorflow", "tf2onnx")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
