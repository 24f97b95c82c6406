"""The REST door: turns HTTP into calls of auth, generation and results, and their answers into JSON.

It owns no data and decides nothing: rules, ownership and tokens are the services' business. What it owns is the
shape of the public API (paths, JSON, problem+json, event streams), how often anybody may call it, and the page that
people see in a browser.
"""
