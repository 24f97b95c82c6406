"""What Prometheus is told of HTTP, by every process that serves it."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("imagegen_http_requests_total", "HTTP requests.", ["method", "route", "status"])
SECONDS = Histogram("imagegen_http_request_seconds", "Duration of HTTP requests.", ["method", "route"])

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""A client may send any word as its method; only these become a metric's label."""

UNKNOWN_ROUTE = "unknown"
"""Of a path that nothing serves: clients invent those, too."""


def count(method: str, route: str, status: int, seconds: float) -> str:
    """Count a request by its route's template; the method as it is told."""
    method = method if method in METHODS else "other"
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
    return method
