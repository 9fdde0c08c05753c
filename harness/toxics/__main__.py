"""`python -m harness.toxics -port 8474`: a Toxiproxy-compatible server, until SIGTERM or SIGINT.

With `--proxy NAME LISTEN UPSTREAM` a proxy is there from the beginning, and the API only if -host or -port asks for it.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import cast

from harness.toxics.errors import ApiError
from harness.toxics.flags import parse_arguments
from harness.toxics.server import Settings, serve

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until a signal ends the process; exit 1 with a sentence when a port is taken."""
    settings = parse_arguments(argv)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_signal(settings))
    except OSError as error:
        sys.exit(f"harness.toxics: cannot listen at {settings.host}:{settings.port}: {error}")
    except ApiError as error:
        sys.exit(f"harness.toxics: cannot make a proxy: {error}")


async def _until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it is installed: less time per event."""
    try:
        return cast("Callable[[], asyncio.AbstractEventLoop]", importlib.import_module("uvloop").new_event_loop)
    except ImportError:
        return asyncio.new_event_loop


if __name__ == "__main__":
    main()
