"""Runs of the engine seam against recordings of a real ComfyUI."""

import re
import threading
from contextlib import closing
from uuid import uuid4

import pytest

from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import RunFailed, RunInterrupted, RunLost
from services.executor.engine.events import Decoding, Executing, Loading, Preview, Progress, Sampling, Started
from tests.executor.replay import Replay, picture


class Outcome:
    """What a run over a recording brought: pictures or an error, and the events before."""

    def __init__(self, recording, *, cancel=False):
        self.events, self.pictures, self.error = [], None, None
        with Replay(recording) as replay, closing(ComfyUI(replay.url)) as engine:
            engine.start()
            prompt_id = uuid4()
            if cancel:
                canceling = threading.Thread(target=lambda: replay.started.wait(10) and engine.cancel(prompt_id))
                canceling.start()
            try:
                self.pictures = engine.run(
                    prompt_id, replay.graph, output_node=replay.output_node, on_event=self.events.append
                )
            except (RunFailed, RunInterrupted, RunLost) as error:
                self.error = error
            if cancel:
                canceling.join()

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("recording", "pictures"),
    [
        pytest.param("02", [picture("null_00001_.png")], id="uncached"),
        pytest.param("03", [picture("null_00001_.png")], id="wholly cached"),
        pytest.param("16", [picture("mid_00013_.png")], id="socket lost in mid-run"),
        pytest.param("17", [picture("mid_00014_.png")], id="socket lost before the run began"),
        pytest.param(
            "30",
            [picture("bt_00001_.png"), picture("bt_00002_.png"), picture("bt_00003_.png"), picture("bt_00004_.png")],
            id="batch",
        ),
    ],
)
def test_a_run_that_succeeded_brings_its_pictures_in_order(recording, pictures):
    outcome = Outcome(recording)
    assert outcome.error is None
    assert outcome.pictures == pictures
    assert outcome.events[0] == Started()
    assert len(outcome.of(Started)) == 1


def test_a_cold_run_tells_of_each_node_of_loading_of_each_step_and_of_decoding():
    outcome = Outcome("05")
    assert outcome.events == [
        Started(),
        Executing("4", "CheckpointLoaderSimple"),
        Loading("4"),
        Executing("5", "EmptyLatentImage"),
        Executing("7", "CLIPTextEncode"),
        Executing("6", "CLIPTextEncode"),
        Executing("3", "KSampler"),
        Sampling("3"),
        Progress(1, 4, "3"),
        Progress(2, 4, "3"),
        Progress(3, 4, "3"),
        Progress(4, 4, "3"),
        Executing("8", "VAEDecode"),
        Decoding("8"),
        Executing("9", "SaveImage"),
    ]
    assert outcome.pictures == [picture("sd_00001_.png")]


def test_a_run_shows_previews_of_its_sampler():
    outcome = Outcome("07")
    previews = outcome.of(Preview)
    assert outcome.of(Progress)[-1] == Progress(4, 4, "3")
    assert previews
    assert {(p.mime, p.data[:2].hex()) for p in previews} == {("image/jpeg", "ffd8")}


def test_running_out_of_memory_is_worth_another_try():
    error = Outcome("11_failing_oom").error
    assert isinstance(error, RunFailed)
    assert (error.kind, error.retryable) == ("out_of_memory", True)


def test_an_error_that_the_graph_would_raise_again_is_not_retryable():
    error = Outcome("11_failing_value").error
    assert isinstance(error, RunFailed)
    assert (error.kind, error.retryable) == ("execution_error", False)


@pytest.mark.parametrize(
    "recording",
    ["11_failing_oom", "11_failing_value", "12_interrupt_api_cancel", "26", "28"],
)
def test_an_error_says_a_word_of_ours_and_nothing_of_the_engine(recording):
    error = Outcome(recording, cancel=recording.startswith("12")).error
    assert re.fullmatch("[a-z_]+", error.kind)
    assert (str(error), error.args) == (error.kind, (error.kind,))


@pytest.mark.parametrize("recording", ["11_failing_oom", "11_failing_value"])
def test_what_the_engine_said_of_a_failure_is_kept_for_the_log(recording):
    assert Outcome(recording).error.detail


def test_a_run_that_took_the_engine_with_it_is_lost():
    assert isinstance(Outcome("28").error, RunLost)


def test_a_loader_that_is_served_from_the_cache_is_not_told_as_loading():
    outcome = Outcome("06")
    assert outcome.of(Loading) == []
    assert len(outcome.of(Started)) == 1


@pytest.mark.parametrize(
    "recording", ["12_interrupt_api_cancel", "12_interrupt_block_node", "12_interrupt_global", "12_interrupt_prompt_id"]
)
def test_an_interrupted_run_ends_as_canceled(recording):
    assert isinstance(Outcome(recording, cancel=True).error, RunInterrupted)


def test_a_run_ends_well_although_another_one_was_interrupted():
    outcome = Outcome("12_interrupt_wrong_id", cancel=True)
    assert outcome.pictures == [picture("mid_00001_.png")]


def test_only_samplers_count_steps():
    outcome = Outcome("12_interrupt_wrong_id", cancel=True)  # its node 3 is no sampler and counts
    assert [event for event in outcome.events if not isinstance(event, Executing)] == [Started()]


def test_a_run_that_the_engine_forgot_when_it_was_killed_is_lost():
    assert isinstance(Outcome("26").error, RunLost)
