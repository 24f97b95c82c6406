"""What a person is about to ask for."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.problems import ApiError
from api.resources import Model, Recipe, Suggestion, Task
from state.catalogue import Catalogue
from state.complaints import Complaint
from state.repeats import RequestKey
from state.shapes import Shape, size_of

PAUSE_SECONDS = 0.2
"""Of typing, before suggestions are asked for."""

SEEDS = 2**32


@dataclass(eq=False)
class Suggestions(ft.Observable):
    """Completions of the prompt. They are a courtesy: without them everything goes on."""

    client: Client
    found: list[Suggestion] = field(default_factory=list)
    _asking: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def ask(self, text: str) -> None:
        self.forget()
        if text.strip():
            self._asking = asyncio.create_task(self._ask(text))

    def forget(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self.found:
            self.found = []

    async def _ask(self, text: str) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            found = await self.client.suggestions(text)
        except ApiError:
            return
        self.found = [each for each in found if each.text.strip() != text.strip()]


@dataclass(eq=False)
class Draft(ft.Observable):
    """Attributes:
    model_name: of the chosen model; empty: the first that is available.
    shape: of the picture; None if a size was chosen by hand.
    steps, cfg, width, height: None: the model's own.
    seed: what the next task starts from; None: any.
    seed_is_locked: the next draft keeps the seed.
    generation: grows when the fields are filled anew from here, so that views forget what was typed into them.
    """

    client: Client
    catalogue: Catalogue
    suggestions: Suggestions
    when_accepted: Callable[[Task], None]
    prompt: str = ""
    negative_prompt: str = ""
    model_name: str = ""
    count: int = 1
    shape: Shape | None = "square"
    steps: int | None = None
    cfg: float | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    seed_is_locked: bool = False
    generation: int = 0
    complaint: Complaint | None = None
    is_busy: bool = False
    _key: RequestKey = field(default_factory=RequestKey, init=False, repr=False)

    @property
    def model(self) -> Model | None:
        """None while no model is known."""
        chosen = self.catalogue.named(self.model_name)
        return chosen or self.catalogue.first_available or next(iter(self.catalogue.models), None)

    def type_prompt(self, text: str) -> None:
        self.prompt = text
        if self.complaint is not None:
            self.complaint = None
        self.suggestions.ask(text)

    def take(self, suggestion: Suggestion) -> None:
        self.prompt = suggestion.text
        self.suggestions.ask(suggestion.text)

    def choose(self, model: Model) -> None:
        """What another model may not allow goes back to that model's own."""
        self.model_name = model.name
        self.steps = self.cfg = self.width = self.height = None
        self.count = min(self.count, model.limits.count.max)
        self.shape = self.shape or "square"
        self.complaint = None

    def choose_shape(self, shape: Shape) -> None:
        self.shape, self.width, self.height = shape, None, None

    def choose_width(self, width: int) -> None:
        height = self.size[1]
        self.shape, self.width, self.height = None, width, height

    def choose_height(self, height: int) -> None:
        width = self.size[0]
        self.shape, self.width, self.height = None, width, height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; zeros while no model is known."""
        model = self.model
        if model is None:
            return 0, 0
        if self.shape is not None:
            return size_of(self.shape, model)
        return self.width or model.defaults.width, self.height or model.defaults.height

    def roll(self) -> None:
        """A new seed, to be seen and kept."""
        self.seed = secrets.randbelow(SEEDS)

    def lock_seed(self) -> None:
        self.seed_is_locked = not self.seed_is_locked
        if self.seed_is_locked and self.seed is None:
            self.roll()

    def use(self, recipe: Recipe) -> None:
        """Fills in what a picture was made of, to be changed and asked for again."""
        self.prompt, self.negative_prompt = recipe.prompt, recipe.negative_prompt or ""
        self.model_name, self.count = recipe.model, recipe.count or 1
        self.steps, self.cfg = recipe.steps, recipe.cfg
        self.shape, self.width, self.height = None, recipe.width, recipe.height
        self.seed, self.seed_is_locked = recipe.seed, True
        self.generation += 1

    def forget(self) -> None:
        """Empties it."""
        self.suggestions.forget()
        self.prompt = self.negative_prompt = self.model_name = ""
        self.count, self.shape, self.seed, self.seed_is_locked = 1, "square", None, False
        self.steps = self.cfg = self.width = self.height = None
        self.complaint = None
        self._key.forget()
        self.generation += 1

    async def submit(self) -> bool:
        """Asks for the pictures. Pressed again after a lost connection, it makes no second task. Says whether the task
        was accepted.
        """
        model = self.model
        if self.is_busy or model is None:
            return False
        self.is_busy, self.complaint = True, None
        self.suggestions.forget()
        recipe = self._recipe(model)
        try:
            task = await self.client.generate(recipe, self._key.of(recipe))
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return False
        else:
            self._key.forget()
            if not self.seed_is_locked:
                self.seed = None
            self.when_accepted(task)
            return True
        finally:
            self.is_busy = False

    def _recipe(self, model: Model) -> Recipe:
        width, height = self.size
        return Recipe(
            prompt=self.prompt,
            model=model.name,
            negative_prompt=(self.negative_prompt or None) if model.negative_prompt_supported else None,
            width=width,
            height=height,
            steps=self.steps,
            cfg=self.cfg,
            seed=self.seed,
            count=self.count,
        )
