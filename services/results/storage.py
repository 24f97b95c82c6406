"""What people's pictures take, and how much they may."""

from dataclasses import dataclass

from prometheus_client import Gauge

from services.results import store
from services.results.domain import OwnerId, Usage
from services.runtime.database import Database

STORED_BYTES = Gauge("imagegen_results_stored_bytes", "What the originals of all pictures take.")
STORED_PICTURES = Gauge("imagegen_results_stored_pictures", "Pictures that are kept.")


@dataclass(frozen=True)
class Standing:
    """What an owner's pictures take beside what they may, in bytes and in days; None: as much as they like."""

    usage: Usage
    quota_bytes: int | None
    retention_days: int | None

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be asked for. What was asked for before is stored all the same."""
        return self.quota_bytes is not None and self.usage.used_bytes >= self.quota_bytes


class Storage:
    """Blocks. Every method may raise DependencyUnavailable. A quota of 0 is none."""

    def __init__(self, database: Database, quota_bytes: int) -> None:
        self._database = database
        self._quota_bytes = quota_bytes or None

    def standing(self, owner_id: OwnerId) -> Standing:
        with self._database.transaction() as tx:
            return Standing(store.get_usage(tx, owner_id), self._quota_bytes, store.get_retention_days(tx))

    def take_stock(self) -> None:
        """Tell Prometheus what everybody's pictures take together. One row an owner is read."""
        with self._database.transaction() as tx:
            total = store.get_total_usage(tx)
        STORED_BYTES.set(total.used_bytes)
        STORED_PICTURES.set(total.pictures)
