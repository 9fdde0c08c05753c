"""A roll-out as typed, before replicas that follow their link when they are restarted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from target_service.model.golden import GOLDEN
from target_service.releases.__main__ import ROLLED_BACK, main
from target_service.releases.rollout import link_of
from target_service.releases.store import CURRENT, PREVIOUS, Store
from tests.answering import answering

NAMES = ("standby", "primary")


class Replica:
    """Answers "good" of version v1, and whatever its model says of others; each line in its file is a restart."""

    def __init__(self, root: Path, name: str) -> None:
        self.restarts = root / f"{name}.restarts"
        self.link = root / link_of(name)
        self.lives, self.serving = -1, Path()
        self.follow()

    def follow(self) -> Path:
        lives = len(self.restarts.read_text()) if self.restarts.exists() else 0
        if lives != self.lives:
            self.lives, self.serving = lives, self.link.resolve()
        return self.serving

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """What a roll-out looks at."""
        serving = self.follow()
        if method == "POST":
            return 200, {"choices": [{"message": {"content": (serving / "says.txt").read_text()}}]}
        return 200, {"ready": True, "incarnation": str(self.lives)} if path == "/ready" else {"version": serving.name}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for tag, says in (("v1", "good"), ("v2", "good"), ("v3", "bad")):
        source = tmp_path / tag
        source.mkdir()
        entry = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "answer": "good"}
        (source / GOLDEN).write_text(json.dumps({"model": "m", "tasks": {"t": [entry]}}))
        (source / "says.txt").write_text(says)
        store.publish(source, tag)
    store.switch("v1")
    assert main([str(store.root), "serve-from", *NAMES]) == 0
    return store


@pytest.fixture
def replicas(store: Store) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        found = {}
        for name in NAMES:
            found[name] = f"127.0.0.1:{stack.enter_context(answering(Replica(store.root, name)))}"
        yield found


def roll_out(store: Store, replicas: dict[str, str], tag: str) -> int:
    restart = f"{sys.executable} -c \"open('{store.root}/{{replica}}.restarts', 'a').write('x')\""
    named = [word for name, address in replicas.items() for word in ("--replica", f"{name}={address}")]
    times = ["--observe-s", "0.1", "--every-s", "0.05", "--ready-within-s", "10"]
    return main([str(store.root), "roll-out", tag, *named, "--restart", restart, *times])


def links(store: Store) -> list[str | None]:
    return [store.linked(link) for link in (CURRENT, PREVIOUS, *map(link_of, NAMES))]


def test_a_good_version_reaches_every_replica_and_then_current(
    store: Store, replicas: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert roll_out(store, replicas, "v2") == 0
    assert links(store) == ["v2", "v1", "v2", "v2"]
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" and ")[0] for line in said[-4:-2]] == ["standby serves v2", "primary serves v2"]
    assert said[-1] == "every replica serves v2"


def test_a_bad_version_is_met_by_the_standby_only_and_taken_back(
    store: Store, replicas: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert roll_out(store, replicas, "v3") == ROLLED_BACK
    assert links(store) == ["v1", None, "v1", "v1"]
    assert "standby: 'x' is answered 'bad', not 'good'; rolled back" in capsys.readouterr().out
    assert not (store.root / "primary.restarts").exists()
    assert (store.root / "standby.restarts").read_text() == "xx"
