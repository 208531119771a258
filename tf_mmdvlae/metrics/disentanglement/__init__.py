"""Disentanglement scores, for images whose factors are known.

The function of each score takes a `FactorTable` and gives {"dimensions": scores of dimensions,
"layers": scores of layers}, which are estimates in [0, 1]. A score is NaN, with a "note", where
there is no second factor, dimension or layer to compare with.
"""
