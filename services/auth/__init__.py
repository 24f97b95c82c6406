"""Auth: who people are, how they sign in, and the keys that sign their access tokens.

Owns the tables `users`, `sessions`, `refresh_tokens` and `signing_keys`. Calls nobody. Knows nothing of what people do
once they are signed in: each service verifies access tokens itself, with the public keys listed here.
"""
