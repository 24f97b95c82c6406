"""Pictures marked as favorites: seen at once, told to the server in order."""

from dataclasses import dataclass, field, replace

from api.client import Client
from api.problems import ApiError
from api.resources import Picture
from state.complaints import Complaint
from state.gallery import Gallery


@dataclass(eq=False)
class Favorites:
    client: Client
    gallery: Gallery
    _wishes: dict[str, bool] = field(default_factory=dict, init=False, repr=False)
    """Of results for which a call is under way: what the person wants by now."""

    async def mark(self, picture: Picture, favorite: bool) -> Complaint | None:
        """Returns why the mark is again what it was; None if it is as wanted, or another call sees to it."""
        self.gallery.change(replace(picture, favorite=favorite))
        is_under_way = picture.id in self._wishes
        self._wishes[picture.id] = favorite
        if is_under_way:
            return None
        told = picture.favorite
        try:
            while told != (wish := self._wishes[picture.id]):
                await self.client.pictures.mark(picture.id, wish)
                told = wish
        except ApiError as error:
            self.gallery.change(replace(picture, favorite=told))
            return Complaint.about(error)
        finally:
            del self._wishes[picture.id]
        return None
