"""Settings for those who know what they want, folded away."""

from collections.abc import Callable

import flet as ft

from api.resources import FloatRange, IntRange, Model
from state.draft import Draft
from texts.words import Words
from views.keyed import keyed
from views.look import GAP, card, field, label
from views.named import icon_button


@ft.component
def Advanced(draft: Draft, model: Model, say: Words) -> ft.Control:
    is_open, set_is_open = ft.use_state(draft.shape is None)
    fold = ft.TextButton(
        say.advanced,
        icon=ft.Icons.EXPAND_LESS if is_open else ft.Icons.EXPAND_MORE,
        on_click=lambda: set_is_open(not is_open),
    )
    if not is_open:
        return folding(fold)
    limits, defaults = model.limits, model.defaults
    width, height = draft.size
    step = limits.size_multiple

    def choose_steps(value: float) -> None:
        draft.steps = round(value)

    def choose_cfg(value: float) -> None:
        draft.cfg = round(value * 2) / 2

    lines: list[ft.Control] = [
        *slider(say.steps, draft.steps or defaults.steps, limits.steps, 1, choose_steps),
        *slider(say.cfg, draft.cfg or defaults.cfg, limits.cfg, 0.5, choose_cfg),
        *slider(say.width, width, limits.width, step, lambda value: draft.choose_width(round(value))),
        *slider(
            say.height,
            height,
            limits.height,
            step,
            lambda value: draft.choose_height(round(value)),
        ),
        keyed("seed", Seed, draft, say),
    ]
    return folding(fold, card(ft.Column(lines, spacing=4, tight=True), padding=GAP))


def folding(fold: ft.Control, *unfolded: ft.Control) -> ft.Control:
    """Always in the same place, so that it keeps the focus when it is pressed."""
    return ft.Column([ft.Row([fold]), *unfolded], spacing=4, tight=True)


def slider(
    name: str, value: float, allowed: IntRange | FloatRange, step: float, choose: Callable[[float], None]
) -> list[ft.Control]:
    """Its name and value, and the slider itself; nothing where there is no choice."""
    least, most = allowed.min, allowed.max
    if most <= least:
        return []
    shown = f"{value:g}"

    def chosen(event: ft.Event[ft.Slider]) -> None:
        choose(least + round((float(event.control.value or least) - least) / step) * step)

    return [
        ft.Row([label(name), ft.Text(shown)], alignment=ft.MainAxisAlignment.SPACE_BETWEEN),
        ft.MergeSemantics(
            content=ft.Semantics(
                content=ft.Slider(
                    value=min(max(value, least), most),
                    min=least,
                    max=most,
                    divisions=max(1, round((most - least) / step)),
                    on_change_end=chosen,
                ),
                value=f"{name}: {shown}",  # the engine tells a slider's value alone, and would tell a percentage
            )
        ),
    ]


@ft.component
def Seed(draft: Draft, say: Words) -> ft.Control:
    def typed(event: ft.Event[ft.TextField]) -> None:
        digits = event.control.value or ""
        draft.seed = int(digits) if digits.isascii() and digits.isdigit() else None

    entry = field(
        value="" if draft.seed is None else str(draft.seed),
        label=say.seed,
        hint_text=say.seed_random,
        expand=True,
        dense=True,
        keyboard_type=ft.KeyboardType.NUMBER,
        input_filter=ft.InputFilter(r"[0-9]"),
        max_length=16,
        counter="",
        on_change=typed,
    )
    locked = draft.seed_is_locked
    return ft.Row(
        [
            entry,
            icon_button(ft.Icons.CASINO_OUTLINED, say.roll, draft.roll),
            icon_button(
                ft.Icons.LOCK if locked else ft.Icons.LOCK_OPEN,
                say.unlock if locked else say.lock,
                draft.lock_seed,
                color=ft.Colors.PRIMARY if locked else None,
            ),
        ],
        spacing=4,
    )
