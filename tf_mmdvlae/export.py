"""The SavedModel: the trained encoder and decoder for programs that do not have this package."""

import errno
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from tf_mmdvlae.errors import InputError


def export(model, export_dir):
    """Writes `model` as a SavedModel in the next free version of `export_dir`.

    Signatures, all float32:

    * `encode` (also `serving_default`): `image` [n, height, width, channels] in [0, 1] ->
      `z_1` ... `z_L` [n, d_l] posterior means, `std_1` ... `std_L` posterior deviations;
    * `decode`: `z_1` ... `z_L` -> `image` in [0, 1].

    It is written to a hidden folder beside its place and renamed when whole, so that a server that
    watches `export_dir` never sees half of one.

    Args:
      model: a trained `MMDVLAE`.
      export_dir: the folder of versions, such as "exports/mnist".

    Returns:
      The path of the version written, such as exports/mnist/3.

    Raises:
      InputError: if the folder cannot be written or the disk is full.
    """
    export_dir = pathlib.Path(export_dir)
    hidden = export_dir / f".incomplete_{os.getpid()}"
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(export_dir)
        _archive(model).write_out(str(hidden), verbose=False)
        while True:
            target = export_dir / str(_next_version(export_dir))
            try:
                os.rename(hidden, target)
                return target
            except OSError as error:
                # Another export may have taken this version in the meantime.
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"Could not export to {export_dir}: {getattr(error, 'strerror', None) or error}. "
            "No version was added; make room or choose another --export_dir."
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _archive(model):
    def encode(image):
        means, deviations = model.encode(image)
        named = {name.replace("z_", "std_"): value for name, value in deviations.items()}
        return {name: tf.cast(value, tf.float32) for name, value in {**means, **named}.items()}

    def decode(latents):
        return {"image": tf.cast(model.decode(latents), tf.float32)}

    image = tf.TensorSpec([None, *model.config.image_shape], tf.float32, name="image")
    dimensions = zip(model.latent_names, model.config.latent_dims, strict=True)
    latents = {name: tf.TensorSpec([None, d], tf.float32, name=name) for name, d in dimensions}
    archive = keras.export.ExportArchive()
    archive.add_endpoint("encode", encode, input_signature=[image])
    archive.add_endpoint("decode", decode, input_signature=[latents])
    return archive


def _next_version(export_dir):
    versions = [int(path.name) for path in export_dir.iterdir() if path.name.isdigit()]
    return max(versions, default=0) + 1


def _remove_leftovers(export_dir):
    for path in export_dir.glob(".incomplete_*"):
        process = path.name.removeprefix(".incomplete_")
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:
            continue
