"""A rolling update of a whole installation under load, of the code that is here or from an earlier revision's to it.

`python -m tests.rolling` is the long form.
"""
