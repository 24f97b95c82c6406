"""Sketch against the recordings of a real ComfyUI 0.33: the same requests must get the same frames and answers."""

import asyncio
import functools
import json
import re
from typing import Any

import httpx
import pytest

from tests.executor.sketch_process import SketchProcess
from tests.executor.sketch_replay import assert_same, assert_same_answers, assert_same_frames, lines_of, replay

OFFICIAL_CHECKPOINTS = (
    "sd3.5_medium.safetensors",
    "sd_xl_base_1.0.safetensors",
    "sd_xl_turbo_1.0_fp16.safetensors",
    "v1-5-pruned-emaonly-fp16.safetensors",
)


@pytest.fixture
def sketch():
    """A sketch with the checkpoints and the upload limit of the recorded server."""
    checkpoints = [f"--without={name}" for name in OFFICIAL_CHECKPOINTS]
    checkpoints += ["--with=checkpoints/lab_a.safetensors", "--with=checkpoints/lab_b.safetensors"]
    with SketchProcess(*checkpoints) as process:
        yield process


def in_a_loop(test):
    """Run an async test to its end; there are few enough not to need a plugin."""

    @functools.wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(test(*arguments, **fixtures))

    return run


@in_a_loop
async def test_a_success_a_cached_repeat_and_a_preview_image(sketch):
    names = ("02_emptyimage_save_success", "03_same_graph_again_cached", "04_PreviewImage")
    assert_same(await replay(sketch, *map(lines_of, names)))


@in_a_loop
async def test_pictures_through_the_websocket(sketch):
    assert_same(await replay(sketch, lines_of("04_SaveImageWebsocket")))


@in_a_loop
async def test_the_words_of_a_node_go_to_everybody(sketch):
    assert_same(await replay(sketch, lines_of("15_progress_text")))


@in_a_loop
async def test_stable_diffusion_without_previews_then_legacy_previews_then_previews_with_metadata(sketch):
    names = ("05_sd15_cold_nopreview", "06_sd15_warm_latent2rgb_legacy", "07_sd15_warm_latent2rgb_metadata")
    assert_same(await replay(sketch, *map(lines_of, names)))


@in_a_loop
async def test_the_other_preview_methods(sketch):
    names = ("05_sd15_cold_nopreview", "08_sd15_warm_preview_auto", "09_sd15_warm_preview_taesd")
    assert_same(await replay(sketch, *map(lines_of, names)))


@in_a_loop
async def test_a_failing_node_and_one_that_is_out_of_memory(sketch):
    assert_same(await replay(sketch, lines_of("11_failing_value"), lines_of("11_failing_oom")))


@in_a_loop
async def test_interrupts_of_the_running_prompt_and_of_a_wrong_one(sketch):
    ways = ("global", "prompt_id", "wrong_id", "api_cancel", "block_node")
    assert_same(await replay(sketch, *(lines_of(f"12_interrupt_{way}") for way in ways), collapse=True))


@in_a_loop
async def test_deleting_and_ordering_what_is_queued(sketch):
    players = await replay(sketch, lines_of("13_queue_delete", hasten=1), collapse=True)
    assert_same_answers(players)
    for kinds in ({"status"}, {"execution_start", "executed", "executing"}):
        # Requests race with the run, so statuses and milestones keep their order only among themselves.
        for name, got in players[0].got_frames.items():
            recorded = players[0].recorded_frames[name + " compared"]
            assert [f for f in got if f["type"] in kinds] == [f for f in recorded if f["type"] in kinds]


@in_a_loop
async def test_prompts_without_a_client_are_shown_to_everybody_and_others_to_their_owner(sketch):
    assert_same(await replay(sketch, lines_of("14_isolation_two_clients"), collapse=True))


@in_a_loop
async def test_reconnecting_during_a_run_and_after_its_end(sketch):
    names = ("16_reconnect_mid_run", "17_ws_absent_at_finish")
    assert_same(await replay(sketch, *map(lines_of, names), collapse=True))


@in_a_loop
async def test_feature_flags_count_only_as_the_first_json_message(sketch):
    lines = lines_of("19_feature_flags_late")
    flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
    first, second = (place for place, line in enumerate(lines) if line["dir"] == "open")
    for place, before in ((second, {"text": "not JSON"}), (first, {"msg": {"type": "hello"}})):
        # The recorder did not write down what it sent: other JSON first, then other text first.
        lines[place + 2 : place + 2] = [{"ws": "A", "dir": "send", **sent} for sent in (before, {"msg": flags})]
    assert_same_frames(await replay(sketch, lines))


@in_a_loop
async def test_files_and_history(sketch):
    lines = lines_of("22_view_upload_history")
    upload = next(place for place, line in enumerate(lines) if "LoadImage" in json.dumps(line.get("req")))
    lines = lines[:upload] + [
        line for line in lines[upload + 1 :] if "http" in line and "279e84ea" not in json.dumps(line)
    ]
    assert_same(await replay(sketch, lines))


def test_uploads(sketch):
    # The recorder wrote down the fields and not the bytes, of which the notes tell.
    bytes_of = {"same name other bytes": b"other", "overwrite": b"third"}
    for line in lines_of("22_view_upload_history"):
        if line.get("http") == "POST /upload/image":
            recorded = json.loads(line["body"]) if line["body"].startswith("{") else line["body"]
            name = "in.png" if line["note"] not in ("traversal name", "not an image") else recorded["name"]
            image = (name, bytes_of.get(line["note"], b"first"))
            answer = httpx.post(f"{sketch.url}/upload/image", data=line["fields"], files={"image": image})
            assert answer.status_code == line["status"], line["note"]
            assert (answer.json() if isinstance(recorded, dict) else answer.text) == recorded, line["note"]


@in_a_loop
async def test_a_batch_is_one_executed_frame_with_all_its_pictures(sketch):
    assert_same(await replay(sketch, lines_of("30_batch4")))


@in_a_loop
async def test_refused_prompts(sketch):
    lines = [line for line in lines_of("10_prompt_errors") if line["http"] == "POST /prompt"]
    by_note = {line["note"]: line for line in lines}
    # Of these two bodies the recorder kept only the head.
    nan = json.dumps(by_note["bad ckpt name"]["req"]).replace('"nope.safetensors"', '"nope"').replace("7.0", "NaN")
    by_note["NaN cfg"]["req"] = nan
    by_note["wrong content type but JSON"]["req"] = by_note["unknown extra keys"]["req"]
    assert_same_answers(await replay(sketch, lines))


@in_a_loop
async def test_the_answers_to_an_idle_server(sketch):
    wanted = {
        "/prompt",
        "/queue",
        "/history",
        "/models/checkpoints",
        "/models/nope",
        "/api/jobs",
        "/object_info/NoSuchNode",
    }
    unknown = re.compile(r"/(api/jobs|history)/0{8}-")
    lines = [line for line in lines_of("01_http_info") if line["http"].startswith("GET ")]
    lines = [line for line in lines if (path := line["http"][4:]) in wanted or unknown.match(path)]
    assert_same_answers(await replay(sketch, lines))
