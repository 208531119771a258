"""The families of metrics: how each is measured, summed up in key numbers, and reported.

`FAMILIES` is the one table of them. A family's result is a dict that JSON can hold; where the data
do not allow a family, it is {"skipped": reason}.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.faces.factors import FACTORS
from tf_mmdvlae.data.labels import has_value, kind_of
from tf_mmdvlae.evaluation.case import Case, Part, floats
from tf_mmdvlae.evaluation.report import key_numbers, section_plots
from tf_mmdvlae.evaluation.report.key_numbers import KeyNumber
from tf_mmdvlae.metrics.attribute_edits import attribute_edits
from tf_mmdvlae.metrics.disentanglement.scores import disentanglement
from tf_mmdvlae.metrics.known_arithmetic import known_arithmetic
from tf_mmdvlae.metrics.layer_dependence import LEAST_ROWS, layer_dependence
from tf_mmdvlae.metrics.prior_distance import prior_distance
from tf_mmdvlae.metrics.probes import layer_knowledge
from tf_mmdvlae.metrics.reconstruction import reconstruction_quality
from tf_mmdvlae.metrics.sample_quality import sample_quality
from tf_mmdvlae.metrics.semi_supervised import semi_supervised_errors
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.functions import in_batches

# Enough for every estimate to be steady, few enough for neighbours in hundreds of dimensions.
SAMPLES = 10_000
_FEWEST_IMAGES = 10
_EDITED_IMAGES = 200
_RETOUCHES = (-2, -1, 0, 1, 2)
_SEMI_SUPERVISED_LABELS = 5


def reconstruction(case: Case) -> dict[str, Any]:
    """L1, MSE, PSNR and SSIM of reconstructions from posterior means, over all test images."""
    return reconstruction_quality(
        lambda images: case.decode(case.encode(images)[0]),
        case.test.float_batches(case.progress("images reconstructed")),
    )


def samples(case: Case) -> dict[str, Any]:
    """Generated images beside the test images, in the feature space of the case.

    There is one row per sampler; "reconstructions" of the test images, the best that the decoder
    could do; and "training images", which show how far real images lie from one another. A row has
    10,000 images where there are as many.
    """
    # The same number everywhere: Frechet distances of different numbers of images don't compare.
    count = min(SAMPLES, len(case.test.images), len(case.train.images))
    if count < _FEWEST_IMAGES:
        return {"skipped": f"there are {count} images, and {_FEWEST_IMAGES} are the fewest"}

    def features(to_images, rows, unit):
        return in_batches(
            lambda few: case.features(np.asarray(to_images(few), np.float32)),
            rows,
            progress=case.progress(unit),
        )

    real = features(floats, case.test.images[:count], "test images in feature space")
    codes = {name: draw(count, case.seed) for name, draw in case.samplers.items()}
    codes["reconstructions"] = latents.take(case.test.means, slice(count))
    sets = {name: features(case.decode, z, f"{name}: images") for name, z in codes.items()}
    training, unit = case.train.images[:count], "training images in feature space"
    sets["training images"] = features(floats, training, unit)
    progress, rows = case.progress("sets compared"), {}
    # Rows side by side: each is a chain of large matrix products and long sorts, which one core
    # does as well as several.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda name: sample_quality(real, sets[name], case.seed), sets)
        for name, result in zip(sets, results, strict=True):
            rows[name] = result
            progress(len(rows), len(sets))
    return {"rows": rows, "count": count, "dimensions": real.shape[1]}


def prior(case: Case) -> dict[str, Any]:
    """How far codes are from the prior, layer by layer, and the layers from independence."""
    codes = case.test.means, case.test.deviations
    progress = case.progress("batches of the prior")
    enough = len(case.test.images) >= LEAST_ROWS
    return {
        "layers": prior_distance(*codes, case.mmd_squared, seed=case.seed, progress=progress),
        "dependence": layer_dependence(*codes, seed=case.seed) if enough else [],
    }


def knowledge(case: Case) -> dict[str, Any]:
    """What each layer knows of every label, beside chance and an untrained encoder, if any."""
    if not case.test.labels:
        return {"skipped": "the data set has no labels"}

    def table(train, test):
        return layer_knowledge(train.means, train.labels, test.means, test.labels, seed=case.seed)

    parts = (case.train, case.test)
    untrained = None
    if case.untrained:
        progress = case.progress("images encoded without training")
        before = [Part.encoded(p.images, p.labels, case.untrained, progress) for p in parts]
        untrained = table(*before)
    return {"trained": table(*parts), "untrained": untrained}


def factors(case: Case) -> dict[str, Any]:
    """Disentanglement scores, where the data's independent factors are known."""
    if not case.factors:
        return {"skipped": "the data set's independent factors are not known"}
    values = {name: case.test.labels[name] for name in case.factors}
    return disentanglement(case.test.means, values, seed=case.seed)


