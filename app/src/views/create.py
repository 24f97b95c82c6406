"""Asking for pictures, and watching them appear."""

import asyncio
from collections.abc import Callable
from functools import partial

import flet as ft

from api.resources import Model
from state.catalogue import Catalogue
from state.draft import Draft, Suggestions
from state.session import Session
from state.shapes import RATIOS, SHAPES, Shape
from texts.words import Words
from views.advanced import Advanced
from views.keyed import keyed
from views.look import GAP, READABLE, ROOM, field, heading, label, quiet
from views.named import Action, Go, icon_button, pressable
from views.tasks import TaskList
from views.toggle import toggle
from views.troubles import trouble, waiting
from views.unpainted import UnpaintedSheet

MOST_COUNTS = 4

LAYOUT_SECONDS = 0.3
"""Until a new card has its place: the engine cannot scroll to where nothing is yet."""

TASKS = "tasks"
TASKS_KEY = ft.ScrollKey(TASKS)  # type: ignore[call-arg] # its decorator hides its signature
"""Where a phone scrolls to when a task has been accepted."""


@ft.component
def Create(session: Session, say: Words, go: Go, *, is_wide: bool) -> ft.Control:
    column: ft.Ref[ft.Column] = ft.use_memo(ft.Ref, [])
    button: ft.Ref[ft.FilledButton] = ft.use_memo(ft.Ref, [])

    async def submit() -> None:
        if not is_wide and button.current is not None:
            # A field that keeps the focus would scroll back to itself.
            await button.current.focus()  # type: ignore[no-untyped-call] # Flet's, without annotations
        if await session.draft.submit() and column.current is not None:
            await asyncio.sleep(LAYOUT_SECONDS)
            await column.current.scroll_to(scroll_key=TASKS, duration=400)

    composer = keyed("composer", Composer, session.draft, session.catalogue, say, button, submit, is_wide=is_wide)
    tasks = keyed("tasks", TaskList, session, session.tasks, session.gallery, say, go, is_wide=is_wide)
    if is_wide:
        return ft.Row(
            [
                ft.Container(
                    ft.Column([ft.Container(composer, padding=ROOM)], scroll=ft.ScrollMode.AUTO), width=READABLE
                ),
                ft.Container(tasks, expand=True),
            ],
            spacing=0,
            expand=True,
            vertical_alignment=ft.CrossAxisAlignment.STRETCH,
        )
    return ft.Column(
        [
            ft.Container(composer, padding=ft.Padding(GAP, GAP, GAP, 0)),
            ft.Container(tasks, key=TASKS_KEY),
        ],
        ref=column,
        spacing=0,
        scroll=ft.ScrollMode.AUTO,
        expand=True,
    )


@ft.component
def Composer(
    draft: Draft,
    catalogue: Catalogue,
    say: Words,
    button: ft.Ref[ft.FilledButton],
    submit: Action,
    *,
    is_wide: bool,
) -> ft.Control:
    is_looking_back, look_back = ft.use_state(False)
    if not catalogue.models:
        if catalogue.complaint is not None:
            return trouble(catalogue.complaint, say, catalogue.load)
        return waiting(say) if catalogue.is_loading else quiet(say.no_models)
    model = draft.model
    assert model is not None
    wrong = draft.complaint.fields if draft.complaint is not None else {}
    lines: list[ft.Control] = [
        ft.Row(
            [
                ft.Container(heading(say.create), expand=True),
                icon_button(ft.Icons.HISTORY, say.unpainted, partial(look_back, True)),
            ]
        ),
        keyed("prompt", PromptField, draft, say),
        keyed("completions", Completions, draft, draft.suggestions, say),
    ]
    if model.negative_prompt_supported:
        lines.append(keyed(f"negative-{draft.generation}", NegativeField, draft, say))
    lines += [label(say.model), models(draft, catalogue, model, say)]
    lines += [label(say.shape), shapes(draft)]
    counts = min(model.limits.count.max, MOST_COUNTS)
    if counts > 1:
        lines += [label(say.count), choice_of_count(draft, counts)]
    lines.append(keyed(f"advanced-{draft.generation}", Advanced, draft, model, say))
    if draft.complaint is not None and "prompt" not in wrong:
        lines.append(trouble(draft.complaint, say))
    lines.append(
        ft.FilledButton(
            say.loading if draft.is_busy else say.generate,
            icon=ft.Icons.AUTO_AWESOME,
            ref=button,
            on_click=submit,
            disabled=not draft.prompt.strip() or not model.available,
            elevation=0,
            style=ft.ButtonStyle(text_style=ft.TextStyle(size=16, weight=ft.FontWeight.W_600)),
        )
    )
    if is_looking_back:
        lines.append(keyed("unpainted", UnpaintedSheet, draft, say, partial(look_back, False), is_wide=is_wide))
    return ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)


