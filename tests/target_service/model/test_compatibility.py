"""What a configuration asks for and what is installed: said before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_service.model.compatibility import Installed, installed, unmet
from target_service.model.imports import lean_imports

HAVE = Installed(
    transformers="5.23.0",
    torch="2.13.0",
    model_types=frozenset({"qwen2"}),
    architectures=frozenset({"Qwen2ForCausalLM"}),
    dtypes=frozenset({"float32", "bfloat16"}),
    activations=frozenset({"silu"}),
    rope_types=frozenset({"default", "yarn"}),
    quantizers=frozenset({"awq"}),
)
GOOD: dict[str, Any] = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "dtype": "float32",
    "hidden_act": "silu",
    "transformers_version": "5.30.1",
    "rope_parameters": {"rope_type": "default"},
}


def test_what_is_there_is_not_complained_about() -> None:
    assert unmet(GOOD, HAVE) is None
    assert unmet({}, HAVE) is None
    assert unmet({**GOOD, "transformers_version": "4.40.0", "torch_dtype": "torch.bfloat16"}, HAVE) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "qwen9"}, "model_type 'qwen9', which the installed transformers 5.23.0 does not have"),
        ({"architectures": ["NoSuchModel"]}, "architecture 'NoSuchModel'"),
        ({"dtype": "float3"}, "dtype 'float3', which the installed torch 2.13.0 does not have"),
        ({"hidden_act": "zilu"}, "activation 'zilu'"),
        ({"rope_parameters": {"rope_type": "spiral"}}, "rope type 'spiral'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "spiral"}}, "rope type 'spiral'"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantisation 'magic'"),
        ({"transformers_version": "6.0.0"}, "transformers 6.0.0, which is newer than the installed 5.23.0"),
    ],
)
def test_what_is_not_there_is_one_sentence_with_a_remedy(change: dict[str, Any], said: str) -> None:
    problem = unmet({**GOOD, **change}, HAVE)
    assert problem is not None
    assert said in problem
    assert "; install " in problem
    assert "\n" not in problem


@pytest.mark.model
def test_the_small_model_asks_for_nothing_that_the_installed_versions_do_not_have(model_folder: Path) -> None:
    with lean_imports():
        have = installed()
    assert unmet(json.loads((model_folder / "config.json").read_text()), have) is None
    assert {"float16", "float32"} <= have.dtypes
    assert unmet({"model_type": "qwen2", "architectures": ["LlamaForCausalLM"], "hidden_act": "gelu"}, have) is None
