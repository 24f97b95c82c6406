"""Generation: tasks (what people asked for), the models on offer, prompt suggestions.

Knows nothing of ComfyUI, workflows or files: the executor paints, and what it last told about each job is here. Of
pictures it knows only whether there is room for more.
"""
