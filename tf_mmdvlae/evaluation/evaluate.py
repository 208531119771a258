"""An evaluation: a run or an export, its data, every family of metrics, and the report."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import require_folder, write_json
from tf_mmdvlae.common.progress import Progress, duration
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config import get_config, known_datasets, unversioned
from tf_mmdvlae.config.parsing import from_dict
from tf_mmdvlae.config.settings import SYNTHETIC_FACES, Config, DataConfig, ModelConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.faces.renderer import render
from tf_mmdvlae.evaluation.case import Case, Encode, Part, Update, floats
from tf_mmdvlae.evaluation.classifier import Classifier, load_classifier
from tf_mmdvlae.evaluation.families import FAMILIES, family
from tf_mmdvlae.evaluation.features import FeatureSpace, ImageShape, feature_space
from tf_mmdvlae.evaluation.report.page import write_report
from tf_mmdvlae.metrics.digit_shapes import digit_shapes
from tf_mmdvlae.model.directions import Directions, find_directions
from tf_mmdvlae.model.functions import mmd_to_prior, numpy_functions
from tf_mmdvlae.model.latents import Latents, posterior_samples
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.samplers import Samplers, fit_samplers
from tf_mmdvlae.serving.loaded import load
from tf_mmdvlae.training.run import load_run, read_fitted
from tf_mmdvlae.training.workdir import Workdir

# Nearest-neighbour probes use no more training images, and they are plenty for samplers.
TRAIN_ROWS = 20_000
# Data sets whose labels are all of the causes, and how the names of those begin.
_CAUSES = {"synthetic_faces": "", "dsprites": "label_", "shapes3d": "label_"}


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model that is evaluated, and its origin.

    Attributes:
      name: for people, such as "runs/mnist".
      kind: "run" or "export".
      encode, decode: on NumPy arrays; see `model.functions.numpy_functions`.
      model, data: settings of the model, and of the data that it is measured on.
      seed: of the training, from which the untrained encoder is made; None if unknown, and
        for an encoder of the trainer's own.
      trained: facts of the training: "steps", "seed", "commit", "versions".
      directions, samplers: the run's own; None finds or fits them anew.
    """

    name: str
    kind: str
    encode: Encode
    decode: Callable[[Latents], np.ndarray]
    model: ModelConfig
    data: DataConfig
    seed: int | None
    trained: dict[str, Any]
    directions: Directions | None = None
    samplers: Samplers | None = None


def run_subject(workdir: pathlib.Path | str, data_dir: str | None = None) -> Subject:
    """The model of a finished run, whose `data_dir` may be another one than in training.

    A folder without a finished run is an `InputError`.
    """
    model = load_run(workdir)
    run = Workdir(workdir)
    config = run.read_config()
    encode, decode = numpy_functions(model)

    return Subject(
        name=str(run.path),
        kind="run",
        encode=encode,
        decode=decode,
        model=config.model,
        data=dataclasses.replace(config.data, data_dir=data_dir or config.data.data_dir),
        seed=config.train.seed if model.trunk is None else None,
        trained=_training(run.read_metrics()),
        directions=read_fitted(Directions, run.directions_file, model),
        samplers=read_fitted(Samplers, run.samplers_file, model),
    )


def export_subject(export: pathlib.Path | str, dataset: str, **data: Any) -> Subject:
    """The model of an export (see `load`), measured on a data set that is named.

    The data set has a preset, or is another TFDS image set; `data` are fields of `DataConfig` that
    replace its own. An export that cannot be loaded is an `InputError`.
    """
    served = load(export)
    manifest = served.manifest
    preset = get_config(dataset) if unversioned(dataset) in known_datasets() else Config()
    if manifest["dataset"] == dataset == "image_folder":
        # By other rules than those of its run, the model would be tested on what it trained on.
        record = {"listing": "0.2", **manifest["config"].get("data", {})}
        rules = {name: record[name] for name in ("listing", "test_fraction") if name in record}
        data = {**rules, **data}
    data = {"dataset": dataset, "crop": manifest["crop"], **data}
    return Subject(
        name=str(served.path),
        kind="export",
        encode=served.encode,
        decode=served.decode,
        model=from_dict(ModelConfig, manifest["config"]["model"], "config.model"),
        data=dataclasses.replace(preset.data, **data),
        seed=None if manifest.get("trunk") else manifest.get("seed"),
        trained=_training(manifest),
    )


def _training(details):
    names = ("steps", "seed", "commit", "versions")
    # Of a run that keeps its best weights.
    early_end = ("planned_steps", "stopped_at", "chosen_on")
    stopped = {name: details[name] for name in early_end if name in details}
    return {**{name: details.get(name) for name in names}, **stopped}


