"""The verbs, as typed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from target_service import releases
from target_service.model.golden import GOLDEN
from target_service.releases.__main__ import main
from target_service.releases.fleet import HttpFleet
from target_service.releases.store import ReleaseError, Store
from tests.answering import answering
from tests.target_service.releases.test_store import model


def call(*words: object) -> int:
    return main([str(word) for word in words])


def test_a_version_goes_from_a_folder_to_current_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "store"
    for tag in ("v1", "v2"):
        assert call(root, "publish", model(tmp_path / tag, tag), tag) == 0
        assert call(root, "switch", tag) == 0
    assert call(root, "verify") == 0
    assert call(root, "rollback") == 0
    assert call(root, "archive") == 0
    capsys.readouterr()
    assert call(root, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["v1: whole  <- current", "v2: whole  <- previous"]


def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path / "nowhere", "status") == 1
    call(tmp_path, "publish", model(tmp_path / "m"), "v1")
    capsys.readouterr()
    assert call(tmp_path, "switch", "v2") == 1
    assert capsys.readouterr().err == "releases: there is no release v2; there are: v1\n"
    assert call(tmp_path, "verify") == 1


def test_status_names_a_release_that_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(tmp_path, "publish", model(tmp_path / "m"), "v1")
    path = tmp_path / "releases/v1/config.json"
    path.chmod(0o644)
    path.write_text("[]")
    call(tmp_path, "status")
    assert "v1: release v1 is damaged: config.json sha256 differs" in capsys.readouterr().out


def test_an_update_is_seen_by_content_in_a_folder_or_in_another_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, other = tmp_path / "store", tmp_path / "other"
    one, two = model(tmp_path / "one", "1"), model(tmp_path / "two", "2")
    for tag, source in (("v1", one), ("v2", two)):
        call(other, "publish", source, tag)
    call(other, "switch", "v2")
    assert call(root, "check-update", one) == 1
    call(root, "publish", one, "v1.0.0")
    call(root, "switch", "v1.0.0")
    capsys.readouterr()
    assert [call(root, "check-update", one), call(root, "check-update", other, "--ref", "v1")] == [0, 0]
    assert capsys.readouterr().out == "up to date\nup to date\n"
    assert [call(root, "check-update", two), call(root, "check-update", other)] == [3, 3]
    assert capsys.readouterr().out == "update: model.safetensors differ\n" * 2


@pytest.mark.parametrize("address", ["standby", "standby=", "=127.0.0.1:1", "standby=127.0.0.1:x"])
def test_an_address_that_is_none_is_a_usage_error(tmp_path: Path, address: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        call(tmp_path, "roll-out", "v1", "--replica", address, "--restart", "true")


class OneAnswer:
    """A replica that knows one thing."""

    said = "yes"

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        if method == "POST":
            return 200, {"choices": [{"message": {"content": self.said}}]}
        return 200, {"ready": True, "incarnation": "i"} if path == "/ready" else {"version": "v1"}


@pytest.fixture
def knowing() -> OneAnswer:
    return OneAnswer()


@pytest.fixture
def replica(knowing: OneAnswer) -> Iterator[str]:
    with answering(knowing) as port:
        yield f"127.0.0.1:{port}"


def test_a_replica_is_asked_over_http(tmp_path: Path, replica: str, knowing: OneAnswer) -> None:
    source = tmp_path / "m"
    source.mkdir()
    entry = {"messages": [{"role": "user", "content": "Good?"}], "max_tokens": 2, "answer": "yes"}
    (source / GOLDEN).write_text(json.dumps({"model": "m", "tasks": {"t": [entry]}}))
    store = Store(tmp_path / "store")
    store.publish(source, "v1")
    store.point("current.standby", "v1")
    fleet = HttpFleet(store.root, {"standby": replica, "gone": "127.0.0.1:1"}, "true {replica}")
    seen = fleet.look("standby")
    assert (seen.ready, seen.version, seen.incarnation) == (True, "v1", "i")
    assert not fleet.look("gone").ready
    assert fleet.wrong_answer("standby") is None
    knowing.said = "no"
    assert fleet.wrong_answer("standby") == "'Good?' is answered 'no', not 'yes'"
    fleet.restart("standby")
    for command in ("false", "no-such-program-here"):
        with pytest.raises(ReleaseError, match="the restart command"):
            HttpFleet(store.root, {}, command).restart("standby")


README = Path(releases.__file__).with_name("README.md")


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text().replace("\\\n", " ")
    lines = [
        line.partition(" # ")[0]
        for line in re.findall(r"^\$ python -m target_service\.releases (.+)$", text, re.MULTILINE)
    ]
    assert len(lines) == 9
    root, source = tmp_path / "store", model(tmp_path / "source", "new")
    places = {"ROOT": str(root), ".model": str(model(tmp_path / "model")), "SOURCE": str(source)} | {
        "ELSEWHERE": str(tmp_path / "snapshots")
    }
    expected = {"check-update": 3, "rollback": 1, "archive": 1, "roll-out": 4}
    for line in lines:
        words = [places.get(word, word) for word in shlex.split(line)]
        if words[1] == "rollback":
            assert call(*words) == 1  # there is only one release yet
            call(root, "publish", source, "v1.1.0")
            call(root, "switch", "v1.1.0")
            expected |= {"rollback": 0, "archive": 0}
        if words[1] == "roll-out":
            words = [{"supervisorctl restart {replica}": "false", "86400": "0"}.get(word, word) for word in words]
        assert call(*words) == expected.get(words[1], 0), line
    assert Store(root).linked("current") == "v1.0.0"
    assert "the restart command ended with 1" in capsys.readouterr().out
