"""How fast an export answers, beside the live Keras model in the same process."""

import io
import time

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.harness import alternate, seconds, spread
from tf_mmdvlae.config.parsing import from_dict
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.serving.loaded import load

BATCHES = (1, 64)

# Width and height of CelebA's pictures, and a quality that gives files of about their size.
_PICTURE, _QUALITY = (178, 218), 90


def serving_speed(export: str, rounds: int = 5) -> dict:
    """Times the signatures of an export and the live model's `predict`, alternately.

    The live model has the export's network with weights of its own, which does not change its
    speed. `predict` runs encoder and decoder, as `reconstruct` does; all ratios refer to it. The
    pictures for `edit_bytes` are JPEGs of 178x218 pixels, made of samples with some noise.

    Returns:
      {"path", "megabytes", "load_seconds", "rows", "bytes_milliseconds_over"}. A row, for a
      signature or for `predict`: {"signature", "batch", "first_milliseconds" (the first call with
      that batch size), "milliseconds", "images_per_second", "ratio" (predict's time / this time)}.
      "bytes_milliseconds_over": the time per picture of `edit_bytes` less that of `edit` at the
      largest batch: one JPEG decoded and one PNG coded; None without attributes.
    """
    start = time.perf_counter()
    model = load(export)
    load_seconds = time.perf_counter() - start
    live = MMDVLAE(from_dict(ModelConfig, model.manifest["config"]["model"]))
    calls = {
        (name, batch): call
        for batch in BATCHES
        for name, call in _calls(model.signatures, live, model.manifest, batch).items()
    }
    first = {key: 1e3 * seconds(call, 1) for key, call in calls.items()}
    times = {key: 1e3 * values for key, values in alternate(calls, rounds).items()}
    rows = [
        {
            "signature": name,
            "batch": batch,
            "first_milliseconds": first[name, batch],
            "milliseconds": spread(values),
            "images_per_second": spread(1e3 * batch / values),
            "ratio": spread(times["predict", batch] / values),
        }
        for (name, batch), values in times.items()
    ]
    most, over = max(BATCHES), None
    if ("edit", most) in times:
        over = spread((times["edit_bytes", most] - times["edit", most]) / most)
    size = sum(file.stat().st_size for file in model.path.rglob("*") if file.is_file())
    return {
        "path": str(model.path),
        "megabytes": size / 1e6,
        "load_seconds": load_seconds,
        "rows": rows,
        "bytes_milliseconds_over": over,
    }


def _calls(signatures, live, manifest, batch):
    seeds = tf.range(batch, dtype=tf.int64)
    image = signatures["sample"](seed=seeds, temperature=tf.ones(batch))["sample"]
    array, weights = image.numpy(), tf.ones([batch, len(manifest["latent_dims"])])
    prior = latents.sample_prior(manifest["latent_dims"], batch, seed=0)
    codes = {name: tf.constant(code) for name, code in prior.items()}
    arithmetic = {"a": image, "minus": image, "plus": image, "layer_weights": weights}
    calls = {
        "predict": lambda: live.predict(array, batch_size=batch, verbose=0),
        "encode": lambda: signatures["encode"](image=image),
        "decode": lambda: signatures["decode"](**codes),
        "reconstruct": lambda: signatures["reconstruct"](image=image),
        "arithmetic": lambda: signatures["arithmetic"](**arithmetic),
    }
    if manifest["attributes"]:
        attribute = tf.fill([batch], manifest["attributes"][0])
        edit = {"attribute": attribute, "strength": tf.ones(batch), "layer_weights": weights}
        pictures = tf.constant([_jpeg(picture, seed) for seed, picture in enumerate(array)])
        calls["edit"] = lambda: signatures["edit"](image=image, **edit)
        calls["edit_bytes"] = lambda: signatures["edit_bytes"](image_bytes=pictures, **edit)
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
