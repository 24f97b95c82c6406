"""What the engine seam promises, on sketch always and on a real ComfyUI where COMFYUI_URL names one.

A real one may be as slow as a CPU and is best idle. It needs a checkpoint of the kind of Stable Diffusion 1.5 or XL:
one of the presets', or the one that COMFYUI_CHECKPOINT names. What takes control of the engine's process, or a node
that fails on demand, is held against sketch alone.
"""

import io
import itertools
import json
import os
import secrets
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

import services.executor.engine
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import (
    EngineError,
    EngineUnavailable,
    RunFailed,
    RunInterrupted,
    RunLost,
    RunRefused,
)
from services.executor.engine.events import Preview, Progress, Started
from services.executor.engine.model import Parameters
from services.executor.engine.state import Status
from services.executor.engine.workflows import load_models
from tests.executor.sketch_process import SketchProcess
from tests.executor.wire import Wire

SD15 = load_models(Path(services.executor.engine.__file__).parents[1] / "models")["sd15"]
CHECKPOINTS = ("v1-5-pruned-emaonly-fp16.safetensors", "sd_xl_base_1.0.safetensors", "sd_xl_turbo_1.0_fp16.safetensors")
ENGINES = ["sketch", *(["comfyui"] if "COMFYUI_URL" in os.environ else [])]
# A step of a 64×64 picture then takes 10 ms: fast enough for tests, slow enough to be interrupted.
SKETCH = {"step_seconds": 0.08, "load_seconds": 0.0}
LONG = 3000
# Loading a model from a cold disk takes a real engine 22 s, and a step on a CPU most of a second.
WITHIN_S = 900 if "COMFYUI_URL" in os.environ else 30
# A seed that a long-lived engine has seen may find its picture in the cache, and then no step is told.
SEEDS = itertools.count(secrets.randbelow(2**48))


@pytest.fixture(scope="module", params=ENGINES)
def url(request):
    """A server that every test of this module shares and leaves idle."""
    if request.param == "comfyui":
        yield os.environ["COMFYUI_URL"]
    else:
        with SketchProcess(**SKETCH) as sketch:
            yield sketch.url


@pytest.fixture
def engine(url):
    with closing(ComfyUI(url)) as engine:
        engine.start()
        yield engine


@pytest.fixture
def sketch():
    """A sketch of one's own, to be killed."""
    with SketchProcess(**SKETCH) as process:
        yield process


class Painting:
    """A run in a thread of its own."""

    def __init__(self, engine, *, graph=None, node=SD15.output_node, on_event=lambda _: None, **asked):
        self.id = uuid4()
        self.node = node
        self.graph = graph or a_graph(engine, self.id, **asked)
        self.events = []
        self.pictures = self.error = None
        self.started, self.stepped = threading.Event(), threading.Event()
        self._engine, self._on_event = engine, on_event
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.pictures = self._engine.run(self.id, self.graph, output_node=self.node, on_event=self._tell)
        except EngineError as error:
            self.error = error

    def _tell(self, event):
        self.events.append(event)
        if isinstance(event, Started):
            self.started.set()
        if isinstance(event, Progress):
            self.stepped.set()
        self._on_event(event)

    def begin(self):
        self._thread.start()
        return self

    def end(self):
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
        return self

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def a_graph(engine, prompt_id, *, steps=4, seed=None, count=1):
    seed = next(SEEDS) if seed is None else seed
    asked = Parameters("a lighthouse", width=64, height=64, steps=1, cfg=7.0, seed=seed, count=count)
    graph = SD15.graph(asked, prompt_id)
    graph["3"]["inputs"]["steps"] = steps  # more than the preset allows, where a run is to last
    graph["4"]["inputs"]["ckpt_name"] = checkpoint(engine)
    return graph


def checkpoint(engine):
    there = engine.files(["checkpoints"])["checkpoints"]
    wanted = (os.environ.get("COMFYUI_CHECKPOINT"), *CHECKPOINTS)
    return next((name for name in wanted if name in there), None) or min(there)


def a_failing_graph(kind):
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SketchFail", "inputs": {"image": ["1", 0], "nonce": 1, "kind": kind}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "image"}},
    }


def pixels(png):
    with Image.open(io.BytesIO(png)) as image:
        return image.tobytes()


def difference(png, other):
    """In grey levels of 255. A GPU need not repeat a picture to the last bit."""
    with Image.open(io.BytesIO(png)) as image, Image.open(io.BytesIO(other)) as other_image:
        return sum(ImageStat.Stat(ImageChops.difference(image, other_image)).mean)


def paint(engine, **asked):
    painting = Painting(engine, **asked).begin().end()
    if painting.error is not None:
        raise painting.error
    return painting


