"""A rolling update of a whole installation under load. `python -m tests.rolling` is the long form."""
