"""The end of a run: the trained model is measured, drawn and exported.

All functions raise an `InputError` where a run is not finished, its data set can't be had, another
process is at work in its folder, or a file cannot be written.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing, require_space, write_json
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config import unversioned
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.decode import MAX_MEGAPIXELS
from tf_mmdvlae.figures.run import draw_all, draw_dimensions
from tf_mmdvlae.metrics.prior_distance import prior_match
from tf_mmdvlae.metrics.probes import probe_layers
from tf_mmdvlae.metrics.reconstruction import reconstruction_errors
from tf_mmdvlae.model.directions import Directions, find_directions
from tf_mmdvlae.model.functions import BATCH, in_batches, joined, mmd_to_prior, numpy_functions
from tf_mmdvlae.model.latents import posterior_samples, row_count, take
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.samplers import Samplers, fit_samplers
from tf_mmdvlae.serving.export import check_place, export
from tf_mmdvlae.serving.formats import other_formats, require_formats
from tf_mmdvlae.serving.model_card import SHOWN
from tf_mmdvlae.training.checkpoints import saved_size
from tf_mmdvlae.training.held_out import overfitting
from tf_mmdvlae.training.run import Run, load_run, read_fitted
from tf_mmdvlae.training.workdir import Workdir

# Probes, directions and mixtures gain little from more codes than these, and a layer's active
# dimensions already show in a thousand images.
_TRAIN_IMAGES = 20_000
_FIGURE_IMAGES = 1_000
# This many test images compare each other format with the SavedModel.
_CHECKED_IMAGES = 16
_EXAMPLES = 16
# A task that takes less shows no progress.
_QUIET_SECONDS = 3
# Mixtures, figures and export of one latent layer took 5 seconds for MNIST and 14 for 64x64 faces,
# on one busy core.
_SECONDS_PER_LAYER = 10.0


@dataclasses.dataclass(frozen=True)
class Result:
    """The results of a run."""

    workdir: pathlib.Path
    metrics: dict  # the contents of metrics.json
    export: pathlib.Path  # the SavedModel's version folder
    was_finished: bool = False  # True if the run had ended before and nothing was done


def finish(run: Run, model: MMDVLAE, export_dir: pathlib.Path | str) -> Result:
    """Measures, saves, draws and exports a trained model, then writes `metrics.json`.

    The run's splits are loaded; the model is on one device and in float32.
    """
    config, workdir = run.config, run.workdir
    history = workdir.read_history()
    verdict = overfitting(history, run.splits["held_out"].size)
    # The best weights are those from before the run overfitted.
    if verdict and not config.train.stop_after:
        print(verdict, flush=True)
    print("Measuring on the test split ...", flush=True)
    functions = numpy_functions(model)
    measurements, directions, samplers = measure(functions, config, run.splits)
    metrics = {
        **measurements,
        **_steps(run, model, history),
        "seed": config.train.seed,
        "rollbacks": run.rollbacks,
        "training_seconds": history[-1]["seconds"] if history else None,
        "parameters": model.count_params(),
        **provenance(),
        "config": config.to_dict(),
    }
    require_space(workdir.path, saved_size(model))
    with replacing(workdir.model_file) as temporary:
        model.save(temporary)
    if directions is not None:
        directions.save(workdir.directions_file)
    samplers.save(workdir.samplers_file)
    print("Drawing the figures ...", flush=True)
    draw(functions, config, workdir, run.splits["test"])
    print("Exporting the SavedModel ...", flush=True)
    shown = _first(run.splits["test"], _EXAMPLES) if _is_shown(config) else None
    version = export(
        model, export_dir, config.data, directions, metrics, samplers=samplers, examples=shown
    )
    # The same run may later be named from another working directory.
    write_json(workdir.metrics_file, {**metrics, "export": str(version.resolve())})
    return Result(workdir.path, workdir.read_metrics(), version)


def _steps(run, model, history):
    """The steps behind the weights; where these are the best, also of how many and by what."""
    planned = run.config.train.steps
    if not run.config.train.stop_after or not history:
        return {"steps": planned}
    by_test = run.splits["held_out"] is run.splits["test"]
    taken = {
        "planned_steps": planned,
        "stopped_at": history[-1]["step"],
        "chosen_on": "test" if by_test else "validation",
    }
    return {"steps": int(model.optimizer.iterations.numpy()), **taken}


def finishing_seconds(config: Config, sizes: Mapping[str, int], training_rate: float) -> float:
    """Foretells how many seconds `finish` takes, from the images that a second of training takes.

    `sizes` are the numbers of images of the splits, "train" and "test".
    Training takes about three times as long as a reconstruction, and six times as long as a code.
    """
    codes = min(_TRAIN_IMAGES, sizes["train"])
    seconds = (sizes["test"] / 3 + codes / 6) / training_rate
    return seconds + _SECONDS_PER_LAYER * len(config.model.latent_dims)


def measure(
    functions: tuple[Callable, Callable], config: Config, splits: dict[str, pipeline.Split]
) -> tuple[dict, Directions | None, Samplers]:
    """Measures a model on the test split, and fits directions and samplers to its codes.

    L1 and MSE are of reconstructions from posterior means over the whole test split; MMD^2 is of
    posterior samples in batches of the training batch's size. Probes, directions and samplers are
    fitted to the codes of the first 20,000 training images, or of all where there are fewer.
    `functions` are the model's (encode, decode), as `numpy_functions` makes them.

    Returns:
      The numbers of `metrics.json`: {"test": {"l1", "mse", "mmd_1" ... "mmd_L", "mmd_joint"},
      "probes": {label: {layer: ...}}, "test_images", "train_images", "skipped_images"}; then the
      directions of the labels, None without labels; then the samplers.
    """
    encode, decode = functions
    train, test, seed = splits["train"], splits["test"], config.train.seed
    codes = []

    def reconstruct(images):
        codes.append(encode(images))
        return decode(codes[-1][0])

    numbers = reconstruction_errors(reconstruct, _batches(test, test.size))
    means, deviations = joined(codes)
    mmd = mmd_to_prior(config.model, seed)
    numbers |= prior_match(means, deviations, mmd, config.train.batch_size, seed)
    count = min(_TRAIN_IMAGES, train.size)
    train_means, train_deviations = joined([encode(batch) for batch in _batches(train, count)])
    probes, directions = _read_labels(splits, train_means, means)
    print("Fitting mixtures to the codes ...", flush=True)
    samples = posterior_samples(train_means, train_deviations, seed)
    results = {
        "test": numbers,
        "probes": probes,
        "test_images": test.size,
        "train_images": train.size,
        "skipped_images": train.skipped + test.skipped,
    }
    return results, directions, fit_samplers(samples, seed=seed)


def _read_labels(splits, train_means, test_means):
    """How well labels are read from codes, those of the first training images and of all test
    images, and the labels' directions."""
    train, test = splits["train"], splits["test"]
    if not train.labels:
        return {}, None
    labels = {name: values[: row_count(train_means)] for name, values in train.labels.items()}
    probes = probe_layers(train_means, labels, test_means, test.labels)
    return probes, find_directions(train_means, labels, train.class_names)