def test_the_engine_says_what_it_is(engine):
    info = engine.probe()
    assert info.version
    assert info.device
    assert 0 < info.vram_free <= info.vram_total


def test_the_engine_lists_its_model_files(engine):
    everything = engine.files()
    assert everything["checkpoints"]
    assert engine.files(["checkpoints", "nowhere"]) == {
        "checkpoints": everything["checkpoints"],
        "nowhere": frozenset(),
    }


def test_a_run_brings_a_picture_and_tells_its_steps_and_previews(engine):
    painting = paint(engine, steps=4)
    (picture,) = painting.pictures
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, image.size) == ("PNG", (64, 64))
    assert painting.events[0] == Started()
    assert len(painting.of(Started)) == 1
    steps = painting.of(Progress)
    assert [(p.step, p.steps, p.node) for p in steps] == [(n, 4, "3") for n in range(1, 5)]
    assert {preview.mime for preview in painting.of(Preview)} == {"image/jpeg"}


def test_the_pictures_are_the_bytes_that_view_gives(engine, url):
    painting = paint(engine, count=4)
    images = engine.find(painting.id).images[painting.node]
    assert painting.pictures == [httpx.get(f"{url}/view", params=asdict(image)).content for image in images]
    assert len({pixels(picture) for picture in painting.pictures}) == 4


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(engine):
    seed, another_seed = next(SEEDS), next(SEEDS)
    first, again, other = (paint(engine, seed=s).pictures[0] for s in (seed, seed, another_seed))
    assert difference(first, again) < difference(first, other) / 4


def test_two_runs_at_once_bring_each_its_own_picture(engine):
    both = [Painting(engine, steps=6) for _ in range(2)]
    for painting in both:
        painting.begin()
    for painting in both:
        assert painting.end().error is None
        assert [p.step for p in painting.of(Progress)] == list(range(1, 7))
    for painting, other in (both, both[::-1]):
        again = paint(engine, seed=painting.graph["3"]["inputs"]["seed"], steps=6).pictures[0]
        assert difference(again, painting.pictures[0]) < difference(again, other.pictures[0]) / 4


def test_two_samplers_in_a_subgraph_tell_their_steps_each_under_its_own_id(engine):
    prompt_id = uuid4()
    graph = json.loads(json.dumps(a_graph(engine, prompt_id)).replace('"3"', '"12:3"'))
    refine = {**graph["12:3"]["inputs"], "latent_image": ["12:3", 0], "steps": 2, "denoise": 0.5}
    graph["12:5"] = {"class_type": "KSampler", "inputs": refine}
    graph["8"]["inputs"]["samples"] = ["12:5", 0]
    painting = paint(engine, graph=graph)
    assert len(painting.pictures) == 1
    assert [(p.node, p.step, p.steps) for p in painting.of(Progress)] == [
        *(("12:3", step, 4) for step in range(1, 5)),
        *(("12:5", step, 2) for step in range(1, 3)),
    ]


def test_the_queue_has_a_length(engine):
    assert engine.queue_length() == 0
    painting = Painting(engine, steps=LONG).begin()
    assert painting.started.wait(WITHIN_S)
    assert engine.queue_length() == 1
    engine.cancel(painting.id)
    painting.end()


def test_a_graph_with_an_unknown_node_is_refused(engine):
    graph = a_graph(engine, uuid4())
    graph["3"]["class_type"] = "NoSuchSampler"
    with pytest.raises(RunRefused) as refused:
        paint(engine, graph=graph)
    assert refused.value.kind == "missing_node_type"


def test_a_graph_with_an_absent_model_is_refused(engine):
    graph = a_graph(engine, uuid4())
    graph["4"]["inputs"]["ckpt_name"] = "absent.safetensors"
    with pytest.raises(RunRefused) as refused:
        paint(engine, graph=graph)
    assert refused.value.kind == "value_not_in_list"


def test_a_graph_that_would_run_in_part_is_refused_and_does_not_run_on(engine):
    graph = a_graph(engine, uuid4(), steps=LONG)
    graph["10"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}
    painting = Painting(engine, graph=graph).begin().end()
    assert isinstance(painting.error, RunRefused)
    assert painting.error.kind == "required_input_missing"
    while (state := engine.find(painting.id)) is not None and state.status is Status.IN_PROGRESS:
        pass
    assert state is None or state.status is Status.CANCELLED


def test_a_run_that_breaks_fails_without_repeating_what_the_engine_said(engine):
    graph = a_graph(engine, uuid4())
    graph["9"]["inputs"]["filename_prefix"] = "../../outside"  # ComfyUI notices when it saves
    with pytest.raises(RunFailed) as failed:
        paint(engine, graph=graph)
    assert (failed.value.kind, failed.value.retryable) == ("execution_error", False)
    assert str(failed.value) == "execution_error"


