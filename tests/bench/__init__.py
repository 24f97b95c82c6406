"""What our path costs beside the engine driven directly: `make bench`."""
