"""The node classes: declarations that agree with a real /object_info, each beside the action it runs."""

from collections.abc import Mapping

from services.executor.sketch import actions
from services.executor.sketch.actions import passing
from services.executor.sketch.node import (
    BATCH,
    CFG,
    CLIP_TYPES,
    DENOISE,
    DUAL_CLIP_TYPES,
    GUIDANCE,
    NONCE,
    PREFIX,
    SAMPLERS,
    SCHEDULERS,
    SEED,
    STEPS,
    STRENGTH,
    TEXT,
    WEIGHT_DTYPES,
    Input,
    Node,
    choice,
    combo,
    links,
    shift,
    side,
)
from services.executor.sketch.stage import FAULT_KINDS


def declare(models: Mapping[str, list[str]]) -> dict[str, Node]:
    """Every node class by name, offering these model files."""
    device = {"device": choice(["default", "cpu"], advanced=True)}
    encoders = models["text_encoders"]
    sampling = {"sampler_name": choice(SAMPLERS), "scheduler": choice(SCHEDULERS)}
    guided = links(model="MODEL", positive="CONDITIONING", negative="CONDITIONING")
    crop: Input = ("INT", {"default": 0, "min": 0, "max": 16384, "advanced": True})
    extent = side(1024, minimum=0, step=None)
    sdxl_sizes = {"width": extent, "height": extent, "crop_w": crop, "crop_h": crop}
    sdxl_sizes |= {"target_width": extent, "target_height": extent}
    size_512 = {"width": side(512), "height": side(512), "batch_size": BATCH}
    size_1024 = {"width": side(1024, step=16), "height": side(1024, step=16), "batch_size": BATCH}
    return {
        "CheckpointLoaderSimple": Node(
            actions.load_checkpoint, {"ckpt_name": choice(models["checkpoints"])}, ("MODEL", "CLIP", "VAE")
        ),
        "UNETLoader": Node(
            actions.load_diffusion_model,
            {
                "unet_name": choice(models["diffusion_models"]),
                "weight_dtype": choice(WEIGHT_DTYPES, advanced=True),
            },
            ("MODEL",),
        ),
        "CLIPLoader": Node(
            actions.load_file, {"clip_name": choice(encoders), "type": choice(CLIP_TYPES)}, ("CLIP",), optional=device
        ),
        "DualCLIPLoader": Node(
            actions.load_file,
            {"clip_name1": choice(encoders), "clip_name2": choice(encoders), "type": choice(DUAL_CLIP_TYPES)},
            ("CLIP",),
            optional=device,
        ),
        "TripleCLIPLoader": Node(actions.load_file, {f"clip_name{i}": combo(encoders) for i in (1, 2, 3)}, ("CLIP",)),
        "VAELoader": Node(actions.load_file, {"vae_name": choice([*models["vae"], "pixel_space"])}, ("VAE",)),
        "LoraLoader": Node(
            actions.apply_lora,
            {
                **links(model="MODEL", clip="CLIP"),
                "lora_name": choice(models["loras"]),
                "strength_model": STRENGTH,
                "strength_clip": STRENGTH,
            },
            ("MODEL", "CLIP"),
        ),
        "LoraLoaderModelOnly": Node(
            actions.apply_lora_to_model,
            {**links(model="MODEL"), "lora_name": choice(models["loras"]), "strength_model": STRENGTH},
            ("MODEL",),
        ),
        "ModelSamplingSD3": Node(passing("model"), {**links(model="MODEL"), "shift": shift(3.0)}, ("MODEL",)),
        "ModelSamplingFlux": Node(
            passing("model"),
            {
                **links(model="MODEL"),
                "max_shift": shift(1.15, advanced=True),
                "base_shift": shift(0.5, advanced=True),
                "width": side(1024),
                "height": side(1024),
            },
            ("MODEL",),
        ),
        "CLIPTextEncode": Node(actions.encode, {"text": TEXT, **links(clip="CLIP")}, ("CONDITIONING",)),
        "CLIPTextEncodeSDXL": Node(
            actions.encode,
            {**links(clip="CLIP"), **sdxl_sizes, "text_g": TEXT, "text_l": TEXT},
            ("CONDITIONING",),
        ),
        "CLIPTextEncodeSD3": Node(
            actions.encode,
            {
                **links(clip="CLIP"),
                "clip_l": TEXT,
                "clip_g": TEXT,
                "t5xxl": TEXT,
                "empty_padding": combo(["none", "empty_prompt"], advanced=True),
            },
            ("CONDITIONING",),
        ),
        "CLIPTextEncodeFlux": Node(
            actions.encode,
            {**links(clip="CLIP"), "clip_l": TEXT, "t5xxl": TEXT, "guidance": GUIDANCE},
            ("CONDITIONING",),
        ),
        "FluxGuidance": Node(
            passing("conditioning"),
            {**links(conditioning="CONDITIONING"), "guidance": GUIDANCE},
            ("CONDITIONING",),
        ),
        "ConditioningZeroOut": Node(actions.zero_out, links(conditioning="CONDITIONING"), ("CONDITIONING",)),
        "EmptyLatentImage": Node(actions.empty_latent, size_512, ("LATENT",)),
        "EmptySD3LatentImage": Node(actions.empty_latent, size_1024, ("LATENT",)),
        "KSampler": Node(
            actions.ksampler,
            {
                **links(model="MODEL"),
                "seed": SEED,
                "steps": STEPS,
                "cfg": CFG,
                **sampling,
                **links(positive="CONDITIONING", negative="CONDITIONING", latent_image="LATENT"),
                "denoise": DENOISE,
            },
            ("LATENT",),
        ),
        "KSamplerSelect": Node(passing("sampler_name"), {"sampler_name": combo(SAMPLERS)}, ("SAMPLER",)),
        "BasicScheduler": Node(
            passing("steps"),
            {**links(model="MODEL"), "scheduler": combo(SCHEDULERS), "steps": STEPS, "denoise": DENOISE},
            ("SIGMAS",),
        ),
        "SDTurboScheduler": Node(
            passing("steps"),
            {**links(model="MODEL"), "steps": ("INT", {"default": 1, "min": 1, "max": 10}), "denoise": DENOISE},
            ("SIGMAS",),
        ),
        "RandomNoise": Node(passing("noise_seed"), {"noise_seed": SEED}, ("NOISE",)),
        "BasicGuider": Node(
            actions.basic_guider,
            links(model="MODEL", conditioning="CONDITIONING"),
            ("GUIDER",),
        ),
        "CFGGuider": Node(actions.cfg_guider, {**guided, "cfg": CFG}, ("GUIDER",)),
        "SamplerCustom": Node(
            actions.sampler_custom,
            {
                **links(model="MODEL"),
                "add_noise": ("BOOLEAN", {"default": True, "advanced": True}),
                "noise_seed": SEED,
                "cfg": CFG,
                **links(
                    positive="CONDITIONING",
                    negative="CONDITIONING",
                    sampler="SAMPLER",
                    sigmas="SIGMAS",
                    latent_image="LATENT",
                ),
            },
            ("LATENT", "LATENT"),
        ),
        "SamplerCustomAdvanced": Node(
            actions.sampler_custom_advanced,
            links(noise="NOISE", guider="GUIDER", sampler="SAMPLER", sigmas="SIGMAS", latent_image="LATENT"),
            ("LATENT", "LATENT"),
        ),
        "VAEDecode": Node(actions.decode, links(samples="LATENT", vae="VAE"), ("IMAGE",)),
        "EmptyImage": Node(
            actions.empty_image,
            {
                "width": side(512, 1, 1),
                "height": side(512, 1, 1),
                "batch_size": BATCH,
                "color": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}),
            },
            ("IMAGE",),
        ),
        "ImageInvert": Node(actions.invert, links(image="IMAGE"), ("IMAGE",)),
        "SaveImage": Node(
            actions.save_image, {**links(images="IMAGE"), "filename_prefix": PREFIX}, ("IMAGE",), is_output=True
        ),
        "PreviewImage": Node(actions.preview_image, links(images="IMAGE"), ("IMAGE",), is_output=True),
        "SaveImageWebsocket": Node(actions.send_images, links(images="IMAGE"), (), is_output=True, always_runs=True),
        "SketchText": Node(actions.sketch_text, {**links(image="IMAGE"), "nonce": NONCE}, ("IMAGE",)),
        "SketchFail": Node(
            actions.sketch_fail,
            {
                **links(image="IMAGE"),
                "nonce": NONCE,
                "kind": choice(list(FAULT_KINDS)),
            },
            ("IMAGE",),
            optional={"times": ("INT", {"default": 0, "min": 0, "max": 1000})},
        ),
        "SketchSleep": Node(
            actions.sketch_sleep,
            {
                **links(image="IMAGE"),
                "nonce": NONCE,
                "seconds": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 3600.0}),
                "steps": STEPS,
                "mode": choice(["steps", "block"]),
            },
            ("IMAGE",),
        ),
    }
