"""Estimates: a value, its standard error, the number of cases behind it, and a note.

Every metric states its numbers in this one form. What can't be known (the error of a single case,
the area under a curve of one class) is NaN, and the note says why. Every function passes `others`,
further entries such as a chance level, on into the estimate. `case` is what a case is called in the
note on a single one, which has no standard error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Estimate = dict[str, Any]
"""{"value", "standard_error", "count"}, what else belongs to the number, and a "note" or none."""


def estimate(
    value: float, standard_error: float, count: int, note: str = "", **others: Any
) -> Estimate:
    """An estimate whose standard error comes from a formula of its own."""
    result = {"value": float(value), "standard_error": float(standard_error), "count": int(count)}
    return {**result, **others, **({"note": note} if note else {})}


def unknown(count: int, note: str = "", **others: Any) -> Estimate:
    """An estimate without a value, and why it has none."""
    return estimate(np.nan, np.nan, count, note, **others)


def mean(values: Any, case: str = "case", missing: str = "", **others: Any) -> Estimate:
    """The mean over cases, with the standard error deviation / sqrt(count).

    Args:
      values: one number per case.
      missing: why some values are not finite. Those are left out, and the note says how many there
        were. Without a reason, all values count.
    """
    values = np.asarray(values)
    known = values[np.isfinite(values)] if missing else values
    count, lost = len(known), len(values) - len(known)
    notes = [f"{lost} of {len(values)} left out: {missing}"] if lost else []
    if not count:
        return unknown(0, "; ".join(notes), **others)
    if count == 1:
        notes.append(f"one {case} only: no standard error")
    error = np.std(known, ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return estimate(np.mean(known), error, count, "; ".join(notes), **others)


def share(hits: np.ndarray) -> Estimate:
    """The share p of cases that are true, with the binomial standard error sqrt(p (1 - p) / n)."""
    value = np.mean(hits)
    return estimate(value, np.sqrt(value * (1 - value) / len(hits)), len(hits))


def ratio(
    numerators: np.ndarray, denominators: np.ndarray, note: str = "", case: str = "case"
) -> Estimate:
    """The ratio r of the means of x and y, which are the numerators and denominators [cases].

    Its standard error is by the delta method: deviation(x - r y) / (sqrt(count) mean(y)).
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
      value: of the whole sample, of `count` cases.
      draws: the values of samples redrawn with replacement; "bootstrap_draws" is their number.
    """
    error = np.std(draws, ddof=1) if np.isfinite(value) else np.nan
    return estimate(value, error, count, bootstrap_draws=len(draws), **others)


def bootstrap_weights(rows: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """How often each row is in each bootstrap sample: whole numbers [draws, rows]."""
    return generator.multinomial(rows, np.full(rows, 1 / rows), size=draws)
