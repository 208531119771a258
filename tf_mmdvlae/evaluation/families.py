"""Each family of metrics applied to a case; a family that can't be measured says why.

A result is a dict that JSON can hold. Where the data don't allow a family, it is
{"skipped": reason}.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from tf_mmdvlae.common.errors import InputError
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

# Enough for every estimate to be steady, few enough for neighbours in hundreds of dimensions.
SAMPLES = 10_000
_FEWEST_IMAGES = 10
_EDITED_IMAGES = 200
_SEMI_SUPERVISED_LABELS = 5
_NO_LABELS = "the data set has no labels"


def reconstruction(case):
    """L1, MSE, PSNR and SSIM of reconstructions from posterior means, over all test images."""

    def reconstruct(images):
        return case.decode(case.encode(images)[0])

    return reconstruction_quality(reconstruct, case.test.floats(case.tell("images reconstructed")))


def samples(case):
    """Generated images beside the test images, in the feature space of the case.

    Rows: each sampler; "reconstructions" of the test images, the best that the decoder could do;
    and "training images", as far as real images lie from one another.

    Returns:
      {"rows": {name: `sample_quality`'s dict}, "count", "dimensions"}, with 10,000 images a row
      where there are as many.
    """
    # The same number everywhere: Frechet distances of different numbers don't compare.
    count = min(SAMPLES, len(case.test.images), len(case.train.images))
    if count < _FEWEST_IMAGES:
        return {"skipped": f"there are {count} images, and {_FEWEST_IMAGES} are the fewest"}
    test = _first(case.test, count)
    real = _features(case, test.floats(case.tell("test images in feature space")))
    codes = {name: draw(count, case.seed) for name, draw in case.samplers.items()}
    rows = np.arange(count)
    codes["reconstructions"] = latents.take(case.test_codes[0], rows)
    found = {name: _features(case, case.decoded(z, f"{name}: images")) for name, z in codes.items()}
    train = _first(case.train, count).floats(case.tell("training images in feature space"))
    found["training images"] = _features(case, train)
    compared, done = {}, 0
    # Rows side by side: each is a chain of large matrix products and long sorts, which one core
    # does as well as several.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = {
            name: pool.submit(sample_quality, real, values, case.seed)
            for name, values in found.items()
        }
        for name, future in pending.items():
            compared[name], done = future.result(), done + 1
            if case.progress:
                case.progress(done, len(pending), unit="sets compared")
    return {"rows": compared, "count": count, "dimensions": real.shape[1]}


def prior(case):
    """How far codes are from the prior, layer by layer, and the layers from independence."""
    means, deviations = case.test_codes
    enough = latents.row_count(means) >= LEAST_ROWS
    return {
        "layers": prior_distance(
            means,
            deviations,
            case.mmd_squared,
            seed=case.seed,
            progress=case.tell("batches of the prior"),
        ),
        "dependence": layer_dependence(means, deviations, seed=case.seed) if enough else [],
    }


def knowledge(case):
    """What each layer knows of every label, beside chance and an untrained encoder.

    Returns:
      {"trained": `layer_knowledge`'s dict, "untrained": the same or None}.
    """
    if not case.test.labels:
        return {"skipped": _NO_LABELS}
    arguments = {"train_labels": case.train.labels, "test_labels": case.test.labels}

    def table(train_means, test_means):
        return layer_knowledge(
            train_means=train_means, test_means=test_means, seed=case.seed, **arguments
        )

    return {
        "trained": table(case.train_codes[0], case.test_codes[0]),
        "untrained": table(*case.untrained_means) if case.untrained else None,
    }


def factors(case):
    """Disentanglement scores, where the data's independent factors are known."""
    if not case.factors:
        return {"skipped": "the data set's independent factors are not known"}
    values = {name: case.test.labels[name] for name in case.factors}
    return disentanglement(case.test_codes[0], values, seed=case.seed)


def arithmetic(case):
    """a - minus + plus: against the rendered truth, or edits in the eyes of a classifier."""
    if case.render is not None:
        from tf_mmdvlae.data.faces.factors import FACTORS

        return {
            "known": known_arithmetic(
                case.encode,
                case.decode,
                case.render,
                FACTORS,
                read=case.judge.predict if case.judge else None,
                triples=case.triples,
                seed=case.seed,
                progress=case.tell("factors"),
            )
        }
    if case.judge is None:
        return {
            "skipped": "no classifier judges the edits: give --judge, a folder of "
            "bin/train_classifier"
        }
    if case.directions is None or not case.directions.names:
        return {"skipped": "the model has no directions to edit along"}
    images = next(_first(case.test, _EDITED_IMAGES).floats())
    edits = attribute_edits(
        images,
        case.encode,
        case.decode,
        case.directions,
        _DirectionJudge(case.judge),
        progress=case.tell("attributes"),
    )
    return {"edits": edits}


def semi_supervised(case):
    """Test errors of a classifier that is given a few labelled codes.

    Returns:
      {label: `semi_supervised_errors`' dict}, of every label of classes and of the five most
      balanced attributes.
    """
    chosen = _few_labels(case.test.labels)
    if not chosen:
        return {"skipped": "the data set has no classes or attributes"}
    found = {}
    for done, name in enumerate(chosen, start=1):
        found[name] = semi_supervised_errors(
            case.train_codes[0],
            case.train.labels[name],
            case.test_codes[0],
            case.test.labels[name],
            seed=case.seed,
        )
        if case.progress:
            case.progress(done, len(chosen), unit="labels")
    return found


class _DirectionJudge:
    """A judge in the words of directions: an attribute's own name, "<label>=<class>" of classes."""

    def __init__(self, judge):
        self._judge = judge
        self.features = judge.features

    def predict(self, images):
        probabilities = {}
        for name, values in self._judge.predict(images).items():
            kind = self._judge.labels[name]["kind"]
            if kind == "attribute":
                probabilities[name] = values
            elif kind == "class":
                for column, one in enumerate(self._judge.labels[name]["class_names"]):
                    probabilities[f"{name}={one}"] = values[:, column]
        return probabilities


def _few_labels(labels):
    classes = [name for name, values in labels.items() if values.dtype.kind in "iu"]
    attributes = [name for name, values in labels.items() if values.dtype.kind == "b"]
    balanced = sorted(attributes, key=lambda name: abs(labels[name].mean() - 0.5))
    return classes + balanced[:_SEMI_SUPERVISED_LABELS]


def _features(case, batches):
    return np.concatenate([case.features(np.asarray(batch, np.float32)) for batch in batches])


def _first(part, count):
    return type(part)(
        part.images[:count], {name: values[:count] for name, values in part.labels.items()}
    )


METRICS = {
    "reconstruction": reconstruction,
    "samples": samples,
    "prior": prior,
    "knowledge": knowledge,
    "disentanglement": factors,
    "arithmetic": arithmetic,
    "semi_supervised": semi_supervised,
}
"""Name -> function of a `case.Case` that gives a dict."""


def metric(name):
    """The family of metrics of that name.

    Raises:
      InputError: for an unknown name; the message lists the known ones.
    """
    if name not in METRICS:
        raise InputError(f"Metric {name!r} is not known. Known: {', '.join(METRICS)}.")
    return METRICS[name]