@ft.component
def PromptField(draft: Draft, say: Words) -> ft.Control:
    def typed(event: ft.Event[ft.TextField]) -> None:
        draft.type_prompt(event.control.value or "")

    complaint = draft.complaint.fields.get("prompt") if draft.complaint is not None else None
    return field(
        value=draft.prompt,
        label=say.prompt,
        hint_text=say.prompt_hint,
        multiline=True,
        min_lines=3,
        max_lines=6,
        text_size=16,
        align_label_with_hint=True,
        error=complaint,
        on_change=typed,
    )


@ft.component
def NegativeField(draft: Draft, say: Words) -> ft.Control:
    def typed(event: ft.Event[ft.TextField]) -> None:
        draft.negative_prompt = event.control.value or ""

    complaint = draft.complaint.fields.get("negative_prompt") if draft.complaint is not None else None
    return field(
        value=draft.negative_prompt,
        label=say.negative_prompt,
        hint_text=say.negative_prompt_hint,
        error=complaint,
        on_change=typed,
    )


@ft.component
def Completions(draft: Draft, suggestions: Suggestions, say: Words) -> ft.Control:
    def row(text: str, take: Callable[[], None]) -> ft.Control:
        line = ft.Row(
            [
                ft.Icon(ft.Icons.NORTH_WEST, size=16, color=ft.Colors.PRIMARY),
                ft.Text(text, expand=True, max_lines=2, overflow=ft.TextOverflow.ELLIPSIS),
            ],
            spacing=12,
        )
        padded = ft.Container(line, padding=ft.Padding.symmetric(horizontal=14, vertical=10))
        return pressable(padded, say.suggestion.format(text=text), take, radius=12, key=text)

    rows = [row(each.text, partial(draft.take, each)) for each in suggestions.found]
    return ft.Container(
        ft.Column(rows, spacing=0, tight=True),
        visible=bool(rows),
        border_radius=14,
        bgcolor=ft.Colors.SURFACE_CONTAINER,
    )


def models(draft: Draft, catalogue: Catalogue, chosen: Model, say: Words) -> ft.Control:
    """One tap each; what cannot be chosen says why."""
    language = say.language_code

    def note(model: Model) -> str:
        if not model.is_active:
            return say.model_switched_off
        if not model.available:
            return model.unavailable_reason or say.model_unavailable
        return say.model_cold if model.availability == "cold" else ""

    chips: list[ft.Control] = [
        toggle(
            model.display_names.said_in(language),
            partial(draft.choose, model),
            is_on=model.name == chosen.name,
            key=model.name,
            disabled=not model.available,
        )
        for model in catalogue.models
    ]
    lines: list[ft.Control] = [ft.Row(chips, wrap=True, spacing=8, run_spacing=8)]
    about = f"{chosen.descriptions.said_in(language)} ({chosen.license})".strip()
    lines.append(ft.Text(about, size=13, color=ft.Colors.ON_SURFACE_VARIANT))
    lines += [
        ft.Text(f"{model.display_names.said_in(language)}: {note(model)}", size=12, color=ft.Colors.ON_SURFACE_VARIANT)
        for model in catalogue.models
        if note(model)
    ]
    return ft.Column(lines, spacing=8, tight=True)


def shapes(draft: Draft) -> ft.Control:
    def icon(shape: Shape) -> ft.Control:
        across, down = RATIOS[shape]
        scale = 14 / max(across, down)
        return ft.Container(
            width=across * scale, height=down * scale, border_radius=3, border=ft.Border.all(1.5, ft.Colors.ON_SURFACE)
        )

    def chosen(event: ft.Event[ft.SegmentedButton]) -> None:
        (shape,) = (each for each in SHAPES if each in event.control.selected)
        draft.choose_shape(shape)

    return ft.SegmentedButton(
        [
            ft.Segment(
                value=shape, icon=icon(shape), label=ft.Text("{}:{}".format(*RATIOS[shape]), size=11, no_wrap=True)
            )
            for shape in SHAPES
        ],
        selected=[draft.shape] if draft.shape else [],
        allow_empty_selection=draft.shape is None,
        show_selected_icon=False,
        style=ft.ButtonStyle(padding=ft.Padding.symmetric(horizontal=2)),
        on_change=chosen,
    )


def choice_of_count(draft: Draft, most: int) -> ft.Control:
    def chosen(event: ft.Event[ft.SegmentedButton]) -> None:
        draft.count = int(event.control.selected[0])

    return ft.SegmentedButton(
        [ft.Segment(value=str(count), label=ft.Text(str(count))) for count in range(1, most + 1)],
        selected=[str(min(draft.count, most))],
        show_selected_icon=False,
        on_change=chosen,
    )
