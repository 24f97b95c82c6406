"""The picture that is shown in full: what it was painted from, and what is done with it."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import flet as ft

from api.pictures import Format, NotedRecipe
from api.problems import ApiError
from api.resources import Picture
from state.complaints import Complaint
from state.session import Session


@dataclass(eq=False)
class OpenedPicture(ft.Observable):
    """Attributes:
    recipe: None until somebody wants to know it.
    unknown: why it is not known.
    kind: of file that is saved.
    saving: whether the file is on its way through the client, or has arrived.
    complaint: why the last thing that was wanted did not succeed.
    """

    session: Session
    result_id: str
    recipe: NotedRecipe | None = None
    unknown: Complaint | None = None
    kind: Format = "png"
    saving: Literal["", "busy", "done"] = ""
    complaint: Complaint | None = None

    async def load_recipe(self) -> None:
        if self.recipe is not None:
            return
        self.unknown = None
        try:
            self.recipe = await self.session.client.pictures.recipe(self.result_id)
        except ApiError as error:
            self.unknown = Complaint.about(error)

    async def use_again(self) -> bool:
        """Fills the draft with the recipe. Says whether it could be had."""
        await self.load_recipe()
        self.complaint = self.unknown
        if self.recipe is None:
            return False
        self.session.draft.use(self.recipe)
        return True

    def choose(self, kind: Format) -> None:
        self.kind, self.saving = kind, ""

    @property
    def saving_url(self) -> str:
        """Where the browser saves it by itself, as `download` does; empty: nowhere."""
        return self.session.saver.url_of_picture(self.result_id, self.kind)

    async def download(self) -> None:
        if self.saving == "busy":
            return
        self.saving, self.complaint = "busy", None
        fetch = partial(self.session.client.pictures.fetch, self.result_id, self.kind)
        try:
            await self.session.saver.save(fetch, f"{self.result_id}.{self.kind}")
        except ApiError as error:
            self.saving, self.complaint = "", Complaint.about(error)
        else:
            self.saving = "" if self.saving_url else "done"

    async def mark(self, picture: Picture) -> None:
        """As a favorite, or as none any more."""
        self.complaint = await self.session.favorites.mark(picture, not picture.favorite)
