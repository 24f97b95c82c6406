"""An ordeal for a whole installation: people ask for pictures while everything it consists of is hurt in turn.

`faults` says what can be done to whom and when, `injector` does it, `people` ask, `verdict` judges what became of
every task, `ordeal` is the whole. `python -m tests.chaos` runs it at any size.
"""
