"""A model folder that is not right is never served: one sentence, with any setting of the verification."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from target_service.model.folder import BadFolderError, read_config
from target_service.model.loading import BadModelError
from target_service.model.manifest import MANIFEST, manifest_of
from target_service.model.publish import write_json
from target_service.replica.faults import Faults
from target_service.replica.integrity import detector_of
from target_service.replica.settings import parse_arguments
from target_service.replica.startup import start_serving
from tests.target_service.replica.test_replica import Replica, get, until


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads((folder / name).read_text())
    edit(data)
    (folder / name).write_text(json.dumps(data))


def cut(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_class(folder: Path) -> None:
    change(folder, "config.json", lambda config: config.update(architectures=["NoSuchModel"]))


def of_another_size(folder: Path) -> None:
    change(folder, "config.json", lambda config: config.update(hidden_size=128))


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("weights")


# What is done to the folder, and what the sentence says when nothing but loading looks at it.
DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (shutil.rmtree, "does not exist"),
    "a file": (a_file, "is a file, not a model folder"),
    "empty": (emptied, "is empty"),
    "no config": (lambda f: (f / "config.json").unlink(), r"config\.json is missing"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "holds no tokenizer"),
    "config not JSON": (lambda f: cut(f, "config.json"), r"config\.json is not valid JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[]"), r"config\.json is not a JSON object"),
    "config not text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), r"config\.json is not valid JSON"),
    "another class": (of_another_class, "asks for architecture 'NoSuchModel'"),
    "another size": (of_another_size, "load: RuntimeError"),
    "unknown type": (lambda f: change(f, "config.json", lambda c: c.update(model_type="qwen9")), "model_type 'qwen9'"),
    "newer library": (
        lambda f: change(f, "config.json", lambda c: c.update(transformers_version="99.0.0")),
        "written by transformers 99.0.0",
    ),
    "unknown operator": (
        lambda f: change(f, "config.json", lambda c: c.update(hidden_act="zilu")), "asks for activation 'zilu'",
    ),
    "unknown dtype": (
        lambda f: change(f, "config.json", lambda c: c.update(dtype="float3")), "asks for dtype 'float3'",
    ),
    "half of the weights": (lambda f: cut(f, "model.safetensors"), "load: SafetensorError"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "load: SafetensorError"),
    "half of the tokenizer": (lambda f: cut(f, "tokenizer.json"), "load: "),
    "no model in the tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "load: "),
}  # fmt: skip


def without_extras(folder: Path) -> None:
    """As downloaded from a hub: nothing vouches for the files."""
    for name in (MANIFEST, "golden.json", "fingerprint.json"):
        (folder / name).unlink(missing_ok=True)


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def start(folder: Path, *options: str) -> str:
    """The sentence with which it is refused."""
    settings = parse_arguments(["--model", str(folder), "--port", "1", "--token-cost-ms", "0", *options])
    try:
        start_serving(settings, Faults()).engine.stop()
    except BadModelError as error:
        return str(error)
    pytest.fail("it is served")


@pytest.mark.model
@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_refused_in_one_sentence_though_nobody_verifies(folder: Path, damage: str) -> None:
    act, said = DAMAGES[damage]
    without_extras(folder)
    act(folder)
    sentence = start(folder, "--verify-weights", "off")
    assert re.search(said, sentence), sentence
    assert len(sentence) < 500
    assert "\n" not in sentence


@pytest.mark.model
@pytest.mark.parametrize("damage", DAMAGES)
def test_with_verification_whatever_was_changed_is_found_before_torch_is_imported(folder: Path, damage: str) -> None:
    act, _ = DAMAGES[damage]
    act(folder)
    sentence = start(folder)
    assert detector_of(sentence) in ("manifest", "folder"), sentence
    assert "\n" not in sentence


@pytest.mark.model
def test_the_wrong_version_in_good_order_is_found_by_its_golden_answers_or_fingerprint(folder: Path) -> None:
    """A consistent folder whose weights are another model's: the manifest is right, and so is the loading report."""
    golden = folder / "golden.json"
    change(folder, "golden.json", lambda data: data["tasks"]["chat"][0].update(answer="Another model's answer."))
    recipe = json.loads((folder / MANIFEST).read_text())["recipe_sha256"]
    write_json(folder / MANIFEST, manifest_of(folder, recipe))
    assert golden.exists()
    assert detector_of(start(folder)) == "golden"
    change(folder, "fingerprint.json", lambda data: data["texts"][0]["logprobs"].__setitem__(0, -1.0))
    write_json(folder / MANIFEST, manifest_of(folder, recipe))
    assert detector_of(start(folder)) == "fingerprint"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_the_system_does_not_let_us_read_is_said_so(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / one).write_text("{}")
    assert read_config(tmp_path) == {}
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != name)
    with pytest.raises(BadFolderError, match=f"{name} may not be read by this user"):
        read_config(tmp_path)


@pytest.mark.model
@pytest.mark.parametrize("damage", ["missing", "config not JSON", "another class"])
async def test_a_replica_that_stays_says_why_it_is_not_ready_and_answers_nobody(folder: Path, damage: str) -> None:
    without_extras(folder)
    DAMAGES[damage][0](folder)
    replica = Replica(folder, "--on-bad-model", "stay", "--verify-weights", "off")
    try:

        async def told() -> bool:
            return "detector" in (await get(replica, "/ready"))[1]

        await until(told, within_s=120)
        status, body = await get(replica, "/ready")
        assert (status, body["ready"]) == (503, False)
        assert body["reason"].startswith(f"{body['detector']}: ")
        assert (await get(replica, "/health"))[0] == 200
        metrics = await asyncio.to_thread(_metrics, replica)
        assert f'target_integrity_failures_total{{detector="{body["detector"]}"}} 1.0' in metrics
        refused = await asyncio.to_thread(_ask, replica)
        assert refused == 503
    finally:
        code, log = replica.end()
    assert code == 0
    assert log.count("the model is not served: ") == 1
    assert "Traceback" not in log


@pytest.mark.model
def test_a_replica_that_exits_says_why_and_ends_with_78(folder: Path) -> None:
    emptied(folder)
    replica = Replica(folder, "--verify-weights", "off")
    _, log = replica.process.communicate(timeout=120)
    assert replica.process.returncode == 78
    assert "the model is not served: folder: " in log
    assert "is empty; publish the model again or name another folder with --model" in log
    assert "Traceback" not in log


def _metrics(replica: Replica) -> str:
    import urllib.request

    with urllib.request.urlopen(replica.url("/metrics")) as response:
        return response.read().decode()


def _ask(replica: Replica) -> int:
    import urllib.error
    import urllib.request

    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    request = urllib.request.Request(replica.url("/v1/chat/completions"), body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
