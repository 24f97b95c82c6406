"""What there is to be said. `{…}` are filled in by `str.format`."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.resources import Language


@dataclass(frozen=True, kw_only=True)
class Words:
    language_code: Language

    # The first screen, and the account
    slogan: str
    promise_own: str
    promise_seen: str
    promise_kept: str
    welcome_pictures: tuple[str, str, str]
    """What they show; in English, the words that they were painted from."""
    welcome_painted: str
    username: str
    username_or_email: str
    email: str
    password: str
    password_hint: str
    show_password: str
    hide_password: str
    sign_in: str
    create_account: str
    to_register: str
    to_sign_in: str
    sign_out: str
    account: str
    language: str
    light: str
    light_system: str
    light_light: str
    light_dark: str
    signed_in_as: str
    required: str

    # Parts of the account
    overview: str
    storage: str
    storage_used: str
    storage_used_of: str
    storage_pictures: str
    storage_stays: str
    devices: str
    devices_about: str
    this_device: str
    browser_on: str
    device_unknown: str
    last_used: str
    signed_in_when: str
    end_session: str
    end_others: str
    no_others: str
    change_password: str
    current_password: str
    new_password: str
    password_rule: str
    password_ends_others: str
    password_changed: str
    password_unsure: str
    api_keys: str
    api_keys_about: str
    api_keys_empty: str
    new_key: str
    key_name: str
    key_name_hint: str
    key_name_rule: str
    key_scopes: str
    key_scope_needed: str
    scope_names: Mapping[str, str]
    scopes: Mapping[str, str]
    key_life: str
    key_lives: Mapping[str, str]
    make_key: str
    key_made: str
    key_once: str
    copy: str
    key_taken: str
    revoke: str
    revoke_key: str
    revoke_question: str
    revoke_about: str
    key_revoked: str
    key_expired: str
    key_expires: str
    key_endless: str
    key_unused: str
    delete_account: str
    delete_account_about: str
    deleted_with_account: tuple[str, ...]
    export_about: str
    export: str
    confirm_password: str
    delete_account_now: str
    farewells: Mapping[str, tuple[str, str]]
    """Title and sentence."""
    just_now: str
    ago: str
    from_now: str
    days: str

    # Asking for pictures
    create: str
    prompt: str
    prompt_hint: str
    negative_prompt: str
    negative_prompt_hint: str
    model: str
    model_switched_off: str
    model_unavailable: str
    model_cold: str
    no_models: str
    shape: str
    shapes: Mapping[str, str]
    count: str
    advanced: str
    width: str
    height: str
    steps: str
    cfg: str
    seed: str
    seed_random: str
    roll: str
    lock: str
    unlock: str
    generate: str
    suggestion: str

    # Tasks
    waiting: Mapping[str, str]
    pending: str
    processing: str
    failed: str
    canceled: str
    canceling: str
    step: str
    place: str
    about: str
    about_at_most: str
    late: str
    seconds: str
    minutes: str
    hours: str
    reconnecting: str
    cancel: str
    dismiss: str
    unpainted: str
    unpainted_none: str
    preview_of: str
    results_unavailable: str

    # Pictures
    gallery: str
    gallery_empty: str
    gallery_empty_advice: str
    search: str
    clear_filters: str
    favorites: str
    nothing_found: str
    nothing_found_advice: str
    refresh: str
    choose_pictures: str
    choose_all: str
    chosen: str
    chosen_count: str
    end_choosing: str
    save_chosen: str
    delete_chosen: str
    periods: Mapping[str, str]
    loading: str
    picture_of: str
    zoom_in: str
    zoom_out: str
    fit: str
    previous: str
    next: str
    download: str
    downloaded: str
    use_again: str
    delete: str
    deleted_one: str
    deleted_many: str
    undo: str
    deletion_failed: str
    understood: str
    favorite: str
    mark: str
    unmark: str
    formats: str
    prompt_of_it: str
    copy_prompt: str
    copied: str
    engine: str
    painted_on: str
    details: str
    close: str
    picture_gone: str
    size: str

    # Links to a picture
    share: str
    share_lives: str
    share_day: str
    share_for_ever: str
    share_password: str
    share_hide_prompt: str
    share_allow_download: str
    share_create: str
    share_qr: str
    share_copy: str
    share_once: str
    share_another: str
    share_links: str
    share_none: str
    share_open: str
    share_open_for: str
    share_expired: str
    share_revoked: str
    share_made: str
    share_has_password: str
    share_hides_prompt: str
    share_allows_download: str
    share_revoke: str
    close_sheet: str

    # The machines, for operators
    operate: str
    operators_advice: str
    workers: str
    worker_called: str
    worker_states: Mapping[str, str]
    loaded: str
    nothing_loaded: str
    jobs_held: str
    reported: str
    vram: str
    vram_name: str
    quarantine_ends: str
    drain: str
    resume: str
    drain_question: str
    drain_about: str
    no_workers: str
    no_workers_advice: str
    queues: str
    queues_empty: str
    jobs_waiting: str
    jobs_running: str
    backlog: str
    oldest: str
    models_here: str
    on_workers: str
    on_only_worker: str
    on_no_worker: str
    lacking: str

    # What goes wrong
    more: str
    retry: str
    offline: str
    not_understood: str
    reference: str
    errors: Mapping[str, str]
    failures: Mapping[str, str]
    """Why a task failed, by its code."""
