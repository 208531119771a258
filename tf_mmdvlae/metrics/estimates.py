"""Estimates: a value, its standard error, the number of cases behind it, and a note.

Every metric states its numbers in this one form, which JSON can hold. What can't be known (the
error of a single case, the area under a curve of one class) is NaN, and the note says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Estimate = dict[str, Any]
"""{"value", "standard_error", "count"}, what else belongs to the number, and a "note" or none."""


def estimate(
    value: float, standard_error: float, count: int, note: str = "", **others: Any
) -> Estimate:
    """An estimate whose standard error comes from a formula of its own.

    Args:
      value: of the measure; NaN where it is not known.
      standard_error: of the value; NaN where it is not known.
      count: how many cases the value was made from.
      note: what a reader of the value should know.
      others: further entries, such as a chance level.
    """
    result = {"value": float(value), "standard_error": float(standard_error), "count": int(count)}
    return {**result, **others, **({"note": note} if note else {})}


def unknown(count: int, note: str = "", **others: Any) -> Estimate:
    """An estimate without a value, and why it has none."""
    return estimate(np.nan, np.nan, count, note, **others)


def mean(values: Any, case: str = "case", missing: str = "", **others: Any) -> Estimate:
    """The mean over cases, with the standard error deviation / sqrt(count).

    Args:
      values: one number per case.
      case: what a case is called, for the note on a single one, which has no standard error.
      missing: why some values are not finite. Those are left out, and the note says how many there
        were. Without a reason, all values count.
      others: further entries.
    """
    values = np.asarray(values)
    known = values[np.isfinite(values)] if missing else values
    count, lost = len(known), len(values) - len(known)
    notes = [f"{lost} of {len(values)} left out: {missing}"] if lost else []
    if not count:
        return unknown(0, "; ".join(notes), **others)
    error = np.nan
    if count > 1:
        error = np.std(known, ddof=1) / np.sqrt(count)
    else:
        notes.append(f"one {case} only: no standard error")
    return estimate(np.mean(known), error, count, "; ".join(notes), **others)


def share(hits: np.ndarray) -> Estimate:
    """The share p of cases that are true, with the binomial standard error sqrt(p (1 - p) / n)."""
    value = np.mean(hits)
    return estimate(value, np.sqrt(value * (1 - value) / len(hits)), len(hits))


def ratio(
    numerators: np.ndarray, denominators: np.ndarray, note: str = "", case: str = "case"
) -> Estimate:
    """The ratio r of two means over the same cases.

    Its standard error is by the delta method: deviation(x - r y) / (sqrt(count) mean(y)).

    Args:
      numerators, denominators: x and y, one number of each per case.
      note: what a reader should know.
      case: what a case is called, for the note on a single one, which has no standard error.
    """
    count = len(numerators)
    if not count:
        return unknown(0, note)
    value = numerators.mean() / denominators.mean()
    if count == 1:
        return estimate(value, np.nan, 1, note or f"one {case} only: no standard error")
    deviation = np.std(numerators - value * denominators, ddof=1)
    return estimate(value, deviation / (np.sqrt(count) * denominators.mean()), count, note)


def bootstrap(value: float, draws: Any, count: int, **others: Any) -> Estimate:
    """A value whose standard error is the deviation between the values of bootstrap draws.

    Args:
      value: of the whole sample.
      draws: the values of samples that were redrawn with replacement.
      count: how many cases the sample has.
      others: further entries; "bootstrap_draws" is one always.
    """
    error = np.std(draws, ddof=1) if np.isfinite(value) else np.nan
    return estimate(value, error, count, bootstrap_draws=len(draws), **others)


def bootstrap_weights(rows: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """How often each row is in each bootstrap sample: whole numbers [draws, rows]."""
    return generator.multinomial(rows, np.full(rows, 1 / rows), size=draws)
