"""Which engine it is: by DOCKER_HOST, by Docker's context, and as a run wrote it down."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.containers.address import at_engine, engine_of, known_again, where


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def context(folder: Path, name: str, host: str) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def test_without_a_word_it_is_the_socket_of_this_host() -> None:
    assert where() == "unix:///var/run/docker.sock"


def test_the_context_in_use_says_where_it_is_and_docker_host_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context(tmp_path, "far", "ssh://build@10.0.0.7")
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    assert where() == "ssh://build@10.0.0.7"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert where() == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.8:2375")
    assert where() == "tcp://10.0.0.8:2375"


def test_a_context_that_is_not_there_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(StackError, match="the Docker context 'gone' names no engine; `docker context use default`"):
        where()


def test_whoever_cleans_up_later_asks_the_engine_that_the_run_was_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.8:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    known_again(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.9:2375")
    monkeypatch.delenv("DOCKER_TLS_VERIFY")
    with at_engine(engine_of(tmp_path)):
        assert where() == "tcp://10.0.0.8:2376" and os.environ["DOCKER_TLS_VERIFY"] == "1"
    assert where() == "tcp://10.0.0.9:2375" and "DOCKER_TLS_VERIFY" not in os.environ


def test_a_run_that_wrote_nothing_down_had_no_engine_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.9:2375")
    with at_engine(engine_of(tmp_path / "nowhere")):
        assert where() == "tcp://10.0.0.9:2375"
