"""What a picture was painted from."""

import flet as ft

from api.pictures import NotedRecipe
from api.resources import Picture
from state.catalogue import Catalogue
from state.opened import OpenedPicture
from texts.spans import since
from texts.words import Words
from views.copying import Copy
from views.keyed import keyed
from views.look import GAP, label
from views.troubles import trouble, waiting


def details(picture: Picture, opened: OpenedPicture, catalogue: Catalogue, say: Words) -> list[ft.Control]:
    lines: list[ft.Control] = []
    if picture.prompt:
        copy = keyed("copy", Copy, picture.prompt, say.copy_prompt, say, is_quiet=True)
        lines += [fact(say.prompt_of_it, picture.prompt), ft.Row([copy])]
    if opened.recipe is not None:
        lines += ingredients(opened.recipe, catalogue, say)
    elif opened.unknown is not None:
        lines.append(trouble(opened.unknown, say, opened.load_recipe))
    else:
        lines.append(ft.Container(waiting(say), height=96))
    lines.append(fact(say.painted_on, since(picture.created_at, opened.session.client.connection.now(), say)))
    return lines


def ingredients(recipe: NotedRecipe, catalogue: Catalogue, say: Words) -> list[ft.Control]:
    model = catalogue.named(recipe.model)
    facts = [
        (say.negative_prompt, recipe.negative_prompt),
        (say.model, model.display_names.said_in(say.language_code) if model is not None else recipe.model),
        (say.size, f"{recipe.width} × {recipe.height}"),
        (say.steps, recipe.steps),
        (say.cfg, f"{recipe.cfg:g}" if recipe.cfg is not None else None),
        (say.seed, recipe.seed),
        (say.engine, recipe.engine),
    ]
    return [fact(name, str(value)) for name, value in facts if value not in (None, "")]


def fact(name: str, value: str) -> ft.Control:
    return ft.Column([label(name), ft.Text(value, color=ft.Colors.ON_SURFACE)], spacing=2, tight=True)


def panel(lines: list[ft.Control], width: int) -> ft.Control:
    column = ft.Column(
        lines, spacing=GAP, scroll=ft.ScrollMode.AUTO, horizontal_alignment=ft.CrossAxisAlignment.STRETCH
    )
    return ft.Container(
        column,
        width=width,
        padding=ft.Padding.all(20),
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
    )
