"""The public door: one Envoy configuration for a laptop and for the cluster."""