def arithmetic(case: Case) -> dict[str, Any]:
    """a - minus + plus against the rendered "known" truth, or "edits" as a classifier sees them."""
    if case.render is not None:
        known = known_arithmetic(
            case.encode,
            case.decode,
            case.render,
            FACTORS,
            read=case.judge.predict if case.judge else None,
            triples=case.triples,
            seed=case.seed,
            progress=case.progress("factors"),
        )
        return {"known": known}
    if case.judge is None:
        reason = "no classifier judges the edits: give --judge, a folder of bin/train_classifier"
        return {"skipped": reason}
    if case.directions is None or not case.directions.names:
        return {"skipped": "the model has no directions to edit along"}
    judge = SimpleNamespace(predict=case.judge.predict_directions, features=case.judge.features)
    measure = functools.partial(
        attribute_edits,
        floats(case.test.images[:_EDITED_IMAGES]),
        case.encode,
        case.decode,
        case.directions,
        judge,
    )
    return {
        "edits": measure(progress=case.progress("attributes")),
        "retouches": measure(
            strengths=_RETOUCHES, progress=case.progress("attributes retouched"), retouch=True
        ),
    }


def semi_supervised(case: Case) -> dict[str, Any]:
    """Test errors of a classifier that is trained on a few labelled codes, by label.

    The labels are those of classes and the five most balanced attributes.
    """
    train, test = case.train, case.test
    labels = {
        name: values
        for name, values in test.labels.items()
        if has_value(values).any() and has_value(train.labels[name]).any()
    }
    classes = [name for name, values in labels.items() if kind_of(values) == "class"]
    attributes = [name for name, values in labels.items() if kind_of(values) == "attribute"]
    balanced = sorted(attributes, key=lambda name: abs((labels[name] > 0).mean() - 0.5))
    names = classes + balanced[:_SEMI_SUPERVISED_LABELS]
    if not names:
        return {"skipped": "the data set has no classes or attributes"}
    progress, errors = case.progress("labels"), {}
    for name in names:
        rows = [has_value(part.labels[name]) for part in (train, test)]
        errors[name] = semi_supervised_errors(
            latents.take(train.means, rows[0]),
            train.labels[name][rows[0]],
            latents.take(test.means, rows[1]),
            test.labels[name][rows[1]],
            seed=case.seed,
        )
        progress(len(errors), len(names))
    return errors


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of metrics: `measure` gives its result, which the report shows under its title.

    The `key_numbers` of a result are those that tables show and compare. The section's template is
    report/templates/<name of the family>.html, or estimates.html, which lists all estimates; it
    takes the result and its `plots`.
    """

    title: str
    measure: Callable[[Case], dict[str, Any]]
    key_numbers: Callable[[dict[str, Any]], list[KeyNumber]] = lambda result: []
    plots: Callable[[dict[str, Any]], dict[str, Any]] = lambda result: {}


FAMILIES = {
    "reconstruction": Family("Reconstruction", reconstruction, key_numbers.reconstruction),
    "samples": Family("Samples", samples, key_numbers.samples),
    "prior": Family("Match to the prior", prior, key_numbers.prior),
    "knowledge": Family(
        "What each layer knows", knowledge, key_numbers.knowledge, section_plots.knowledge
    ),
    "disentanglement": Family(
        "Disentanglement", factors, key_numbers.disentanglement, section_plots.disentanglement
    ),
    "arithmetic": Family(
        "Arithmetic", arithmetic, key_numbers.arithmetic, section_plots.arithmetic
    ),
    "semi_supervised": Family("A few labels", semi_supervised, key_numbers.semi_supervised),
}
"""Name -> family, in the order of the report."""


def family(name: str) -> Family:
    """Looks up a family; the `InputError` for an unknown name lists the known ones."""
    if name not in FAMILIES:
        raise InputError(f"Metric {name!r} is not known. Known: {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def summary(evaluation: dict[str, Any]) -> list[KeyNumber]:
    """The key numbers of all families that an evaluation measured, in the order of the report."""
    numbers = []
    for name, entry in FAMILIES.items():
        result = evaluation["metrics"].get(name)
        if result and "skipped" not in result:
            numbers += entry.key_numbers(result)
    return numbers
