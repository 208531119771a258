"""What a trained model is worth: metrics, a family a file, and one table of them by name.

Metrics take arrays and callables, never a model, so that a live model and a loaded export go
through the same code. Results are plain dicts that JSON can hold; every estimate comes with its
standard error and the number of cases that it was made from. What can't be said (the error of a
single case, the AUC of one class) is NaN, with a "note" that says why.
"""

from tf_mmdvlae.errors import InputError
from tf_mmdvlae.evaluation.prior_match import prior_match
from tf_mmdvlae.evaluation.probes import probe_layers
from tf_mmdvlae.evaluation.reconstruction import reconstruction_errors

METRICS = {
    "reconstruction": reconstruction_errors,
    "prior_match": prior_match,
    "probes": probe_layers,
}


def metric(name):
    """The metric of that name.

    Raises:
      InputError: for an unknown name; the message lists the known ones.
    """
    if name not in METRICS:
        raise InputError(f"Metric {name!r} is not known. Known: {', '.join(METRICS)}.")
    return METRICS[name]
