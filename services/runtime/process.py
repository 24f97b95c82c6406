"""How any process begins."""

from prometheus_client import Gauge, disable_created_metrics, start_http_server

from services.runtime.logs import configure_logging
from services.runtime.settings import ProcessSettings

PROCESS = Gauge("imagegen_process_info", "1: this process runs.", ["process"])


def start_process(name: str) -> ProcessSettings:
    """Logging, metrics and traces, before anything else of a process."""
    settings = ProcessSettings()
    configure_logging(name, settings.log_format)
    # It is a second series for each counter, which no query of ours reads.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library gives it no types
    PROCESS.labels(name).set(1)
    if settings.metrics_listen:
        host, port = settings.metrics_listen.rsplit(":", 1)
        start_http_server(int(port), host)
    if settings.otel_exporter_otlp_endpoint:
        from services.runtime.exporting import export_spans  # noqa: PLC0415 - OpenTelemetry's SDK: 15 MB, 0.3 s

        export_spans(name)
    return settings
