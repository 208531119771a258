"""What every room uses: errors, files, progress, provenance, network."""
