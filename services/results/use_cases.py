"""What results can do, wired upon one database and one store."""

from dataclasses import dataclass

from services.results.blobs import Blobs
from services.results.delivery import Delivery
from services.results.gallery import Gallery
from services.results.links import ImageLinks
from services.results.making import VariantMaker
from services.results.passwords import Passwords
from services.results.retention import Retention
from services.results.shares import Shares
from services.results.storage import Storage
from services.results.storing import Storing
from services.results.studio import Studio
from services.results.sweeping import Sweeper
from services.runtime.database import Database


@dataclass(frozen=True)
class UseCases:
    sweeper: Sweeper
    storing: Storing
    gallery: Gallery
    maker: VariantMaker
    delivery: Delivery
    shares: Shares
    storage: Storage
    retention: Retention

    @classmethod
    def on(
        cls, database: Database, blobs: Blobs, links: ImageLinks, *, quota_bytes: int = 0, retention_days: int = 0
    ) -> "UseCases":
        """0: there is no quota, and pictures stay."""
        sweeper, studio = Sweeper(database, blobs), Studio()
        maker = VariantMaker(database, blobs, sweeper, studio)
        delivery = Delivery(database, blobs, links, maker)
        return cls(
            sweeper=sweeper,
            storing=Storing(database, blobs, sweeper, studio),
            gallery=Gallery(database, sweeper),
            maker=maker,
            delivery=delivery,
            shares=Shares(database, delivery, links.tickets, Passwords()),
            storage=Storage(database, quota_bytes),
            retention=Retention(database, sweeper, retention_days),
        )