def draw(
    functions: tuple[Callable, Callable], config: Config, workdir: Workdir, split: pipeline.Split
) -> list[pathlib.Path]:
    """Draws every figure of a run into its workdir, of test images; returns the paths."""
    images = _figure_images(split)
    history = workdir.read_history()
    names = dict.fromkeys(name for record in history for name in record)
    columns = {name: [record.get(name) for record in history] for name in names}
    fade_in = config.train.fade_in(len(config.model.latent_dims))
    return draw_all(workdir.figures, *functions, images, columns, fade_in, config.train.seed)


def _figure_images(split):
    return np.concatenate(list(_batches(split, min(_FIGURE_IMAGES, split.size))))


def draw_run(
    workdir: pathlib.Path | str,
    data_dir: pathlib.Path | str | None = None,
    moving: pathlib.Path | str | None = None,
) -> list[pathlib.Path]:
    """Draws the figures of a finished run again; returns their paths.

    `data_dir` is the root of the TFDS data sets, if it is not where the run found it. `moving`, a
    GIF or MP4 file, is drawn in place of the figures: what every layer's dimensions do.
    """
    model, folder = load_run(workdir), Workdir(workdir)
    config = folder.read_config()
    split = _test_split(config, data_dir)
    encode, decode = numpy_functions(model)
    if moving is not None:
        means, _ = in_batches(encode, _figure_images(split))
        return [draw_dimensions(moving, decode, means, take(means, [0]))]
    with folder.locked():
        return draw((encode, decode), config, folder, split)


