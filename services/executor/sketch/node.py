"""What a node class is, and the vocabulary that its inputs are declared with.

Inputs are written as on the wire: a type name or a list of choices, and its options. Help texts are left out.
"""

# ruff: noqa: SIM905 - a long list of names reads better as text than with a line for each

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Input = tuple[str | list[str], dict[str, Any]]
Inputs = Mapping[str, Input]


@dataclass(frozen=True)
class Node:
    run: Callable[..., tuple[Any, ...]]
    """Called with the stage and the inputs by name."""
    required: Inputs
    outputs: tuple[str, ...]
    optional: Inputs = field(default_factory=dict)
    is_output: bool = False
    always_runs: bool = False
    """Whether it is never served from the cache."""

    def info(self, name: str) -> dict[str, Any]:
        """This node's entry in GET /object_info."""
        inputs = {"required": self.required, **({"optional": self.optional} if self.optional else {})}
        return {
            "input": inputs,
            "input_order": {group: list(declared) for group, declared in inputs.items()},
            "is_input_list": False,
            "output": self.outputs,
            "output_is_list": [False] * len(self.outputs),
            "output_name": self.outputs,
            "name": name,
            "display_name": name,
            "description": "",
            "python_module": "nodes",
            "category": "sketch",
            "output_node": self.is_output,
        }


SAMPLERS = (
    "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 exp_heun_2_x0 exp_heun_2_x0_sde dpm_2 "
    "dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp dpmpp_sde dpmpp_sde_gpu "
    "dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu dpmpp_2m_sde_heun dpmpp_2m_sde_heun_gpu dpmpp_3m_sde "
    "dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis res_multistep res_multistep_cfg_pp res_multistep_ancestral "
    "res_multistep_ancestral_cfg_pp gradient_estimation gradient_estimation_cfg_pp er_sde seeds_2 seeds_3 sa_solver "
    "sa_solver_pece ddim uni_pc uni_pc_bh2"
).split()
SCHEDULERS = "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal".split()
CLIP_TYPES = (
    "stable_diffusion stable_cascade sd3 stable_audio mochi ltxv pixart cosmos lumina2 wan hidream chroma ace omnigen2 "
    "qwen_image hunyuan_image flux2 ovis longcat_image cogvideox lens pixeldit ideogram4 boogu krea2 joyimage mage "
    "minimax"
).split()
DUAL_CLIP_TYPES = (
    "sdxl sd3 flux hunyuan_video hidream hunyuan_image hunyuan_video_15 kandinsky5 kandinsky5_image ltxv newbie ace"
).split()
WEIGHT_DTYPES = "default fp8_e4m3fn fp8_e4m3fn_fast fp8_e5m2".split()

SEED: Input = ("INT", {"default": 0, "min": 0, "max": 2**64 - 1, "control_after_generate": True})
STEPS: Input = ("INT", {"default": 20, "min": 1, "max": 10000})
CFG: Input = ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01})
DENOISE: Input = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01})
GUIDANCE: Input = ("FLOAT", {"default": 3.5, "min": 0.0, "max": 100.0, "step": 0.1})
STRENGTH: Input = ("FLOAT", {"default": 1.0, "min": -100.0, "max": 100.0, "step": 0.01})
TEXT: Input = ("STRING", {"multiline": True, "dynamicPrompts": True})
BATCH: Input = ("INT", {"default": 1, "min": 1, "max": 4096})
PREFIX: Input = ("STRING", {"default": "ComfyUI"})
NONCE: Input = ("INT", {"default": 0, "min": 0, "max": 2**64 - 1})


def side(default: int, minimum: int = 16, step: int | None = 8) -> Input:
    """A width or height in pixels."""
    return "INT", {"default": default, "min": minimum, "max": 16384, **({"step": step} if step else {})}


def choice(options: list[str], **more: Any) -> Input:
    """A choice as ComfyUI's older nodes declare it."""
    return options, more


def combo(options: list[str], **more: Any) -> Input:
    """A choice as ComfyUI's newer nodes declare it."""
    return "COMBO", {"multiselect": False, "options": options, **more}


def shift(default: float, **more: Any) -> Input:
    return "FLOAT", {"default": default, "min": 0.0, "max": 100.0, "step": 0.01, **more}


def links(**types: str) -> dict[str, Input]:
    """Inputs that take another node's output."""
    return {name: (kind, {}) for name, kind in types.items()}
