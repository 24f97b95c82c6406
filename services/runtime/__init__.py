"""How any service starts, listens, logs, fails and stops. Knows no context."""