def export_run(
    workdir: pathlib.Path | str,
    export_dir: pathlib.Path | str | None = None,
    formats: Sequence[str] = (),
    data_dir: pathlib.Path | str | None = None,
    labels: str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> pathlib.Path:
    """Exports a finished run again, in the next free version; returns the version's path.

    `export_dir` is the folder of versions; None is that of the run, if it is a default of
    bin/train. `formats` are further formats to write into the version's `assets.extra/`, "tflite"
    or "onnx"; test images compare them with the SavedModel, and their packages must be installed.
    `data_dir` is as for `draw_run`.
    `labels`, for a run on an image folder, is `DataConfig.labels` in place of the run's: directions
    are found for these labels, from the images that have some. The run itself stays as it is.
    The export refuses pictures of more than `max_megapixels`.
    """
    folder = Workdir(workdir)
    config, metrics = folder.read_config(), folder.read_metrics()
    require_formats(formats)
    if labels is not None and config.data.dataset != "image_folder":
        raise InputError(f"--labels is for runs on image folders, not on {config.data.dataset}.")
    export_dir = export_dir or _default_export_dir(workdir, config, metrics)
    check_place(export_dir, config.model.image_shape, config.data)
    splits = None if labels is None else _relabelled(config, labels)
    model = load_run(workdir)
    if splits is None:
        directions = read_fitted(Directions, folder.directions_file, model)
    else:
        metrics["probes"], directions = _directions_of(model, splits)
    samplers = read_fitted(Samplers, folder.samplers_file, model)
    found = "labels" if splits else folder.directions_file.name
    for fitted, loss in (
        (directions, f"no {found}, so the export cannot edit"),
        (samplers, f"no {folder.samplers_file.name}, so the export has no sample_fitted"),
    ):
        if fitted is None:
            print(f"{workdir} has {loss}.", flush=True)
    extras = None
    if formats:
        images = _first(_test_split(config, data_dir), _CHECKED_IMAGES)
        extras = other_formats(formats, model, images)
    shown = _shown(config, data_dir)
    return export(
        model, export_dir, config.data, directions, metrics, extras, samplers, max_megapixels, shown
    )


def _is_shown(config):
    return unversioned(config.data.dataset) in SHOWN


def _shown(config, data_dir):
    """Example pictures of a run whose data may not be here; they are not worth a download."""
    from tf_mmdvlae.data.builders import is_prepared

    if not _is_shown(config):
        return None
    if is_prepared(_data(config, data_dir)):
        return _first(_test_split(config, data_dir), _EXAMPLES)
    print(f"{config.data.dataset} is not prepared: the export has no example pictures.", flush=True)
    return None


def _relabelled(config, labels):
    """The splits of an image folder with other labels."""
    data = config.changed(data={"labels": labels}).data
    names = ("train", "test")
    return {name: pipeline.load_split(data, config.model.image_shape, name) for name in names}


def _directions_of(model, splits):
    """What `_read_labels` gives for a model's codes."""
    encode, _ = numpy_functions(model)
    counts = min(_TRAIN_IMAGES, splits["train"].size), splits["test"].size
    means = [
        joined([encode(batch)[0] for batch in _batches(split, count)])
        for split, count in zip(splits.values(), counts, strict=True)
    ]
    return _read_labels(splits, *means)


def _default_export_dir(workdir, config, metrics):
    """The folder of the run's export, if that is one which bin/train takes by itself.

    Another folder is one that its user named, and a file must not name one in the user's place.
    """
    recorded = pathlib.Path(metrics["export"]).parent
    is_usual = recorded.parent == pathlib.Path("exports").resolve()
    if is_usual and recorded.name.startswith(unversioned(config.data.dataset)):
        return recorded
    raise InputError(
        f"{workdir} was exported to {recorded}, which is not a default of bin/train here; say "
        f"where the new version belongs, such as --export_dir={recorded}."
    )


def _data(config, data_dir):
    return config.changed(data={"data_dir": data_dir or config.data.data_dir}).data


def _test_split(config, data_dir):
    return pipeline.load_split(_data(config, data_dir), config.model.image_shape, "test")


def _first(split, count):
    return next(_batches(split, count))


def _batches(split, count):
    """The first `count` images of a split."""
    progress = Progress(count, f"{split.name} images read", delay=_QUIET_SECONDS)
    position = 0
    with pipeline.explained_stream(split):
        for batch in pipeline.evaluation_batches(split, BATCH).take(1 + (count - 1) // BATCH):
            images = np.asarray(batch)[: count - position]
            yield images
            position += len(images)
            progress.update(position)
    progress.close()
