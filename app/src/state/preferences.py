"""How a person likes the client: its language and its light."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, cast, get_args

import flet as ft

from api.problems import Unreachable
from api.resources import Language
from state.storage import Storage, answered

Light = Literal["system", "light", "dark"]

LANGUAGE = "imagegen.language"
LIGHT = "imagegen.light"


@dataclass(eq=False)
class Preferences(ft.Observable):
    storage: Storage
    language: Language = "en"
    light: Light = "system"

    async def load(self, spoken: Language) -> None:
        """Takes what was chosen at an earlier visit, else the language that the device speaks."""
        language = light = None
        with suppress(Unreachable):
            language, light = await answered(self.storage.get(LANGUAGE)), await answered(self.storage.get(LIGHT))
        self.language = cast("Language", language) if language in get_args(Language) else spoken
        self.light = cast("Light", light) if light in get_args(Light) else "system"

    async def speak(self, language: Language) -> None:
        self.language = language
        await self.storage.set(LANGUAGE, language)

    async def light_up(self, light: Light) -> None:
        self.light = light
        await self.storage.set(LIGHT, light)
