"""What a trained model is worth: metrics, a family a file, and one table of them by name.

Metrics take arrays and callables, never a model, so that a live model and a loaded export go
through the same code. Results are plain dicts that JSON can hold; every estimate comes with its
standard error and the number of cases that it was made from. What can't be said (the error of a
single case, the AUC of one class) is NaN, with a "note" that says why.
"""

from tf_mmdvlae.errors import InputError
from tf_mmdvlae.evaluation import families

METRICS = {
    "reconstruction": families.reconstruction,
    "samples": families.samples,
    "prior": families.prior,
    "knowledge": families.knowledge,
    "disentanglement": families.factors,
    "arithmetic": families.arithmetic,
    "semi_supervised": families.semi_supervised,
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
