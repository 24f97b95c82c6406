"""Sketch: a small server that speaks ComfyUI 0.33's protocol and paints procedural landscapes.

It is the first run, the test engine and the victim of chaos tests: no GPU, no weights, no neural network, and
it says so in `/system_stats`. It follows docs/comfyui-protocol.md and the recordings of a real server in
tests/executor/recordings; where the two differ, sketch is wrong. It is not a sandbox for foreign graphs: like
the original it trusts whoever can reach its port.
"""
