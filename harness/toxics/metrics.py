"""Bytes in and out of every proxy and direction, in Prometheus's text format. They count while connections are open."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from pathlib import Path

__all__ = ["Counter", "Metrics", "runtime_text"]

_PAGE_BYTES = resource.getpagesize()


class Counter:
    """Bytes of one direction of one proxy."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0


class Metrics:
    """One counter for each set of labels, for as long as the server lives."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, str, str], Counter] = {}

    def counter(self, direction: str, listener: str, proxy: str, upstream: str) -> Counter:
        return self._counters.setdefault((direction, listener, proxy, upstream), Counter())

    def text(self) -> str:
        lines = []
        for name, verb in (("received", "received by"), ("sent", "sent from")):
            full = f"toxiproxy_proxy_{name}_bytes_total"
            lines += [f"# HELP {full} The total number of bytes {verb} the proxy.", f"# TYPE {full} counter"]
            for labels, counter in sorted(self._counters.items()):
                names = ("direction", "listener", "proxy", "upstream")
                pairs = ",".join(f'{key}="{_escaped(value)}"' for key, value in zip(names, labels, strict=True))
                lines.append(f"{full}{{{pairs}}} {getattr(counter, name)}")
        return "\n".join(lines) + "\n"


def runtime_text() -> str:
    """The process itself."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    figures = (
        ("process_cpu_seconds_total", "counter", usage.ru_utime + usage.ru_stime),
        ("process_resident_memory_bytes", "gauge", resident),
        ("process_open_fds", "gauge", len(os.listdir("/proc/self/fd"))),
        ("process_threads", "gauge", threading.active_count()),
        ("python_gc_collections_total", "counter", sum(one["collections"] for one in gc.get_stats())),
    )
    lines = [f'# TYPE python_info gauge\npython_info{{version="{sys.version.split()[0]}"}} 1']
    lines += [f"# TYPE {name} {kind}\n{name} {value}" for name, kind, value in figures]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
