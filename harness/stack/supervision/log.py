"""What supervisord's own log says of the processes that it spawned: evidence from outside of our code. Pure."""

from __future__ import annotations

import re

__all__ = ["exit_reports", "newest_end"]

LINE = re.compile(
    r"(?:spawned: '(?P<spawned>[^']+)' with pid (?P<pid>\d+)|(?:exited|stopped): (?P<ended>\S+) \((?P<how>.*)\))\s*$"
)


def exit_reports(log: str) -> dict[int, tuple[str, str]]:
    """pid -> (program, how it ended, e.g. "terminated by SIGKILL"), for every process that has ended.

    The log names pids where processes begin and programs where they end; a program has one process at a time.
    """
    alive: dict[str, int] = {}
    ended: dict[int, tuple[str, str]] = {}
    for line in log.splitlines():
        match = LINE.search(line)
        if match is None:
            continue
        if match["spawned"]:
            pid = int(match["pid"])
            alive[match["spawned"]] = pid
            ended.pop(pid, None)  # a pid that is used again
        elif match["ended"] in alive:
            how = match["how"].removesuffix("; not expected").removesuffix("; expected")
            ended[alive.pop(match["ended"])] = (match["ended"], how)
    return ended


def newest_end(log: str, program: str) -> str | None:
    """How the process of a program that was spawned last ended; None while the log does not say so."""
    spawned = [match for line in log.splitlines() if (match := LINE.search(line)) and match["spawned"] == program]
    return exit_reports(log).get(int(spawned[-1]["pid"]), ("", None))[1] if spawned else None
