"""Images: where they come from, how they are kept, and in what order they reach the model."""
