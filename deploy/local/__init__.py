"""`make run`: the whole of ImageGen on one machine, from wheels alone; no Docker, no root, no database needed.

`topology` says which processes there are, `supervisor` keeps them running, `watchdog` lets none outlive the
launcher. The other files are one part each.
"""
