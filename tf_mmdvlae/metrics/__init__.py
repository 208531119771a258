"""What a trained model is worth: metrics.

Metrics take arrays and callables, never a model, so that a live model and a loaded export go
through the same code. Results are plain dicts that JSON can hold; every estimate comes with its
standard error and the number of cases that it was made from. What can't be said (the error of a
single case, the AUC of one class) is NaN, with a "note" that says why.
"""
