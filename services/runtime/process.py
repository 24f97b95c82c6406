"""How any process begins."""

from prometheus_client import start_http_server

from services.runtime.logs import configure_logging
from services.runtime.settings import ProcessSettings


def start_process(name: str) -> ProcessSettings:
    """Logging and metrics, before anything else of a process."""
    settings = ProcessSettings()
    configure_logging(name, settings.log_format)
    if settings.metrics_listen:
        host, port = settings.metrics_listen.rsplit(":", 1)
        start_http_server(int(port), host)
    return settings
