"""Tasks that ended without a picture: the reason is to be had even if nobody was there to see it."""

from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.problems import ApiError
from api.resources import Task
from state.complaints import Complaint


@dataclass(eq=False)
class Unpainted(ft.Observable):
    """Attributes:
    tasks: failed and canceled, newest first.
    cursor: of the next page; None: there is none, or none is known yet.
    complaint: why they are not known.
    """

    client: Client
    tasks: list[Task] = field(default_factory=list)
    cursor: str | None = None
    is_loading: bool = False
    complaint: Complaint | None = None

    async def load_more(self) -> None:
        """The next page, or the first."""
        if self.is_loading:
            return
        self.is_loading, self.complaint = True, None
        try:
            page = await self.client.history("failed", "canceled", cursor=self.cursor)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            self.tasks, self.cursor = [*self.tasks, *page.tasks], page.next_cursor
        finally:
            self.is_loading = False
