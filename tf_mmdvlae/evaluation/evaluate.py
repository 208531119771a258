"""An evaluation: a run or an export, its data, every family of metrics, and the report."""

import dataclasses
import json
import pathlib
import time

import keras
import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import make_folder, write_json
from tf_mmdvlae.common.progress import Progress, duration
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.config import get_config, known_datasets
from tf_mmdvlae.config.parsing import from_dict
from tf_mmdvlae.config.settings import Config, ModelConfig
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.evaluation.case import TRAIN_ROWS, Case, Part
from tf_mmdvlae.evaluation.classifier import load_classifier
from tf_mmdvlae.evaluation.families import METRICS, metric
from tf_mmdvlae.evaluation.features import feature_space
from tf_mmdvlae.evaluation.report.page import write_report
from tf_mmdvlae.metrics.digit_shapes import digit_shapes
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import Directions, find_directions
from tf_mmdvlae.model.functions import mmd_to_prior, numpy_functions
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.samplers import Samplers, fit_samplers
from tf_mmdvlae.serving.loaded import load
from tf_mmdvlae.training.loading import load_run
from tf_mmdvlae.training.workdir import Workdir

# Data sets whose labels are all of the causes, and how the names of those begin.
_CAUSES = {"synthetic_faces": "", "dsprites": "label_", "shapes3d": "label_"}


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is evaluated: a model as functions, and where it came from.

    Attributes:
      name: for people, such as "runs/mnist".
      kind: "run" or "export".
      encode, decode: on NumPy arrays; see `callables.numpy_functions`.
      model: its `ModelConfig`.
      data: the `DataConfig` of the data it is judged on.
      seed: the training's, from which the untrained encoder is made; None where not known.
      trained: what is known of the training: "steps", "commit", "versions".
      directions: `Directions`, or None.
      samplers_file: where fitted samplers are kept, or None.
    """

    name: str
    kind: str
    encode: object
    decode: object
    model: ModelConfig
    data: object
    seed: int | None
    trained: dict
    directions: Directions | None = None
    samplers_file: pathlib.Path | None = None


def run_subject(workdir, data_dir=None):
    """The model of a finished run.

    Args:
      workdir: the folder of the run.
      data_dir: the root of the TFDS data sets, if it is not where the run found it.

    Returns:
      A `Subject`.

    Raises:
      InputError: if there is no finished run there.
    """
    model = load_run(workdir)
    workdir = Workdir(workdir)
    config = workdir.read_config()
    encode, decode = numpy_functions(model)
    metrics = workdir.read_metrics()
    return Subject(
        name=str(workdir.path),
        kind="run",
        encode=encode,
        decode=decode,
        model=config.model,
        data=_cached(dataclasses.replace(config.data, data_dir=data_dir or config.data.data_dir)),
        seed=config.train.seed,
        trained={name: metrics.get(name) for name in ("steps", "seed", "commit", "versions")},
        directions=_read(workdir.directions_file, Directions.load),
        samplers_file=workdir.samplers_file,
    )


def export_subject(export, dataset, **data):
    """The model of an export, judged on a data set that is named.

    Args:
      export: an export, as `load` takes it.
      dataset: the name of a data set with a config file, or of another TFDS image set.
      data: fields of `DataConfig` that replace the data set's own, such as data_dir.

    Returns:
      A `Subject`.

    Raises:
      InputError: if there is no export, or the data set is not known.
    """
    served = load(export)
    manifest = served.manifest
    config = from_dict(ModelConfig, manifest["config"]["model"], "config.model")
    if dataset in known_datasets():
        known = get_config(dataset).data
    else:
        known = dataclasses.replace(Config().data, dataset=dataset)
    known = dataclasses.replace(known, crop=manifest["crop"], **data)
    return Subject(
        name=str(served.path),
        kind="export",
        encode=served.encode,
        decode=served.decode,
        model=config,
        data=_cached(known),
        seed=manifest.get("seed"),
        trained={name: manifest.get(name) for name in ("steps", "seed", "commit", "versions")},
    )


def evaluate(
    subject,
    out,
    metrics=None,
    features="pixels",
    judge=None,
    seed=0,
    images=None,
    report=True,
):
    """Measures a model and writes `evaluation.json` and `report.html`.

    Args:
      subject: a `Subject`.
      out: the folder of the two files; made where it is missing.
      metrics: names of families, of `evaluation.METRICS`; None for all.
      features: the space in which samples are compared; see `feature_spaces.feature_space`.
      judge: a folder of `bin/train_classifier`, which reads labels off images; None for none.
      seed: of everything drawn.
      images: how many test images at most are looked at; None for all.
      report: False leaves out `report.html`.

    Returns:
      The contents of `evaluation.json`: {"subject", "dataset", "test_split", "test_images",
      "train_images" (those that probes and samplers are fitted on), "seed", "features", "judge",
      "config", "trained", "versions", "commit", "metrics": {family: result}, "seconds": {family:
      time}}.

    Raises:
      InputError: for unknown metrics, a feature space or classifier that doesn't fit, or data
        that can't be had.
    """
    families = {name: metric(name) for name in metrics or METRICS}
    out = pathlib.Path(out)
    make_folder(out)
    space = feature_space(features, subject.model.image_shape)
    judged = None if judge is None else _judge(judge, subject)
    case = _case(subject, space, judged, seed, images)
    results, seconds = {}, {}
    for position, (name, family) in enumerate(families.items(), start=1):
        print(f"{position}/{len(families)} {name} ...", flush=True)
        began = time.monotonic()
        results[name] = family(case)
        seconds[name] = round(time.monotonic() - began, 1)
        said = results[name].get("skipped")
        print(f"    {'left out: ' + said if said else duration(seconds[name])}", flush=True)
    evaluation = {
        "subject": subject.name,
        "kind": subject.kind,
        "dataset": subject.data.dataset,
        "test_split": subject.data.test_split,
        "test_images": len(case.test.images),
        "train_images": len(case.train.images),
        "seed": seed,
        "features": {"name": space.name, "description": space.description},
        "judge": judged.name if judged else None,
        "config": dataclasses.asdict(subject.model),
        "trained": subject.trained,
        **provenance(),
        "metrics": results,
        "seconds": seconds,
    }
    write_json(out / "evaluation.json", evaluation)
    # What a reader of the file gets, where no NaN can be.
    evaluation = json.loads((out / "evaluation.json").read_text())
    if report:
        print("drawing the report ...", flush=True)
        write_report(out / "report.html", evaluation, case)
    return evaluation


def _case(subject, space, judge, seed, images):
    train, test = (
        pipeline.load_split(subject.data, subject.model.image_shape, which)
        for which in ("train", "test")
    )
    dataset = subject.data.dataset
    parts = []
    for split, count in ((train, TRAIN_ROWS), (test, images)):
        labels = {name: values[:count] for name, values in split.labels.items()}
        part = Part(np.asarray(split.images[:count]), labels)
        if dataset == "mnist" and subject.model.image_shape[-1] == 1:
            floats = np.asarray(part.images, np.float32) / np.float32(255)
            labels |= digit_shapes(floats)
        parts.append(part)
    beginning = _CAUSES.get(dataset)
    causes = () if beginning is None else tuple(n for n in test.labels if n.startswith(beginning))
    case = Case(
        encode=subject.encode,
        decode=subject.decode,
        train=parts[0],
        test=parts[1],
        mmd_squared=mmd_to_prior(subject.model, seed),
        samplers={},
        features=space,
        untrained=_untrained(subject),
        factors=causes,
        render=_renderer() if dataset == "synthetic_faces" else None,
        judge=judge,
        seed=seed,
        progress=_Lines(),
    )
    means, deviations = case.train_codes
    directions = subject.directions
    if directions is None and train.labels:
        labels = {name: values[:TRAIN_ROWS] for name, values in train.labels.items()}
        directions = find_directions(means, labels, train.class_names)
    fitted = _read(subject.samplers_file, Samplers.load)
    if fitted is None:
        fitted = fit_samplers(latents.posterior_samples(means, deviations, seed), seed=seed)
    samplers = {
        "prior": fitted.prior.sample,
        "joint": fitted.joint.sample,
        "per_layer": fitted.layers.sample,
    }
    made = dataclasses.replace(case, directions=directions, samplers=samplers)
    # The codes are the same; they need not be computed again.
    made.__dict__["train_codes"] = case.train_codes
    return made


def _untrained(subject):
    if subject.seed is None:
        return None
    keras.utils.set_random_seed(subject.seed)
    return numpy_functions(MMDVLAE(subject.model, subject.seed))[0]


def _renderer():
    from tf_mmdvlae.data.faces.renderer import render

    return render


def _judge(path, subject):
    judge = load_classifier(path)
    if tuple(judge.image_shape) != tuple(subject.model.image_shape):
        raise InputError(
            f"The classifier in {path} was trained on images of shape {tuple(judge.image_shape)}; "
            f"this model's are {tuple(subject.model.image_shape)}."
        )
    return judge


def _read(path, load_function):
    return load_function(path) if path is not None and path.exists() else None


def _cached(data):
    """Every family looks at the same images again, so they are kept."""
    return dataclasses.replace(data, cache="auto" if data.cache == "none" else data.cache)


class _Lines:
    """Progress of one task after another, each told by its unit."""

    def __init__(self):
        self._unit, self._progress = None, None

    def __call__(self, done, total, unit):
        if unit != self._unit:
            self._unit, self._progress = unit, Progress(total, unit, images="images" in unit)
        self._progress.update(done)
        if done >= total:
            self._progress.close()
            self._unit = None
