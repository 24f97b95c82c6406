"""What results can do, wired upon one database and one store."""

from dataclasses import dataclass

from services.results.blobs import Blobs
from services.results.delivery import Delivery
from services.results.gallery import Gallery
from services.results.links import ImageLinks
from services.results.storing import Storing
from services.results.sweeping import Sweeper
from services.runtime.database import Database


@dataclass(frozen=True)
class UseCases:
    sweeper: Sweeper
    storing: Storing
    gallery: Gallery
    delivery: Delivery

    @classmethod
    def on(cls, database: Database, blobs: Blobs, links: ImageLinks) -> "UseCases":
        sweeper = Sweeper(database, blobs)
        return cls(
            sweeper, Storing(database, blobs, sweeper), Gallery(database, sweeper), Delivery(database, blobs, links)
        )
