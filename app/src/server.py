"""Where the gateway is, for a client that runs without the web process."""

URL = "http://127.0.0.1:8080"
"""A package for phones and desktops carries what stands here when it is made. In the static web build `app.static`
writes its own, and nothing there means: where the page came from.
"""
