"""Auth: who people are, how they sign in, the API keys they make, and the keys that sign their access tokens.

Owns the tables `users`, `sessions`, `refresh_tokens`, `api_keys`, `revocations`, `erasures`, `attempts`, `signing_keys`
and `secrets`. Calls nobody. Knows nothing of what people do once they are signed in: each service verifies access
tokens itself, with the public keys listed here, and asks here for the rest.
"""