def evaluate(
    subject: Subject,
    out: pathlib.Path | str,
    metrics: Sequence[str] | None = None,
    features: str = "pixels",
    judge: pathlib.Path | str | None = None,
    seed: int = 0,
    images: int | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Measures a model and writes `evaluation.json` and `report.html`.

    Args:
      subject: the model.
      out: the folder of the two files; made where it is missing.
      metrics: names of families, from `families.FAMILIES`; None for all.
      features: the space in which samples are compared; see `features.feature_space`.
      judge: a folder of `bin/train_classifier`, which reads labels off images; None for none.
      seed: of all random draws.
      images: the number of test images at most; None for all.
      report: False leaves out `report.html`.

    Returns:
      The contents of `evaluation.json`: "metrics" are the families' results and "seconds" their
      times; "train_images" counts those that probes and samplers are fitted on.

    Raises:
      InputError: for unknown metrics, a feature space or classifier that does not fit, or data
        that cannot be read.
    """
    families = {name: family(name) for name in metrics or FAMILIES}
    out = require_folder(out)
    space = feature_space(features, subject.model.image_shape)
    classifier = None if judge is None else load_judge(judge, subject.model.image_shape)
    case = _case(subject, space, classifier, seed, images)
    results, seconds = {}, {}
    for position, (name, entry) in enumerate(families.items(), start=1):
        print(f"{position}/{len(families)} {name} ...", flush=True)
        start = time.monotonic()
        results[name] = entry.measure(case)
        seconds[name] = round(time.monotonic() - start, 1)
        reason = results[name].get("skipped")
        print(f"    {'left out: ' + reason if reason else duration(seconds[name])}", flush=True)
    evaluation = {
        "subject": subject.name,
        "kind": subject.kind,
        "dataset": subject.data.dataset,
        "test_split": subject.data.test_split,
        "test_images": len(case.test.images),
        "train_images": len(case.train.images),
        "seed": seed,
        "features": {"name": space.name, "description": space.description},
        "judge": classifier.name if classifier else None,
        "config": dataclasses.asdict(subject.model),
        "trained": subject.trained,
        **provenance(),
        "metrics": results,
        "seconds": seconds,
    }
    write_json(out / "evaluation.json", evaluation)
    # As a reader of the file gets it: null in place of NaN.
    evaluation = json.loads((out / "evaluation.json").read_text())
    if report:
        print("drawing the report ...", flush=True)
        write_report(out / "report.html", evaluation, case)
    return evaluation


def _case(
    subject: Subject, space: FeatureSpace, judge: Classifier | None, seed: int, images: int | None
) -> Case:
    config = subject.model
    # Every family reads the same images, so they are kept.
    cache = "auto" if subject.data.cache == "none" else subject.data.cache
    data = dataclasses.replace(subject.data, cache=cache)
    splits = [pipeline.load_split(data, config.image_shape, name) for name in ("train", "test")]
    train = _part(splits[0], TRAIN_ROWS, subject, "training images encoded")
    test = _part(splits[1], images, subject, "test images encoded")
    directions = subject.directions
    if directions is None and splits[0].labels:
        labels = {name: train.labels[name] for name in splits[0].labels}
        directions = find_directions(train.means, labels, splits[0].class_names)
    codes = posterior_samples(train.means, train.deviations, seed)
    samplers = subject.samplers or fit_samplers(codes, seed=seed)
    prefix = _CAUSES.get(unversioned(data.dataset))
    causes = () if prefix is None else tuple(n for n in splits[1].labels if n.startswith(prefix))
    return Case(
        encode=subject.encode,
        decode=subject.decode,
        train=train,
        test=test,
        mmd_squared=mmd_to_prior(config, seed),
        samplers={
            "prior": samplers.prior.sample,
            "joint": samplers.joint.sample,
            "per_layer": samplers.layers.sample,
        },
        features=space,
        untrained=_untrained(subject),
        factors=causes,
        render=render if data.dataset == SYNTHETIC_FACES else None,
        directions=directions,
        judge=judge,
        seed=seed,
        progress=_progress,
    )


def _part(split, count, subject, unit):
    images = np.asarray(split.images[:count])
    labels = {name: values[:count] for name, values in split.labels.items()}
    if unversioned(subject.data.dataset) == "mnist" and subject.model.image_shape[-1] == 1:
        labels |= digit_shapes(floats(images))
    return Part.encoded(images, labels, subject.encode, _progress(unit))


def _untrained(subject):
    if subject.seed is None:
        return None
    keras.utils.set_random_seed(subject.seed)
    return numpy_functions(MMDVLAE(subject.model, subject.seed))[0]


def load_judge(path: pathlib.Path | str, image_shape: ImageShape) -> Classifier:
    """Loads a folder of `bin/train_classifier` that judges images of `image_shape`.

    One for images of another shape is an `InputError`.
    """
    judge, shape = load_classifier(path), tuple(image_shape)
    if judge.image_shape != shape:
        raise InputError(
            f"The classifier in {path} was trained on images of shape {judge.image_shape}; this "
            f"model's are {shape}."
        )
    return judge


def _progress(unit: str) -> Update:
    """Shows the progress of one task after another that have the same unit."""
    lines: list[Progress] = []

    def update(done: int, total: int) -> None:
        if not lines:
            lines.append(Progress(total, unit, images="images" in unit))
        lines[-1].update(done)
        if done >= total:
            lines.pop().close()

    return update
