"""Disentanglement scores, for images whose factors are known."""
