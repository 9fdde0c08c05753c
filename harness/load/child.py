"""The load child: `python -m harness.load.child SPEC_PATH`.

Commands come as JSON lines on stdin, answers go to stdout; the end of stdin means that the harness is gone:

    {"begin": "user", "at_monotonic_s": 12.5}   ->  {"lane_done": "user"} when all of its requests have ended
    {"end": "warmup"}                           (no further arrivals; requests in flight go on)
    {"stop": true, "grace_s": 2.0}              ->  {"stopped": true}

Locust runs here as a library: one user, whose one task walks the schedules. Its statistics are not used.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

from harness.load.spec import LoadSpec

__all__ = ["main"]

_NICENESS = "-10"


def main(spec_path: str) -> int:
    """Run the spec's load until told to stop; returns the exit code."""
    _raise_limits()
    # Everything here uses gevent's sockets by name, so nothing needs patching, and starting is faster without.
    os.environ.setdefault("LOCUST_SKIP_MONKEY_PATCH", "1")
    from harness.load.conductor import conduct

    return conduct(_with_key(LoadSpec.from_json(Path(spec_path).read_text(encoding="utf-8"))))


def _with_key(spec: LoadSpec) -> LoadSpec:
    """The key goes from the environment into the requests, and into no file."""
    if spec.api_key_env is None:
        return spec
    key = os.environ[spec.api_key_env].strip()
    return replace(spec, headers={**spec.headers, "Authorization": f"Bearer {key}"})


def _raise_limits() -> None:
    """One file descriptor for each connection, and priority over the target that shares the cores."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Only root may do either, and dispatch lag is measured in any case.
    with contextlib.suppress(OSError):
        os.nice(int(_NICENESS))
    with contextlib.suppress(OSError):
        # Linux groups tasks by session and niceness counts only within the group: raise this session's group, too.
        # With two busy cores this made the p99 of the dispatch lag 3 ms instead of 160 ms.
        Path("/proc/self/autogroup").write_text(_NICENESS, encoding="ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
