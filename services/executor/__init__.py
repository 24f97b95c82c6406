"""The executor: jobs, the queue and its fair share, workers, and the only door to ComfyUI.

Knows nothing of accounts, of people's history, or of sharing: a job has an owner id and nothing else of a person.

`scheduling/` says who is next, `worker/` is the process that paints, `engine/` the only door to ComfyUI and `sketch/` a
ComfyUI without a neural network; the files beside them are the server.
"""
