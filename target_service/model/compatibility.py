"""Is everything installed that the model's configuration asks for? Said in a sentence, before the weights are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Installed", "installed", "unmet"]


@dataclass(frozen=True)
class Installed:
    """What the installed torch and transformers can do, by the names that a config.json uses."""

    transformers: str
    torch: str
    model_types: frozenset[str]
    architectures: frozenset[str]
    dtypes: frozenset[str]
    activations: frozenset[str]
    rope_types: frozenset[str]
    quantizers: frozenset[str]


def installed() -> Installed:
    """Ask torch and transformers."""
    import torch
    import transformers
    from transformers.activations import ACT2CLS
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )
    from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

    classes = [*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values(), *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values()]
    return Installed(
        transformers=transformers.__version__,
        torch=str(torch.__version__),
        model_types=frozenset(CONFIG_MAPPING_NAMES),
        architectures=frozenset(name for one in classes for name in ((one,) if isinstance(one, str) else one)),
        dtypes=frozenset(name for name, value in vars(torch).items() if isinstance(value, torch.dtype)),
        activations=frozenset(ACT2CLS),
        rope_types=frozenset(ROPE_INIT_FUNCTIONS) | {"default", "mrope"},  # what the published Qwen2.5-VL says
        quantizers=frozenset(AUTO_QUANTIZER_MAPPING),
    )


def unmet(config: Mapping[str, Any], have: Installed) -> str | None:
    """The first thing asked for that is not there, and the remedy; None: nothing is missing."""
    made_with = str(config.get("transformers_version", ""))
    if _major(made_with) > _major(have.transformers):
        return (
            f"config.json was written by transformers {made_with}, which is newer than the installed "
            f"{have.transformers}; install that version or publish the model for this one"
        )
    for key, value, known, library in _wishes(config, have):
        if value is not None and str(value) not in known:
            return (
                f"config.json asks for {key} {value!r}, which the installed {library} does not have; "
                f"install a version that has it or publish another model"
            )
    return None


def _wishes(config: Mapping[str, Any], have: Installed) -> Iterator[tuple[str, object, frozenset[str], str]]:
    transformers, torch = f"transformers {have.transformers}", f"torch {have.torch}"
    yield "model_type", config.get("model_type"), have.model_types, transformers
    architectures = config.get("architectures")
    for name in architectures if isinstance(architectures, list) else [architectures]:
        yield "architecture", name, have.architectures, f"{transformers} as a language model"
    dtype = config.get("dtype", config.get("torch_dtype"))
    yield "dtype", str(dtype).removeprefix("torch.") if dtype is not None else None, have.dtypes, torch
    yield "activation", config.get("hidden_act"), have.activations, transformers
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    if isinstance(rope, Mapping):
        yield "rope type", rope.get("rope_type", rope.get("type")), have.rope_types, transformers
    quantization = config.get("quantization_config")
    if isinstance(quantization, Mapping):
        yield "quantisation", quantization.get("quant_method"), have.quantizers, transformers


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0
