"""The engine seam: the only place that speaks ComfyUI.

It turns a model and parameters into a workflow graph, runs the graph on one ComfyUI server, tells what happens
meanwhile and brings the pictures back. It knows nothing of jobs, leases, owners and retries.
The facts behind it are in docs/comfyui-protocol.md.
"""
