"""A start that needs a hub depends on it; one that loads from disk does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from target_service.model.loading import BadModelError
from target_service.model.remote import fetch
from target_service.replica.settings import parse_arguments
from tests.target_service.model.fake_hub import REPOSITORY, hub
from tests.target_service.replica.test_replica import Replica, ask, golden, ready, text_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


def test_a_hub_that_answers_gives_every_file(source: Path, tmp_path: Path) -> None:
    with hub(source) as url:
        folder = fetch(url, REPOSITORY, tmp_path / "into")
    for file in source.iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("status", [404, 503])
def test_a_hub_that_has_moved_the_model_or_is_ill_is_a_sentence_with_the_remedy(
    source: Path, tmp_path: Path, status: int
) -> None:
    with hub(source, status=status) as url, pytest.raises(BadModelError) as refused:
        fetch(url, REPOSITORY, tmp_path / "into", timeout_s=1.0)
    sentence = str(refused.value)
    assert sentence.startswith(f"download: {REPOSITORY} cannot be fetched from {url}")
    assert sentence.endswith("serve a copy on disk with --model-source local --model FOLDER")
    assert "\n" not in sentence


def test_a_hub_that_is_down_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match="Connection refused"):
        fetch("http://127.0.0.1:9", REPOSITORY, tmp_path / "into")


@pytest.mark.process
def test_a_hub_that_says_nothing_is_given_up(source: Path, tmp_path: Path) -> None:
    with hub(source, silent_s=1.0) as url, pytest.raises(BadModelError, match=r"Timeout|timed out"):
        fetch(url, REPOSITORY, tmp_path / "into", timeout_s=0.1)


def test_what_is_no_url_is_not_tried(tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match="is no URL of a hub"):
        fetch("/etc", REPOSITORY, tmp_path / "into")


def test_models_are_loaded_from_disk_unless_a_hub_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    settings = parse_arguments(["--model", "m", "--port", "1", "--hub-url", "http://127.0.0.1:9"])
    assert (settings.hub_url, settings.model.is_absolute()) == (None, True)
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["--model", "m", "--port", "1", "--model-source", "remote"])
    assert "--model-source remote needs --hub-url" in capsys.readouterr().err


@pytest.mark.model
async def test_with_the_hub_down_the_remote_start_fails_and_the_local_one_serves(model_folder: Path) -> None:
    remote = ("--model-source", "remote", "--hub-url")
    with hub(model_folder) as url:
        up = Replica(Path(REPOSITORY), *remote, url)
        try:
            assert (await ready(up))["verified"] is True
        finally:
            code, log = up.end()
        assert code == 0, log
    down = Replica(Path(REPOSITORY), *remote, url)
    local = Replica(model_folder)
    try:
        _, log = down.process.communicate(timeout=120)
        assert down.process.returncode == 78
        assert f"the model is not served: download: {REPOSITORY} cannot be fetched from {url}" in log
        await ready(local)
        entry = golden(model_folder)[0]
        assert text_of((await ask(local, entry))[1]) == entry["answer"]
    finally:
        local.end()


def test_the_fake_hub_is_torn_down(source: Path, tmp_path: Path) -> None:
    with hub(source) as url:
        fetch(url, REPOSITORY, tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(BadModelError):
        fetch(url, REPOSITORY, tmp_path / "one")
