"""Runs of the whole product, as a user starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.stack.owned import RUN_LABEL

ROOT = Path(__file__).parent.parent.parent
GUARD_CLEARS_S = 15.0


@dataclass(frozen=True)
class Started:
    """A harness that was started, with everything of its own: state folder, run folders, log."""

    process: subprocess.Popen[bytes]
    out: Path
    state: Path
    log: Path

    @property
    def folder(self) -> Path:
        """The run's folder; there is one."""
        (found,) = [path for path in self.out.iterdir() if path.is_dir()]
        return found

    def said(self) -> str:
        return self.log.read_text()

    def owned(self) -> list[int]:
        """Processes that carry the label of a run of this harness."""
        homes = (self.out, self.out / ".kept")
        return [pid for pid, label in labelled() if any((home / label).exists() for home in homes)]


Start = Callable[..., Started]


def labelled() -> Iterator[tuple[int, str]]:
    """(pid, run) of every process of the machine that carries a run's label."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environ = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            prefix = f"{RUN_LABEL}=".encode()
            for item in environ:
                if item.startswith(prefix):
                    yield int(entry.name), item[len(prefix) :].decode()


def until(seen: Callable[[], object], within_s: float) -> None:
    end_s = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < end_s, "not seen in time"
        time.sleep(0.05)


def events_of(one: Started) -> list[dict[str, object]]:
    """So far: the last line may be half written, the folder not there yet."""
    lines = [line for path in one.out.glob("*/events.jsonl") for line in path.read_text().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def clear(one: Started) -> None:
    """A test that failed after it had ended harness and guard left nobody who would."""
    end_s = time.monotonic() + GUARD_CLEARS_S
    while one.owned() and time.monotonic() < end_s:
        time.sleep(0.1)
    if one.owned():
        environ = {**os.environ, "XDG_STATE_HOME": str(one.state)}
        subprocess.run([sys.executable, "-m", "harness.cli", "undo"], cwd=ROOT, env=environ, check=False, timeout=60)


@pytest.fixture
def start(tmp_path: Path, model_folder: Path) -> Iterator[Start]:
    """Start `harness run` on the text of a scenario; what is left of it is ended afterwards."""
    running: list[Started] = []

    def begin(
        text: str, name: str = "run", *, state: Path | None = None, stack: str = "local", more: Sequence[str] = ()
    ) -> Started:
        scenario = tmp_path / f"{name}.yaml"
        scenario.write_text(text)
        out, home, log = tmp_path / name, state or tmp_path / "state", tmp_path / f"{name}.log"
        out.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "harness.cli", "run", str(scenario), "--out", str(out)]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--model", str(model_folder), "--seed", "1", "--stack", stack, *more],
                cwd=ROOT,
                env={**os.environ, "XDG_STATE_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(Started(process, out, home, log))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()  # its guard does the rest
            one.process.wait()
        clear(one)