def test_a_running_run_can_be_canceled(engine):
    painting = Painting(engine, steps=LONG).begin()
    assert painting.stepped.wait(WITHIN_S)
    assert engine.cancel(painting.id)
    assert isinstance(painting.end().error, RunInterrupted)
    assert engine.find(painting.id).status is Status.CANCELLED


def test_a_waiting_run_can_be_canceled_and_never_starts(engine):
    ahead = Painting(engine, steps=LONG).begin()
    assert ahead.started.wait(WITHIN_S)
    waiting = Painting(engine).begin()
    while engine.find(waiting.id) is None:
        pass
    assert engine.cancel(waiting.id)
    assert isinstance(waiting.end().error, RunInterrupted)
    assert waiting.events == []
    engine.cancel(ahead.id)
    assert isinstance(ahead.end().error, RunInterrupted)


def test_a_cancel_of_what_the_engine_does_not_hold_says_so(engine):
    assert not engine.cancel(uuid4())


def test_a_running_run_can_be_adopted(engine, url):
    painting = Painting(engine, steps=60).begin()
    assert painting.stepped.wait(WITHIN_S)
    events = []
    with closing(ComfyUI(url)) as other:
        other.start()
        adopted = other.adopt(painting.id, output_node=painting.node, on_event=events.append)
    assert adopted == painting.end().pictures
    assert events == [Started()]


def test_a_finished_run_can_be_adopted_without_a_socket(engine, url):
    painting = paint(engine)
    with closing(ComfyUI(url)) as other:
        assert other.adopt(painting.id, output_node=painting.node, on_event=lambda _: None) == painting.pictures


def test_a_run_that_never_came_is_lost_to_its_adopter(engine):
    with pytest.raises(RunLost):
        engine.adopt(uuid4(), output_node="9", on_event=lambda _: None)


def test_a_forgotten_run_is_unknown(engine):
    painting = paint(engine)
    engine.forget(painting.id)
    assert engine.find(painting.id) is None


def test_a_run_whose_socket_is_cut_ends_all_the_same(url):
    cut = threading.Event()
    with closing(Wire(url)) as wire, closing(ComfyUI(wire.url)) as engine:
        engine.start()

        def cut_once(event):
            if isinstance(event, Progress) and not cut.is_set():
                cut.set()
                wire.cut()

        painting = paint(engine, steps=60, on_event=cut_once)
        assert len(painting.pictures) == 1
        assert len(painting.of(Progress)) < 60
        assert [p.step for p in paint(engine).of(Progress)] == [1, 2, 3, 4]


def test_running_out_of_memory_is_told_apart(sketch):
    with closing(ComfyUI(sketch.url)) as engine:
        engine.start()
        with pytest.raises(RunFailed) as failed:
            paint(engine, graph=a_failing_graph("oom"))
        assert (failed.value.kind, failed.value.retryable) == ("out_of_memory", True)
        assert len(paint(engine).pictures) == 1


def in_mid_run(sketch, happens, **settings):
    """The error of a run in which something happens after the first step."""
    done = threading.Event()
    with closing(ComfyUI(sketch.url, **settings)) as engine:
        engine.start()

        def once(event):
            if isinstance(event, Progress) and not done.is_set():
                done.set()
                happens()

        return Painting(engine, steps=LONG, on_event=once).begin().end().error


def test_a_forgotten_run_leaves_no_files(sketch):
    output = sketch.base_directory / "output"
    with closing(ComfyUI(sketch.url, output_directory=output)) as engine:
        engine.start()
        painting = paint(engine)
        assert list(output.rglob("*.png"))
        engine.forget(painting.id)
        assert not list(output.rglob("*.png"))


def test_a_run_is_lost_when_the_engine_restarts(sketch):
    assert isinstance(in_mid_run(sketch, sketch.restart), RunLost)


def test_a_killed_engine_is_unavailable_within_the_patience(sketch):
    error = in_mid_run(sketch, sketch.kill, patience=1.0)
    assert isinstance(error, EngineUnavailable)
    assert error.kind == "no_answer"  # not "unreachable": the engine was sent something and may have died of it


def test_a_frozen_engine_is_unavailable_within_the_patience(sketch):
    error = in_mid_run(sketch, sketch.pause, patience=1.0)
    sketch.resume()
    assert isinstance(error, EngineUnavailable)
    assert error.kind == "no_answer"


def test_an_engine_whose_worker_thread_dies_is_unavailable_though_it_answers(sketch):
    with closing(ComfyUI(sketch.url, stall=0.5)) as engine:
        engine.start()
        with pytest.raises(EngineUnavailable) as error:
            paint(engine, graph=a_failing_graph("zombie"))
        assert error.value.kind == "stalled"
        assert engine.probe().version
