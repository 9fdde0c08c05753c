"""Whom the kernel's OOM killer ended, by its own log: a witness that a container's end does not take away.

A counter in a cgroup goes with the cgroup, and an engine that was about to be told of it is not always told. The log
keeps a line for each (`dump_oom_victim` in the kernel's mm/oom_kill.c), which names the cgroup and so the container:

    oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/docker/ID,task=…,pid=…
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["KERNEL_LOG", "memory_kills"]

KERNEL_LOG = Path("/dev/kmsg")
RECORD_BYTES = 8192  # no record is longer
KILL = re.compile(r"oom-kill:constraint=CONSTRAINT_MEMCG,.*\boom_memcg=([^,]*)")


def memory_kills(container_id: str, log: Path = KERNEL_LOG) -> int:
    """How often the log, as far back as it goes, says that a container's memory ran out. 0 where it cannot be read."""
    return sum(container_id in group for record in _records(log) for group in KILL.findall(record))


def _records(log: Path) -> Iterator[str]:
    """Each read gives one record, and an error when there is none or when the oldest was just written over."""
    try:
        opened = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        while True:
            try:
                record = os.read(opened, RECORD_BYTES)
            except BrokenPipeError:
                continue
            except OSError:
                return
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(opened)
