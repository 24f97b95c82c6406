"""The person's API keys."""

from datetime import datetime

import flet as ft

from api.api_keys import ApiKey
from state.api_keys import ApiKeys
from state.session import Session
from texts.spans import since, until
from texts.words import Words
from views.account.column import column
from views.account.new_key import NewKey
from views.keyed import keyed
from views.look import GAP, card, quiet
from views.named import Action, icon_button
from views.troubles import trouble, waiting


@ft.component
def KeysView(session: Session, say: Words) -> ft.Control:
    keys, _ = ft.use_state(ApiKeys(session.client))
    is_making, set_is_making = ft.use_state(False)
    ft.use_effect(keys.load, [])
    lines: list[ft.Control] = [quiet(say.api_keys_about)]
    if is_making:
        lines.append(keyed("new", NewKey, session, say, keys.load, lambda: set_is_making(False)))
    else:
        lines.append(ft.FilledTonalButton(say.new_key, icon=ft.Icons.ADD, on_click=lambda: set_is_making(True)))
    if keys.complaint is not None:
        lines.append(trouble(keys.complaint, say, keys.load))
    elif keys.known is None:
        lines.append(waiting(say))
    elif not keys.known and not is_making:
        lines.append(quiet(say.api_keys_empty))
    if keys.known:
        now = session.client.connection.now()
        ordered = sorted(keys.known, key=lambda key: not key.counts(now))
        rows: list[ft.Control] = [keyed(key.id, KeyRow, keys, key, now, say) for key in ordered]
        lines.append(card(ft.Column(rows, spacing=GAP, tight=True), padding=GAP))
    return column(lines)


@ft.component
def KeyRow(keys: ApiKeys, key: ApiKey, now: datetime, say: Words) -> ft.Control:
    is_asking, set_is_asking = ft.use_state(False)
    counts = key.counts(now)

    async def revoke() -> None:
        set_is_asking(False)
        await keys.revoke(key)

    ft.use_dialog(question(key, say, revoke, lambda: set_is_asking(False)) if is_asking else None)
    color = None if counts else ft.Colors.OUTLINE
    scopes = " · ".join(say.scope_names.get(scope, scope) for scope in key.scopes)
    texts: list[ft.Control] = [
        ft.Text(key.name, theme_style=ft.TextThemeStyle.TITLE_SMALL, color=color),
        quiet(f"{key.prefix}… · {scopes}"),
        quiet(fate(key, now, say)),
    ]
    parts: list[ft.Control] = [
        ft.Icon(ft.Icons.KEY if counts else ft.Icons.KEY_OFF, color=color or ft.Colors.ON_SURFACE_VARIANT),
        ft.Column(texts, spacing=2, tight=True, expand=True),
    ]
    if counts:
        name = say.revoke_key.format(name=key.name)
        parts.append(icon_button(ft.Icons.DELETE_OUTLINE, name, lambda: set_is_asking(True), disabled=keys.is_busy))
    return ft.Row(parts, spacing=GAP)


def fate(key: ApiKey, now: datetime, say: Words) -> str:
    """What has become of it, and what will."""
    if key.revoked_at is not None:
        return say.key_revoked.format(when=since(key.revoked_at, now, say))
    used = say.key_unused if key.last_used_at is None else say.last_used.format(when=since(key.last_used_at, now, say))
    if key.expires_at is None:
        return f"{used} · {say.key_endless}"
    if key.expires_at <= now:
        return say.key_expired.format(when=since(key.expires_at, now, say))
    return f"{used} · {say.key_expires.format(when=until(key.expires_at, now, say))}"


def question(key: ApiKey, say: Words, revoke: Action, keep: Action) -> ft.AlertDialog:
    return ft.AlertDialog(
        title=say.revoke_question,
        content=ft.Text(say.revoke_about.format(name=key.name)),
        actions=[
            ft.TextButton(say.cancel, on_click=keep),
            ft.FilledButton(say.revoke, on_click=revoke, bgcolor=ft.Colors.ERROR, color=ft.Colors.ON_ERROR),
        ],
        on_dismiss=keep,
    )
