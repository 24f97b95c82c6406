"""The gateway's REST API in plain Python: typed answers, typed errors, tokens that renew themselves, event streams.

It knows httpx and nothing of Flet, so that it can be tested without a browser.
"""
