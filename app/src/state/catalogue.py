"""The models on offer."""

from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.problems import ApiError
from api.resources import Model
from state.complaints import Complaint


@dataclass(eq=False)
class Catalogue(ft.Observable):
    client: Client
    models: list[Model] = field(default_factory=list)
    complaint: Complaint | None = None
    is_loading: bool = False

    async def load(self) -> None:
        self.is_loading, self.complaint = True, None
        try:
            self.models = await self.client.models()
        except ApiError as error:
            self.complaint = Complaint.about(error)
        finally:
            self.is_loading = False

    def named(self, name: str) -> Model | None:
        return next((model for model in self.models if model.name == name), None)

    @property
    def first_available(self) -> Model | None:
        return next((model for model in self.models if model.available), None)
