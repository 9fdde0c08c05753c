"""Which service a model folder is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from target_service.protocol.reasoning import Plain, ThoughtSplitter, whole
from target_service.replica.settings import parse_arguments
from target_service.services.choice import service_of, splitter_of

ARGUMENTS = ["--model", "m", "--port", "1"]


@pytest.mark.parametrize(
    ("files", "service"),
    [
        ({}, "all-in-one"),
        ({"config.json": {"model_type": "qwen2"}}, "all-in-one"),
        ({"config.json": {"model_type": "qwen2_5_vl"}}, "chord"),
        ({"config.json": {"model_type": "glm4v"}}, "autoglm"),
        ({"config.json": {"model_type": "glm4"}}, "autoglm"),
        ({"config.json": {"model_type": "qwen2"}, "golden.json": {"service": "autoglm"}}, "autoglm"),
        ({"config.json": {"model_type": "glm4"}, "golden.json": {"service": "no such"}}, "autoglm"),
        ({"config.json": ["no object"]}, "all-in-one"),
    ],
)
def test_a_folder_says_its_service(tmp_path: Path, files: dict[str, object], service: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert service_of(tmp_path) == service
    assert service_of(tmp_path, "chord") == "chord"


def test_by_default_the_folder_decides_and_an_option_overrules_it() -> None:
    assert parse_arguments(ARGUMENTS).service == "auto"
    assert parse_arguments([*ARGUMENTS, "--service", "chord"]).service == "chord"


@pytest.mark.parametrize("where", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_template_that_opens_the_thought_is_noticed(tmp_path: Path, where: str) -> None:
    closed, opened = "{% if add_generation_prompt %}<|assistant|>{% endif %}", "<think>"
    for template, thinking in ((opened + closed, False), (closed.replace("{% endif", "<think>{% endif"), True)):
        (tmp_path / where).write_text(template if where.endswith("jinja") else json.dumps({"chat_template": template}))
        parts = whole(splitter_of(tmp_path, "autoglm")(), "a</think>b")
        assert parts == ({"reasoning_content": "a", "content": "b"} if thinking else {"content": "a</think>b"})


def test_only_autoglm_thinks(tmp_path: Path) -> None:
    assert isinstance(splitter_of(tmp_path, "autoglm")(), ThoughtSplitter)
    assert isinstance(splitter_of(tmp_path, "chord")(), Plain)
