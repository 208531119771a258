"""Pictures of what a model draws, and plots of its numbers."""
