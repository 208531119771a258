"""How fast an export answers, beside the live Keras model in the same process."""

import io
import time

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.harness import spread
from tf_mmdvlae.config.parsing import from_dict
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.serving.loaded import load

BATCHES = (1, 64)

_SECONDS = 0.5
# Of CelebA's pictures, width and height, and a quality that gives files of about their size.
_PICTURE, _QUALITY = (178, 218), 90


def serving_speed(export, rounds=5):
    """Times the signatures of an export and the live model's `predict`, alternately.

    The live model has the export's network, but weights of its own: they do not change its speed.
    `predict` reconstructs, encoder and decoder, as `reconstruct` does; it is the reference of all
    ratios. Pictures for
    `edit_bytes` are JPEGs of 178x218 pixels, made from draws with some noise.

    Args:
      export: an export, as `load` takes it.
      rounds: how many rounds.

    Returns:
      {"path", "megabytes", "load_seconds", "rows": [...], "bytes_milliseconds_over"}. A row:
      {"signature", "batch", "first_milliseconds" (the first call with that batch size),
      "milliseconds" and "images_per_second" and "ratio" (predict's time / this time), each
      {"median", "low", "high"} over rounds}. `predict` has rows of its own.
      "bytes_milliseconds_over": what `edit_bytes` takes over `edit` a picture at the largest batch,
      for one JPEG decoded and one PNG coded.
    """
    began = time.perf_counter()
    served = load(export)
    load_seconds = time.perf_counter() - began
    path, manifest = served.path, served.manifest
    live = MMDVLAE(from_dict(ModelConfig, manifest["config"]["model"]))
    calls = {
        (name, batch): call
        for batch in BATCHES
        for name, call in _calls(served.signatures, live, manifest, batch).items()
    }
    first = {key: _milliseconds(call, 1) for key, call in calls.items()}
    times = {key: [] for key in calls}
    repeats = {key: max(3, round(_SECONDS * 1e3 / _milliseconds(calls[key], 3))) for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            times[key].append(_milliseconds(call, repeats[key]))
    times = {key: np.array(values) for key, values in times.items()}
    rows = [
        {
            "signature": name,
            "batch": batch,
            "first_milliseconds": first[name, batch],
            "milliseconds": spread(taken),
            "images_per_second": spread(1e3 * batch / taken),
            "ratio": spread(times["predict", batch] / taken),
        }
        for (name, batch), taken in times.items()
    ]
    most = max(BATCHES)
    over = None
    if ("edit", most) in times:
        over = spread((times["edit_bytes", most] - times["edit", most]) / most)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {
        "path": str(path),
        "megabytes": size / 1e6,
        "load_seconds": load_seconds,
        "rows": rows,
        "bytes_milliseconds_over": over,
    }


def _calls(served, live, manifest, batch):
    layers = len(manifest["latent_dims"])
    drawn = served["sample"](seed=tf.range(batch, dtype=tf.int64), temperature=tf.ones(batch))
    image, weights = drawn["sample"], tf.ones([batch, layers])
    prior = latents.sample_prior(manifest["latent_dims"], batch, seed=0)
    codes = {name: tf.constant(code) for name, code in prior.items()}
    array = image.numpy()
    calls = {
        "predict": lambda: live.predict(array, batch_size=batch, verbose=0),
        "encode": lambda: served["encode"](image=image),
        "decode": lambda: served["decode"](**codes),
        "reconstruct": lambda: served["reconstruct"](image=image),
        "arithmetic": lambda: served["arithmetic"](
            a=image, minus=image, plus=image, layer_weights=weights
        ),
    }
    if manifest["attributes"]:
        edit = {
            "attribute": tf.fill([batch], manifest["attributes"][0]),
            "strength": tf.ones(batch),
            "layer_weights": weights,
        }
        pictures = tf.constant([_jpeg(one, seed) for seed, one in enumerate(array)])
        calls["edit"] = lambda: served["edit"](image=image, **edit)
        calls["edit_bytes"] = lambda: served["edit_bytes"](image_bytes=pictures, **edit)
    return calls


def _jpeg(image, seed):
    pixels = np.uint8(np.round(np.clip(image, 0, 1) * 255))
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    large = np.asarray(picture.resize(_PICTURE), np.float32)
    noise = np.random.default_rng(seed).normal(0, 4, large.shape)
    content = io.BytesIO()
    noisy = np.uint8(np.clip(large + noise, 0, 255))
    Image.fromarray(noisy).save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def _milliseconds(call, times):
    began = time.perf_counter()
    for _ in range(times):
        result = call()
        # What is not waited for is not answered.
        tf.nest.map_structure(np.asarray, result)
    return 1e3 * (time.perf_counter() - began) / times
