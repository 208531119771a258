"""Synthetic faces, drawn from known factors."""
