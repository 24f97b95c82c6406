"""What Prometheus is told of the queue and of who serves it. docs/metrics.md lists all metrics."""

from collections.abc import Callable, Collection, Iterable, Iterator

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.executor.scheduling.census import Census, Line
from services.executor.workers import Standing

LEASES_EXPIRED = Counter(
    "imagegen_leases_expired_total", "Jobs taken back because nobody renewed their lease in time.", ["model"]
)


def introduce(models: Iterable[str]) -> None:
    """Begin every counter at zero: a rate sees no counter come into being."""
    for model in models:
        LEASES_EXPIRED.labels(model)


class QueueCollector(Collector):
    """Answers a scrape from the last census and asks nobody. Every replica tells the same of the one queue.

    Before the first census it tells nothing: what is not known is not zero.
    """

    def __init__(self, census: Callable[[], Census | None], models: Callable[[], Collection[str]]) -> None:
        """`models`: those that are installed; they are told of although nobody waits for them."""
        self._census = census
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        of_model = {
            "waiting": GaugeMetricFamily(
                "imagegen_queue_waiting_jobs", "Jobs that the next able worker may take.", labels=["model"]
            ),
            "capped": GaugeMetricFamily(
                "imagegen_queue_capped_jobs", "Jobs that their owners' running caps hold back.", labels=["model"]
            ),
            "held": GaugeMetricFamily(
                "imagegen_queue_held_jobs", "Jobs that a worker has and has not begun.", labels=["model"]
            ),
            "painting": GaugeMetricFamily(
                "imagegen_queue_painting_jobs", "Jobs that an engine is painting.", labels=["model"]
            ),
            "backlog_seconds": GaugeMetricFamily(
                "imagegen_queue_backlog_seconds",
                "GPU-seconds that the waiting jobs will probably take.",
                labels=["model"],
            ),
            "oldest_seconds": GaugeMetricFamily(
                "imagegen_queue_oldest_seconds", "How long ago the first waiting job was accepted.", labels=["model"]
            ),
        }
        painters = GaugeMetricFamily(
            "imagegen_model_workers", "Workers that have the model and take jobs now.", labels=["model"]
        )
        workers = GaugeMetricFamily("imagegen_workers", "Workers by whether they take jobs.", labels=["standing"])
        seen = GaugeMetricFamily("imagegen_queue_seen_timestamp_seconds", "When the queue was last looked at.")
        if census := self._census():
            for model in sorted({*self._models(), *census.lines, *census.painters}):
                line = census.lines.get(model) or Line()
                for name, family in of_model.items():
                    family.add_metric([model], getattr(line, name))
                painters.add_metric([model], census.painters.get(model, 0))
            for standing in Standing:
                workers.add_metric([standing], census.workers.get(standing, 0))
            seen.add_metric([], census.at.timestamp())
        yield from of_model.values()
        yield from (painters, workers, seen)
