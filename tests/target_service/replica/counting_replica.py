"""A whole replica, server and engine process, with a decoder that needs no network."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial

from target_service.protocol.log import log_to_stderr
from target_service.replica.child_host import ChildHost
from target_service.replica.server import serve
from target_service.replica.settings import parse_arguments
from target_service.replica.spawn import spawn_engine

spawn = partial(spawn_engine, module="tests.target_service.replica.counting_engine")

if __name__ == "__main__":
    options = sys.argv[1:]
    settings = parse_arguments(options)
    log_to_stderr("replica")
    code = asyncio.run(serve(settings, ChildHost(settings, options, spawn(options), spawn)))
    sys.stderr.flush()
    os._exit(code)
