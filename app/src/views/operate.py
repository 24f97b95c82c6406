"""The machines and what waits for them, for operators."""

from collections.abc import Sequence
from datetime import datetime

import flet as ft

from api.operations import Queue, Worker
from api.resources import Model
from state.catalogue import Catalogue
from state.operations import Operations
from state.session import Session
from texts.spans import since, span, until
from texts.words import Words
from views.copying import selectable
from views.keyed import keyed
from views.look import GAP, ROOM, card, heading, label, quiet
from views.named import Action, icon_button
from views.troubles import blank, trouble, waiting

GIB = 2**30

LOOKS: dict[str, tuple[ft.IconData, ft.Colors]] = {
    "idle": (ft.Icons.CHECK_CIRCLE_OUTLINE, ft.Colors.PRIMARY),
    "busy": (ft.Icons.BRUSH_OUTLINED, ft.Colors.PRIMARY),
    "draining": (ft.Icons.HOURGLASS_TOP, ft.Colors.ON_SURFACE_VARIANT),
    "drained": (ft.Icons.PAUSE_CIRCLE_OUTLINE, ft.Colors.ON_SURFACE_VARIANT),
    "quarantined": (ft.Icons.BLOCK, ft.Colors.ERROR),
    "unwell": (ft.Icons.ERROR_OUTLINE, ft.Colors.ERROR),
    "away": (ft.Icons.CLOUD_OFF, ft.Colors.ERROR),
}
"""Of a worker, by its state."""

UNKNOWN = (ft.Icons.HELP_OUTLINE, ft.Colors.ON_SURFACE_VARIANT)

RESUMABLE = ("draining", "drained", "quarantined")

PAGE = 760
"""Pixels."""


@ft.component
def OperateView(session: Session, say: Words) -> ft.Control:
    operations, _ = ft.use_state(session.operations)
    catalogue, _ = ft.use_state(session.catalogue)
    ft.use_effect(operations.watch, [], operations.rest)
    if operations.is_forbidden:
        return blank(ft.Icons.LOCK_OUTLINE, say.errors["caller_not_allowed"], say.operators_advice)
    head = ft.Row(
        [ft.Container(heading(say.operate), expand=True), icon_button(ft.Icons.REFRESH, say.refresh, operations.load)]
    )
    lines: list[ft.Control] = [head]
    if operations.complaint is not None:
        lines.append(trouble(operations.complaint, say, operations.load))
    elif operations.looked_at is None:
        lines.append(waiting(say))
    if operations.looked_at is not None:
        lines += told(operations, catalogue, operations.looked_at, say)
    column = ft.Column(lines, spacing=GAP, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)
    return ft.Column(
        [ft.Container(ft.Container(column, padding=ROOM, width=PAGE), alignment=ft.Alignment.TOP_CENTER)],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
    )


def told(operations: Operations, catalogue: Catalogue, now: datetime, say: Words) -> list[ft.Control]:
    lines: list[ft.Control] = [label(say.workers)]
    if operations.refusal is not None:
        lines.append(trouble(operations.refusal, say))
    workers = operations.workers or []
    lines += [keyed(worker.engine_id, WorkerCard, operations, worker, catalogue, now, say) for worker in workers]
    if not workers:
        lines.append(card(blank(ft.Icons.MEMORY_OUTLINED, say.no_workers, say.no_workers_advice)))
    lines += [
        label(say.queues),
        card(
            rows([queue_row(queue, catalogue, say) for queue in unfinished(operations)], say.queues_empty), padding=20
        ),
    ]
    lines += [
        label(say.models_here),
        card(rows([model_row(model, operations, say) for model in catalogue.models], say.no_models), padding=20),
    ]
    return lines


def rows(controls: Sequence[ft.Control], otherwise: str) -> ft.Control:
    return ft.Column(
        list(controls) or [quiet(otherwise)],
        spacing=GAP,
        tight=True,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )


def unfinished(operations: Operations) -> list[Queue]:
    return [queue for queue in operations.queues or () if queue.waiting_jobs or queue.running_jobs]


def called(name: str, catalogue: Catalogue, say: Words) -> str:
    """A model, as people know it."""
    model = catalogue.named(name)
    return model.display_names.said_in(say.language_code) if model is not None else name


