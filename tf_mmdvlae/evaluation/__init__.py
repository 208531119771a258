"""Evaluation of a trained model: its metrics, its report, and models side by side."""
