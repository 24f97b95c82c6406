"""The commands of `python -m services.auth`, a module for each noun.

Each has `register(nouns)`, which adds the noun and its verbs to the parser; a verb sets `run` to a function that takes
the parsed options, prints for people, and returns the exit code. They work on the database: auth need not run.
"""
