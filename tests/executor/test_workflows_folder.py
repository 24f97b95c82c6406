"""The operator's folder while the service runs: what is dropped in, edited and taken away."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.executor.engine.folder import LOOK_SECONDS, ModelFolder, open_models
from services.executor.engine.workflows import ManifestError
from services.executor.settings import ServerSettings

PRESETS = ServerSettings.model_fields["models_dir"].default
ROOT = Path(__file__).parents[2]


class Clock:
    """Stands still until somebody looks away for long enough."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def later(self, seconds=LOOK_SECONDS):
        self.now += seconds


def drop(folder, preset, suffix):
    """Put one half of a preset in the folder."""
    (folder / f"{preset}.{suffix}").write_bytes((PRESETS / f"{preset}.{suffix}").read_bytes())


@pytest.fixture
def folder(tmp_path):
    for suffix in ("yaml", "json"):
        drop(tmp_path, "sd15", suffix)
    return tmp_path


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(folder, clock):
    return ModelFolder(folder, clock)


def test_a_model_that_is_dropped_in_appears_at_the_next_look(folder, clock, opened):
    drop(folder, "sdxl", "json")
    drop(folder, "sdxl", "yaml")
    assert set(opened.models) == {"sd15"}
    clock.later()
    assert set(opened.models) == {"sd15", "sdxl"}


def test_the_folder_is_looked_at_no_more_than_once_in_a_while(folder, clock, opened):
    clock.later()
    assert set(opened.models) == {"sd15"}
    for suffix in ("json", "yaml"):
        drop(folder, "sdxl", suffix)
    clock.later(LOOK_SECONDS * 0.9)
    assert set(opened.models) == {"sd15"}
    clock.later(LOOK_SECONDS * 0.2)
    assert set(opened.models) == {"sd15", "sdxl"}


def test_a_model_that_is_taken_away_is_gone(folder, clock, opened):
    for suffix in ("json", "yaml"):
        drop(folder, "sdxl", suffix)
    clock.later()
    assert len(opened.models) == 2
    for suffix in ("json", "yaml"):
        (folder / f"sd15.{suffix}").unlink()
    clock.later()
    assert set(opened.models) == {"sdxl"}


@pytest.mark.parametrize("halves", [("json", "yaml"), ("yaml", "json")])
def test_half_of_a_model_changes_nothing_until_the_other_half_is_there(folder, clock, opened, halves):
    drop(folder, "sdxl", halves[0])
    clock.later()
    assert set(opened.models) == {"sd15"}
    drop(folder, "sdxl", halves[1])
    clock.later()
    assert set(opened.models) == {"sd15", "sdxl"}


def test_a_workflow_that_is_still_being_copied_changes_nothing(folder, clock, opened):
    drop(folder, "sdxl", "yaml")
    whole = (PRESETS / "sdxl.json").read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 3):
        (folder / "sdxl.json").write_bytes(whole[:length])
        clock.later()
        assert set(opened.models) == {"sd15"}
    (folder / "sdxl.json").write_bytes(whole)
    clock.later()
    assert set(opened.models) == {"sd15", "sdxl"}


def test_a_later_mistake_leaves_the_models_and_is_told_once_with_its_line(folder, clock, opened):
    before = opened.models
    manifest = folder / "sd15.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("licence:", "license:"), encoding="utf-8")
    with capture_logs() as logs:
        for _ in range(3):
            clock.later()
            assert opened.models == before
    (told,) = logs
    assert told["log_level"] == "warning"
    assert "sd15.yaml:6: license: unknown key" in told["mistakes"]


def test_another_mistake_is_told_again(folder, clock, opened):
    with capture_logs() as logs:
        for text in ("name: [", "name: [1, "):
            (folder / "sd15.yaml").write_text(text)
            clock.later()
            assert set(opened.models) == {"sd15"}
    assert len(logs) == 2


def test_a_mistake_that_is_mended_changes_the_model(folder, clock, opened):
    manifest = folder / "sd15.yaml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text("oops", encoding="utf-8")
    clock.later()
    assert opened.models["sd15"].cost_seconds == 2
    manifest.write_text(text.replace("cost_seconds: 2", "cost_seconds: 3"), encoding="utf-8")
    clock.later()
    assert opened.models["sd15"].cost_seconds == 3


def test_what_was_handed_out_does_not_change_afterwards(folder, clock, opened):
    before = opened.models
    for suffix in ("json", "yaml"):
        drop(folder, "sdxl", suffix)
    clock.later()
    assert set(opened.models) == {"sd15", "sdxl"}
    assert set(before) == {"sd15"}


@pytest.mark.parametrize("name", ["sdxl.yaml", "sdxl.json"])
def test_what_cannot_be_read_is_a_mistake_like_any_other(folder, clock, opened, name):
    for suffix in ("json", "yaml"):
        drop(folder, "sdxl", suffix)
    (folder / name).unlink()
    (folder / name).mkdir()
    with capture_logs() as logs:
        clock.later()
        assert set(opened.models) == {"sd15"}
    assert logs[0]["mistakes"] == [f"{name}:1: cannot be read: Is a directory"]


def test_a_link_to_nothing_is_a_mistake_like_any_other(folder, clock, opened):
    (folder / "sdxl.yaml").symlink_to(folder / "absent")
    clock.later()
    assert set(opened.models) == {"sd15"}


def test_a_folder_that_vanishes_leaves_the_last_models(folder, clock, opened):
    folder.rename(folder.with_name("elsewhere"))
    clock.later()
    assert set(opened.models) == {"sd15"}


def wait_for(opened, names):
    deadline = time.monotonic() + 20
    while set(opened.models) != names:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_many_threads_see_whole_sets_while_the_folder_changes(folder, clock, opened):
    seen, done = set(), threading.Event()

    def read_on():
        while not done.is_set():
            clock.later()
            seen.add(frozenset(opened.models))

    readers = [threading.Thread(target=read_on) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(5):
            for suffix in ("json", "yaml"):
                drop(folder, "sdxl", suffix)
            wait_for(opened, {"sd15", "sdxl"})
            for suffix in ("json", "yaml"):
                (folder / f"sdxl.{suffix}").unlink()
            wait_for(opened, {"sd15"})
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert seen == {frozenset({"sd15"}), frozenset({"sd15", "sdxl"})}


def test_a_mistake_at_the_first_look_is_raised(folder):
    (folder / "sd15.json").unlink()
    with pytest.raises(ManifestError):
        ModelFolder(folder)


def test_a_process_does_not_start_on_a_mistake_and_says_where_it_is(folder):
    manifest = folder / "sd15.yaml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("steps: 20", "steps: 0").replace("cost_seconds: 2", "cost: 2"), encoding="utf-8")
    code = "import sys; from pathlib import Path; from services.executor.engine.folder import open_models; "
    code += "open_models(Path(sys.argv[1]))"
    ended = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    lines = len(text.splitlines())
    assert sorted(ended.stderr.splitlines()) == [
        "sd15.yaml:1: cost_seconds: missing",
        f"sd15.yaml:{lines - 1}: cost: unknown key",
    ]


def test_a_process_starts_on_models_that_are_right(folder):
    assert set(open_models(folder).models) == {"sd15"}
