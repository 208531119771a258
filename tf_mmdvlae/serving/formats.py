"""The model for other runtimes, TensorFlow Lite and ONNX, each compared with the SavedModel."""

import contextlib
import importlib
import logging
import tempfile

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.serving.signatures import signatures

FORMATS = ("tflite", "onnx")
SIGNATURES = ("encode", "decode", "reconstruct", "arithmetic", "interpolate")
"""What these formats can hold; they have no words, no picture files and no seeded noise."""

_OPSET = 18
_NEEDS = {"tflite": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnxruntime")}
# Largest difference from the SavedModel's float32 that is called equal.
_CLOSE, _CLOSE_HALF = 1e-4, 2e-2


def other_formats(formats, model, images):
    """Makes a function that writes a model in other formats, for `export`'s `extras`.

    Into `<version>/assets.extra/`: for "tflite" `model_float32.tflite` and `model_float16.tflite`
    (weights of half the size), each of which holds all signatures; for "onnx" `<signature>.onnx`.
    Their signatures are `SIGNATURES`, and they do not check their inputs.

    Args:
      formats: some of `FORMATS`.
      model: the `MMDVLAE`.
      images: float32 [n, H, W, C] in [0, 1], n >= 2, on which what was written is compared with
        the SavedModel before it counts as written.

    Returns:
      A function of the SavedModel's folder.

    Raises:
      InputError: for a format that is not known or whose packages are not installed. The function
        raises it where a format cannot hold the model, or computes something else.
    """
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"Format {name!r} is not known. Known: {', '.join(FORMATS)}.")
        for package in _NEEDS[name]:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise InputError(
                    f"--{name} needs {package}, which cannot be imported ({error}); "
                    f"pip install 'tf_mmdvlae[{name}]' (in a checkout: pip install --editable "
                    f"'.[{name}]')."
                ) from error
    writers = {"tflite": _write_tflite, "onnx": _write_onnx}

    def write(saved_model):
        made = {
            name: pair
            for name, pair in signatures(model, checked=False).items()
            if name in SIGNATURES
        }
        served = tf.saved_model.load(str(saved_model)).signatures
        expected = {
            name: (inputs, {k: v.numpy() for k, v in served[name](**inputs).items()})
            for name, inputs in _inputs(served, images).items()
        }
        for name in formats:
            print(f"Writing {name} ...", flush=True)
            try:
                writers[name](saved_model / "assets.extra", made, expected)
            except (InputError, OSError):
                raise
            except Exception as error:  # Each converter and runtime has exceptions of its own.
                reason = str(error).strip().partition("\n")[0]
                raise InputError(
                    f"The model could not be written as {name} ({type(error).__name__}: {reason})."
                    " No version was added."
                ) from error

    return write


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


def _write_tflite(folder, made, expected):
    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as temporary:
        archive = keras.export.ExportArchive()
        for name, (function, specification) in made.items():
            archive.add_endpoint(name, function, input_signature=[specification])
        archive.write_out(temporary, verbose=False)
        for precision, tolerance in (("float32", _CLOSE), ("float16", _CLOSE_HALF)):
            converter = tf.lite.TFLiteConverter.from_saved_model(
                temporary, signature_keys=list(made)
            )
            if precision == "float16":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            with _quiet():
                content = converter.convert()
            interpreter = Interpreter(model_content=content)
            for name, (inputs, outputs) in expected.items():
                runner = interpreter.get_signature_runner(name)
                given = runner(**{key: value.numpy() for key, value in inputs.items()})
                _compare(f"tflite {precision}", name, given, outputs, tolerance)
            (folder / f"model_{precision}.tflite").write_bytes(content)


def _write_onnx(folder, made, expected):
    import onnxruntime
    import tf2onnx

    for name, (function, specification) in made.items():
        inputs, outputs = expected[name]
        single = not isinstance(specification, dict)
        specs = [specification] if single else list(specification.values())
        names = [spec.name for spec in specs]

        def positional(*values, function=function, single=single, names=names):
            return function(values[0] if single else dict(zip(names, values, strict=True)))

        path = folder / f"{name}.onnx"
        with _quiet():
            converted, _ = tf2onnx.convert.from_function(
                tf.function(positional), specs, opset=_OPSET
            )
        path.write_bytes(converted.SerializeToString())
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        given = session.run(None, {key: value.numpy() for key, value in inputs.items()})
        called = [output.name for output in session.get_outputs()]
        _compare("onnx", name, dict(zip(called, given, strict=True)), outputs, _CLOSE)


def _compare(which, signature, given, expected, tolerance):
    """A file that computes something else must not be written."""
    if set(given) != set(expected):
        raise InputError(f"{which} {signature} gives {sorted(given)}, not {sorted(expected)}.")
    worst = max(float(np.max(np.abs(given[name] - value))) for name, value in expected.items())
    if not worst <= tolerance:
        raise InputError(
            f"{which} {signature} differs from the SavedModel by {worst:.2g} (at most "
            f"{tolerance:g} is taken for equal); nothing was written."
        )
    print(f"  {which} {signature}: equal to the SavedModel's to {worst:.1g}", flush=True)


@contextlib.contextmanager
def _quiet():
    """Converters tell of every pass; what fails raises."""
    levels = {name: logging.getLogger(name).level for name in ("tensorflow", "tf2onnx")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
