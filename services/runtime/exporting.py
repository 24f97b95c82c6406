"""Sending spans to a collector, by OTLP over HTTP. Imported only where that is wanted: it brings OpenTelemetry's SDK.

Nothing waits for a collector. Ended spans lie in memory until a thread sends them, every five seconds and at the end of
the process; while it cannot get rid of them, the oldest are dropped. OpenTelemetry's own variables say more: where to
(OTEL_EXPORTER_OTLP_…), how many at a time (OTEL_BSP_…), which traces (OTEL_TRACES_SAMPLER).
"""

import atexit
import os
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.runtime.tracing import record_with

LAST_SECONDS = 3.0
"""How much later a process ends for a collector that is away. The SDK of itself would try for half a minute, and by
then Kubernetes has killed the process.
"""


def export_spans(process: str) -> None:
    """Record this process's spans from here on; what is left is sent when it ends."""
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or process})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    record_with(provider.get_tracer("imagegen"))
    _send_the_last_on_exit(provider)


def _send_the_last_on_exit(provider: TracerProvider) -> None:
    """From a thread that waits for it, for at exit there is no making one."""
    ending, is_sent = threading.Event(), threading.Event()

    def send() -> None:
        ending.wait()
        provider.shutdown()
        is_sent.set()

    def end() -> None:
        ending.set()
        is_sent.wait(LAST_SECONDS)

    threading.Thread(target=send, name="last spans", daemon=True).start()
    atexit.register(end)
