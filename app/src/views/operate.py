"""The machines and what waits for them, for operators."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import flet as ft

from api.operations import Queue, Worker
from api.resources import Model
from state.operations import Operations
from state.session import Session
from texts.spans import since, span
from texts.words import Words
from views.look import GAP, ROOM, card, heading, label, quiet
from views.named import Action, icon_button
from views.troubles import blank, trouble, waiting

GIB = 2**30
COLORS = {
    "idle": ft.Colors.PRIMARY,
    "busy": ft.Colors.PRIMARY,
    "unwell": ft.Colors.ERROR,
    "away": ft.Colors.ERROR,
    "quarantined": ft.Colors.ERROR,
}
"""Of states that are not as any other."""


@ft.component
def OperateView(session: Session, say: Words) -> ft.Control:
    operations, _ = ft.use_state(session.operations)
    catalogue, _ = ft.use_state(session.catalogue)
    asked, set_asked = ft.use_state("")
    ft.use_effect(operations.watch, [], operations.rest)

    async def drain() -> None:
        set_asked("")
        await operations.drain(asked)

    ft.use_dialog(question(say, drain, lambda: set_asked("")) if asked else None)
    head = ft.Row(
        [ft.Container(heading(say.operate), expand=True), icon_button(ft.Icons.REFRESH, say.refresh, operations.load)]
    )
    lines: list[ft.Control] = [head]
    if operations.complaint is not None:
        lines.append(trouble(operations.complaint, say, operations.load))
    if operations.workers is None or operations.queues is None:
        if operations.complaint is None:
            lines.append(waiting(say))
        return page(lines)
    now = session.client.connection.now()
    if not operations.workers:
        lines.append(card(blank(ft.Icons.MEMORY_OUTLINED, say.no_workers, say.no_workers_advice)))
    lines += [worker_card(worker, operations, now, say, set_asked) for worker in operations.workers]
    busy = [queue for queue in operations.queues if queue.waiting_jobs or queue.running_jobs]
    lines += [
        label(say.queues),
        card(ft.Column([queue_row(queue, say) for queue in busy] or [quiet(say.queues_empty)])),
    ]
    models: list[ft.Control] = [model_row(model, operations, say) for model in catalogue.models]
    lines += [label(say.models_here), card(ft.Column(models or [quiet(say.no_models)], spacing=12))]
    return page(lines)


def page(lines: list[ft.Control]) -> ft.Control:
    column = ft.Column(lines, spacing=GAP, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)
    padded = ft.Container(column, padding=ROOM, width=920)
    return ft.Column(
        [padded], scroll=ft.ScrollMode.AUTO, expand=True, horizontal_alignment=ft.CrossAxisAlignment.CENTER
    )


def worker_card(
    worker: Worker, operations: Operations, now: datetime, say: Words, ask: Callable[[str], None]
) -> ft.Control:
    name = say.worker_called.format(id=worker.engine_id[:8])
    state = ft.Text(
        say.worker_states.get(worker.state, worker.state),
        color=COLORS.get(worker.state, ft.Colors.ON_SURFACE_VARIANT),
        weight=ft.FontWeight.W_600,
    )
    loaded = say.loaded.format(model=worker.loaded_model) if worker.loaded_model else say.nothing_loaded
    facts = [
        loaded,
        say.jobs_held.format(n=len(worker.job_ids)),
        say.reported.format(when=since(worker.reported_at, now, say)),
    ]
    texts: list[ft.Control] = [
        ft.Row([ft.Text(name, theme_style=ft.TextThemeStyle.TITLE_MEDIUM), state], wrap=True, spacing=12),
        quiet(" · ".join(facts)),
        quiet(f"{worker.device} · {worker.engine_version}"),
    ]
    if worker.problem:
        texts.append(ft.Text(worker.problem, color=ft.Colors.ERROR))
    if worker.vram_total:
        used = 1 - worker.vram_free / worker.vram_total
        told = say.vram.format(used=f"{used * worker.vram_total / GIB:.1f}", total=f"{worker.vram_total / GIB:.1f}")
        texts += [quiet(told), ft.ProgressBar(value=used, border_radius=4, semantics_label=told)]
    is_told = operations.ordered == worker.engine_id
    takes_jobs = worker.state in ("idle", "busy", "unwell", "away")
    button: ft.Control = (
        ft.OutlinedButton(say.drain, icon=ft.Icons.PAUSE, on_click=partial(ask, worker.engine_id), disabled=is_told)
        if takes_jobs
        else ft.FilledButton(
            say.resume,
            icon=ft.Icons.PLAY_ARROW,
            on_click=partial(operations.resume, worker.engine_id),
            disabled=is_told,
        )
    )
    row = ft.Row([ft.Column(texts, spacing=6, expand=True), button], vertical_alignment=ft.CrossAxisAlignment.START)
    return card(row, key=worker.engine_id)


def queue_row(queue: Queue, say: Words) -> ft.Control:
    facts = [say.jobs_waiting.format(n=queue.waiting_jobs), say.jobs_running.format(n=queue.running_jobs)]
    if queue.waiting_jobs:
        facts.append(say.backlog.format(span=span(queue.backlog_seconds, say)))
    if queue.oldest_wait_seconds is not None:
        facts.append(say.oldest.format(span=span(queue.oldest_wait_seconds, say)))
    return ft.Column([ft.Text(queue.model), quiet(" · ".join(facts))], spacing=2, tight=True, key=queue.model)


def model_row(model: Model, operations: Operations, say: Words) -> ft.Control:
    having = operations.having(model.name)
    lines: list[ft.Control] = [
        ft.Text(model.display_names.said_in(say.language_code)),
        quiet(say.on_workers.format(n=having) if having else say.on_no_worker),
    ]
    lacking = operations.lacking(model.name)
    if lacking:
        lines += [quiet(say.lacking), *(ft.Text(file, size=12, selectable=True) for file in lacking)]
    return ft.Column(lines, spacing=2, tight=True, key=model.name)


def question(say: Words, drain: Action, keep: Action) -> ft.AlertDialog:
    return ft.AlertDialog(
        modal=True,
        title=say.drain_question,
        content=ft.Text(say.drain_about),
        actions=[ft.TextButton(say.close_sheet, on_click=keep), ft.FilledButton(say.drain, on_click=drain)],
    )
