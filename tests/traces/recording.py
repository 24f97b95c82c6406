"""The spans of this process, kept in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.runtime.tracing import record_with


@contextmanager
def recording() -> Iterator[InMemorySpanExporter]:
    """What ends inside comes here."""
    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    record_with(provider.get_tracer("tests"))
    try:
        yield spans
    finally:
        record_with(None)
