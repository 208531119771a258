"""Disentanglement scores, for images whose factors are known.

Each takes a `FactorTable`, and gives {"dimensions": its scores of dimensions, "layers": those of
layers}: estimates in [0, 1], NaN with a "note" where there is nothing to compare.
"""
