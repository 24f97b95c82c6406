"""What sketch promises beyond the recordings: the presets' graphs, its declarations, its files and its manners."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.executor.sketch_client import PATIENCE_S, Client, Graph, a_picture, node
from tests.executor.sketch_process import SketchProcess

OBJECT_INFO = json.loads((Path(__file__).parent / "object_info.json").read_text())
LIMITS = ("default", "min", "max", "step", "multiline", "control_after_generate")


def sd_turbo() -> Graph:
    graph = a_picture(width=128)
    graph["model"]["inputs"]["ckpt_name"] = "sd_xl_turbo_1.0_fp16.safetensors"
    graph["sampler"] = node("KSamplerSelect", sampler_name="euler_ancestral")
    graph["sigmas"] = node("SDTurboScheduler", model=["model", 0], steps=1, denoise=1.0)
    graph["paint"] = node(
        "SamplerCustom",
        model=["model", 0],
        add_noise=True,
        noise_seed=1,
        cfg=1.0,
        positive=["good", 0],
        negative=["bad", 0],
        sampler=["sampler", 0],
        sigmas=["sigmas", 0],
        latent_image=["size", 0],
    )
    return graph


def sdxl() -> Graph:
    graph = a_picture()
    graph["model"]["inputs"]["ckpt_name"] = "sd_xl_base_1.0.safetensors"
    sizes = {"width": 64, "height": 64, "crop_w": 0, "crop_h": 0, "target_width": 64, "target_height": 64}
    graph["good"] = node("CLIPTextEncodeSDXL", clip=["model", 1], text_g="a lake", text_l="a lake", **sizes)
    return graph


def sd35() -> Graph:
    graph = a_picture()
    graph["model"]["inputs"]["ckpt_name"] = "sd3.5_medium.safetensors"
    encoders = {"clip_name1": "clip_l.safetensors", "clip_name2": "clip_g.safetensors"}
    graph["clip"] = node("TripleCLIPLoader", clip_name3="t5xxl_fp8_e4m3fn.safetensors", **encoders)
    texts = {"clip_l": "a lake", "clip_g": "a lake", "t5xxl": "a lake", "empty_padding": "none"}
    graph["good"] = node("CLIPTextEncodeSD3", clip=["clip", 0], **texts)
    graph["bad"] = node("ConditioningZeroOut", conditioning=["good", 0])
    graph["shifted"] = node("ModelSamplingSD3", model=["model", 0], shift=3.0)
    graph["size"] = node("EmptySD3LatentImage", width=64, height=64, batch_size=1)
    graph["paint"]["inputs"]["model"] = ["shifted", 0]
    return graph


def flux() -> Graph:
    encoders = {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp8_e4m3fn.safetensors", "type": "flux"}
    return {
        "unet": node("UNETLoader", unet_name="flux1-schnell.safetensors", weight_dtype="fp8_e4m3fn"),
        "clip": node("DualCLIPLoader", **encoders),
        "vae": node("VAELoader", vae_name="ae.safetensors"),
        "shifted": node("ModelSamplingFlux", model=["unet", 0], max_shift=1.15, base_shift=0.5, width=64, height=64),
        "text": node("CLIPTextEncodeFlux", clip=["clip", 0], clip_l="a lake", t5xxl="a lake", guidance=3.5),
        "guided": node("FluxGuidance", conditioning=["text", 0], guidance=3.5),
        "guider": node("BasicGuider", model=["shifted", 0], conditioning=["guided", 0]),
        "noise": node("RandomNoise", noise_seed=7),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["shifted", 0], scheduler="simple", steps=4, denoise=1.0),
        "size": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
        "paint": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["size", 0],
        ),
        "decode": node("VAEDecode", samples=["paint", 0], vae=["vae", 0]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="flux"),
    }


@pytest.fixture(scope="module")
def lasting_sketch():
    """For the tests that leave it alive."""
    with SketchProcess() as process:
        yield process


@pytest.fixture
def client(lasting_sketch):
    with Client(lasting_sketch) as client:
        yield client


@pytest.mark.parametrize("preset", [a_picture, sdxl, sd_turbo, sd35, flux])
def test_the_graph_of_each_preset_paints_a_picture(client, preset):
    job = client.run(preset())
    assert job["status"] == "completed"
    assert client.view(job["preview_output"]).startswith(b"\x89PNG")


def declared(name: str, config: list[Any]) -> Any:
    """What an input promises: its type and limits; of a choice of files only that it is one."""
    kind, options = config[0], config[1] if len(config) > 1 else {}
    choices = kind if isinstance(kind, list) else options.get("options")
    files = name.endswith(("_name", "_name1", "_name2", "_name3")) and name != "sampler_name"
    shape = "choice" if isinstance(kind, list) else kind
    return shape, None if files else choices, {limit: options[limit] for limit in LIMITS if limit in options}


def test_the_declarations_agree_with_a_real_server(client):
    ours = client.http.get("/object_info").json()
    assert len(ours.keys() & OBJECT_INFO.keys()) > 30
    for class_type in ours.keys() & OBJECT_INFO.keys():
        mine, real = ours[class_type], OBJECT_INFO[class_type]
        assert (mine["output"], mine["output_node"]) == (real["output"], real["output_node"]), class_type
        for group in ("required", "optional"):
            assert {name: declared(name, config) for name, config in mine["input"].get(group, {}).items()} == {
                name: declared(name, config) for name, config in real["input"].get(group, {}).items()
            }, class_type
        assert mine["input_order"]["required"] == real["input_order"]["required"], class_type


def test_a_seed_paints_the_same_file_again_after_other_work(client):
    graph = a_picture(seed=2**64 - 1)
    first = client.view(client.run(graph)["preview_output"])
    client.run(a_picture(seed=5))
    again = client.run(graph)["preview_output"]
    assert client.view(again) == first


def test_a_batch_is_as_many_different_pictures(client):
    images = client.run(a_picture(batch=3))["outputs"]["save"]["images"]
    assert len({client.view(image) for image in images}) == 3


def test_the_picture_carries_its_graph_as_comfyui_writes_it(client, lasting_sketch):
    graph = a_picture()
    image = client.run(graph)["preview_output"]
    path = lasting_sketch.base_directory / "output" / image["subfolder"] / image["filename"]
    with Image.open(path) as picture:
        assert json.loads(picture.text["prompt"]) == graph


def test_a_prefix_that_leads_outside_the_output_folder_fails_the_run(client):
    graph = a_picture()
    graph["save"]["inputs"]["filename_prefix"] = "../../evil"
    assert client.run(graph)["execution_error"]["exception_type"] == "ValueError"


def test_a_deleted_file_name_is_given_again_while_the_cache_still_names_it(client, lasting_sketch):
    graph = a_picture()
    [image] = client.run(graph)["outputs"]["save"]["images"]
    (lasting_sketch.base_directory / "output" / image["subfolder"] / image["filename"]).unlink()
    graph["black"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    prefix = graph["save"]["inputs"]["filename_prefix"]
    graph["save black"] = node("SaveImage", images=["black", 0], filename_prefix=prefix)
    outputs = client.run(graph)["outputs"]
    assert outputs["save"]["images"] == outputs["save black"]["images"] == [image]


def test_forgotten_outputs_are_computed_again(client):
    graph = a_picture(seed=77)
    client.run(graph)
    client.http.post("/free", json={"free_memory": True})
    client.run(a_picture(seed=78))
    client.submit(graph)
    assert client.until("execution_cached")[-1]["data"]["nodes"] == []
    client.until("execution_success")


@pytest.mark.parametrize("words", ["SketchFail oom", "exit", "zombie", "raise ValueError"])
def test_words_of_a_prompt_are_never_commands(client, words):
    assert client.run(a_picture(words))["status"] == "completed"


def test_a_client_without_previews_gets_none_and_one_that_asks_gets_one_per_step(client):
    for method, expected in (("none", 0), ("latent2rgb", 3)):
        prompt_id = client.submit(a_picture(seed=expected, steps=3), extra_data={"preview_method": method})
        previews = 0
        while True:
            message = client.socket.recv(timeout=PATIENCE_S)
            if isinstance(message, bytes):
                previews += 1
            elif json.loads(message).get("data") == {"node": None, "prompt_id": prompt_id}:
                break
        assert previews == expected


def test_it_says_that_it_is_no_neural_network(client):
    stats = client.http.get("/system_stats").json()
    assert (stats["system"]["comfyui_version"], stats["system"]["sketch"]) == ("0.33.0", True)
    assert stats["devices"][0]["name"] == "sketch (no neural network)"


def test_every_route_is_also_under_api_and_jobs_only_there(client):
    for path in ("/prompt", "/queue", "/history", "/models", "/features", "/object_info/KSampler"):
        assert client.http.get(path).json() == client.http.get(f"/api{path}").json()
    assert client.http.get("/jobs").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 200),
        ({"Host": "gpu.internal", "Origin": "http://evil.example"}, 200),
        ({}, 200),
    ],
)
def test_a_foreign_page_cannot_reach_a_loopback_server(client, headers, status):
    assert client.http.get("/queue", headers=headers).status_code == status


def test_the_first_socket_of_a_client_id_makes_the_second_deaf_when_it_leaves(client, lasting_sketch):
    second = client.another_socket()
    second.recv(timeout=PATIENCE_S)
    client.socket.close()
    with Client(lasting_sketch) as watcher:
        watcher.run(a_picture())
    with pytest.raises(TimeoutError):
        second.recv(timeout=0)


def test_a_missing_file_is_neither_listed_nor_accepted():
    with SketchProcess("--without=ae.safetensors", "--with=loras/ink.safetensors") as sketch:
        with httpx.Client(base_url=sketch.url) as http:
            assert http.get("/models/vae").json() == []
            assert http.get("/models/loras").json() == ["ink.safetensors"]
            refused = http.post("/prompt", json={"prompt": flux()}).json()
        assert refused["node_errors"]["vae"]["errors"][0]["type"] == "value_not_in_list"


def test_it_can_pretend_to_be_another_version_on_another_device():
    with SketchProcess("--version=0.24.0", "--device=cuda:0 NVIDIA H100", "--vram=85899345920") as sketch:
        stats = httpx.get(f"{sketch.url}/system_stats").json()
    assert stats["system"]["comfyui_version"] == "0.24.0"
    device = stats["devices"][0]
    assert (device["name"], device["vram_total"], device["vram_free"]) == ("cuda:0 NVIDIA H100", 80 << 30, 80 << 30)


def with_lora(strength: float) -> Graph:
    graph = a_picture(seed=5)
    strengths = {"strength_model": strength, "strength_clip": 1.0}
    graph["lora"] = node("LoraLoader", model=["model", 0], clip=["model", 1], lora_name="x.safetensors", **strengths)
    graph["paint"]["inputs"]["model"] = ["lora", 0]
    for text in ("good", "bad"):
        graph[text]["inputs"]["clip"] = ["lora", 1]
    return graph


def test_a_lora_that_is_there_changes_the_picture_and_one_that_is_not_is_refused(client):
    refused = client.http.post("/prompt", json={"prompt": with_lora(1.0)}).json()
    assert refused["node_errors"]["lora"]["errors"][0]["type"] == "value_not_in_list"
    with SketchProcess("--with=loras/x.safetensors") as sketch, Client(sketch) as other:
        weak, strong = (other.view(other.run(with_lora(s))["preview_output"]) for s in (0.5, 1.0))
    assert weak != strong


def test_a_model_is_loaded_when_the_prompt_before_did_not_use_it(client):
    def loads(checkpoint):
        graph = a_picture(seed=3)
        graph["model"]["inputs"]["ckpt_name"] = checkpoint
        client.submit(graph)
        return "model" not in client.until("execution_cached")[-1]["data"]["nodes"]

    first, second = "v1-5-pruned-emaonly-fp16.safetensors", "sd_xl_base_1.0.safetensors"
    loads(first)
    assert [loads(name) for name in (first, second, second, first)] == [False, True, False, True]


def test_a_client_that_does_not_read_holds_up_the_others_until_it_leaves(client, lasting_sketch):
    def is_over(prompt_id):
        job = client.http.get(f"/api/jobs/{prompt_id}").json()
        return job["status"] == "completed"

    with Client(lasting_sketch) as lazy:
        # 500 previews of 38 kB are more than the sockets' buffers hold.
        stuck = lazy.submit(a_picture(seed=9, steps=500), extra_data={"preview_method": "latent2rgb"})
        held_up = client.submit(a_picture(seed=10))
        while not (is_over(stuck) and is_over(held_up)):
            time.sleep(0.05)
        with pytest.raises(TimeoutError):
            while f'"prompt_id": "{held_up}"' not in client.socket.recv(timeout=0.5):
                pass
    client.until("executing", node=None, prompt_id=held_up)
