"""Metrics of a trained model.

They take arrays and callables, never a model, so that a live model and a loaded export go through
the same code. Results are plain dicts that JSON can hold, made of the estimates of `estimates`.
"""