@ft.component
def WorkerCard(operations: Operations, worker: Worker, catalogue: Catalogue, now: datetime, say: Words) -> ft.Control:
    is_asking, set_is_asking = ft.use_state(False)

    async def drain() -> None:
        set_is_asking(False)
        await operations.drain(worker.engine_id)

    async def resume() -> None:
        await operations.resume(worker.engine_id)

    name = say.worker_called.format(id=worker.engine_id[:8])
    ft.use_dialog(question(name, say, drain, lambda: set_is_asking(False)) if is_asking else None)
    is_busy = bool(operations.ordered)
    if worker.state in RESUMABLE:
        button: ft.Control = ft.FilledTonalButton(
            say.resume, icon=ft.Icons.PLAY_ARROW, on_click=resume, disabled=is_busy, key="resume"
        )
    else:
        button = ft.OutlinedButton(
            say.drain, icon=ft.Icons.PAUSE, on_click=lambda: set_is_asking(True), disabled=is_busy, key="drain"
        )
    title = ft.Text(name, theme_style=ft.TextThemeStyle.TITLE_MEDIUM)
    head = ft.Row(
        [ft.Column([title, standing(worker, say)], spacing=4, tight=True), button],
        spacing=GAP,
        wrap=True,
        alignment=ft.MainAxisAlignment.SPACE_BETWEEN,
    )
    column = ft.Column(
        [head, *facts(worker, catalogue, now, say)],
        spacing=8,
        tight=True,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )
    return card(column, padding=20)


def standing(worker: Worker, say: Words) -> ft.Control:
    icon, color = LOOKS.get(worker.state, UNKNOWN)
    state = ft.Text(say.worker_states.get(worker.state, worker.state), color=color, weight=ft.FontWeight.W_600)
    return ft.Row([ft.Icon(icon, size=18, color=color), state], spacing=6, tight=True)


def facts(worker: Worker, catalogue: Catalogue, now: datetime, say: Words) -> list[ft.Control]:
    lines: list[ft.Control] = []
    if worker.problem:
        lines.append(ft.Text(worker.problem, color=ft.Colors.ERROR))
    if worker.quarantined_until is not None and worker.state == "quarantined":
        lines.append(quiet(say.quarantine_ends.format(when=until(worker.quarantined_until, now, say))))
    loaded = say.nothing_loaded
    if worker.loaded_model:
        loaded = say.loaded.format(model=called(worker.loaded_model, catalogue, say))
    jobs, seen = (
        say.jobs_held.format(n=len(worker.job_ids)),
        say.reported.format(when=since(worker.reported_at, now, say)),
    )
    lines += [
        quiet(f"{loaded} · {jobs} · {seen}"),
        quiet(" · ".join(part for part in (worker.device, worker.engine_version) if part)),
    ]
    if worker.vram_total:
        used = worker.vram_total - worker.vram_free
        said = say.vram.format(used=f"{used / GIB:.1f}", total=f"{worker.vram_total / GIB:.1f}")
        share = min(max(used / worker.vram_total, 0), 1)
        lines += [
            ft.ProgressBar(value=share, bar_height=6, border_radius=3, semantics_label=say.vram_name),
            quiet(said),
        ]
    return lines


def queue_row(queue: Queue, catalogue: Catalogue, say: Words) -> ft.Control:
    numbers = [say.jobs_waiting.format(n=queue.waiting_jobs), say.jobs_running.format(n=queue.running_jobs)]
    if queue.waiting_jobs:
        numbers.append(say.backlog.format(span=span(queue.backlog_seconds, say)))
    if queue.oldest_wait_seconds is not None:
        numbers.append(say.oldest.format(span=span(queue.oldest_wait_seconds, say)))
    lines: list[ft.Control] = [ft.Text(called(queue.model, catalogue, say)), quiet(" · ".join(numbers))]
    return ft.Column(lines, spacing=2, tight=True, key=queue.model)


def model_row(model: Model, operations: Operations, say: Words) -> ft.Control:
    having, lacking = operations.having(model.name), operations.lacking(model.name)
    known = on_workers(having, len(operations.workers or ()), say)
    notes = [known] if model.is_active else [say.model_switched_off, known]
    icon, color = (ft.Icons.CHECK, ft.Colors.PRIMARY) if having else (ft.Icons.REMOVE, ft.Colors.ON_SURFACE_VARIANT)
    lines: list[ft.Control] = [ft.Text(model.display_names.said_in(say.language_code)), quiet(" · ".join(notes))]
    if lacking:
        lines += [quiet(say.lacking), *(selectable(file, size=13) for file in lacking)]
    return ft.Row(
        [ft.Icon(icon, size=20, color=color), ft.Column(lines, spacing=2, tight=True, expand=True)],
        spacing=12,
        vertical_alignment=ft.CrossAxisAlignment.START,
        key=model.name,
    )


def on_workers(having: int, workers: int, say: Words) -> str:
    if not having:
        return say.on_no_worker
    return say.on_only_worker if workers == 1 else say.on_workers.format(n=having, all=workers)


def question(name: str, say: Words, drain: Action, keep: Action) -> ft.AlertDialog:
    return ft.AlertDialog(
        title=say.drain_question,
        content=ft.Text(say.drain_about.format(worker=name)),
        actions=[ft.TextButton(say.cancel, on_click=keep), ft.FilledButton(say.drain, on_click=drain)],
        on_dismiss=keep,
    )
