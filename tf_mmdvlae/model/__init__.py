"""The ladder, its loss and its latent algebra."""
