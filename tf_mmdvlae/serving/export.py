"""The SavedModel: the trained encoder and decoder for programs that do not have this package."""

import errno
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import write_json
from tf_mmdvlae.serving.manifest import describe
from tf_mmdvlae.serving.model_card import model_card
from tf_mmdvlae.serving.signatures import signatures
from tf_mmdvlae.serving.warmup import example_requests, write_warmup


def export(model, export_dir, data=None, directions=None, metrics=None, extras=None, samplers=None):
    """Writes `model` as a SavedModel in the next free version of `export_dir`.

    It loads without this package and is served by TensorFlow Serving as it is. Its signatures are
    those of `tf_mmdvlae.serving.signatures`; `encode` is also `serving_default`. Beside them, under
    `assets.extra/`: `manifest.json` (what the model is, in a form for programs), `README.md` (the
    same for people, a model card) and `tf_serving_warmup_requests` (a request a signature, which
    TensorFlow Serving runs before the first user's).

    It is written to a hidden folder beside its place and renamed when whole, so that a server that
    watches `export_dir` never sees half of one.

    Args:
      model: a trained `MMDVLAE`.
      export_dir: the folder of versions, such as "exports/mnist".
      data: the `DataConfig` of the data that it was trained on, whose crop is taken for pictures
        given as bytes; None for none known.
      directions: `Directions`, for the signature `edit`; None for no such signature.
      metrics: the contents of `metrics.json`, of which manifest and card are made; None for none.
      extras: a function called with the path of the finished SavedModel before it is renamed, to
        write more into it.
      samplers: `Samplers`, for the signature `sample_fitted`; None for no such signature.

    Returns:
      The path of the version written, such as exports/mnist/3.

    Raises:
      InputError: if the folder cannot be written or the disk is full; no version is added.
    """
    export_dir = pathlib.Path(export_dir)
    hidden = export_dir / f".incomplete_{os.getpid()}"
    mixture = samplers.joint if samplers else None
    made = signatures(model, directions, data.crop if data else 1.0, mixture=mixture)
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(export_dir)
        # Left by a process that had this one's number, as they do in restarted containers.
        shutil.rmtree(hidden, ignore_errors=True)
        _archive(made).write_out(str(hidden), verbose=False)
        manifest = describe(model, made, data, directions, metrics, mixture)
        folder = hidden / "assets.extra"
        folder.mkdir()
        write_json(folder / "manifest.json", manifest)
        (folder / "README.md").write_text(model_card(manifest))
        write_warmup(folder / "tf_serving_warmup_requests", example_requests(made, directions))
        if extras is not None:
            extras(hidden)
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


def _archive(made):
    archive = keras.export.ExportArchive()
    for name, (function, specification) in made.items():
        archive.add_endpoint(name, function, input_signature=[specification])
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
