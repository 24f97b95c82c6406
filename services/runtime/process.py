"""How any process begins."""

from prometheus_client import Gauge, disable_created_metrics, start_http_server

from services.runtime.logs import configure_logging
from services.runtime.settings import ProcessSettings

PROCESS = Gauge("imagegen_process_info", "1: this process runs.", ["process"])


def start_process(name: str) -> ProcessSettings:
    """Logging and metrics, before anything else of a process."""
    settings = ProcessSettings()
    configure_logging(name, settings.log_format)
    # It is a second series for each counter, which no query of ours reads.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library gives it no types
    PROCESS.labels(name).set(1)
    if settings.metrics_listen:
        host, port = settings.metrics_listen.rsplit(":", 1)
        start_http_server(int(port), host)
    return settings
