"""Keep the slow, unused half of transformers' imports out of a serving process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["lean_imports"]

# Optional to transformers, used by none of our models; measured: a third of the start time.
UNUSED = ("PIL", "accelerate", "pandas", "scipy", "sklearn")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within this, packages that would only slow the start look as if they were not installed.

    What is in memory at its end is never looked through by the garbage collector.
    """
    # None in sys.modules is Python's own way to say "this cannot be imported".
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    # Imports make only long-lived objects; collecting among them is wasted time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        # Nor is there anything to find later: looking through all of torch stops a server for a quarter of a second.
        gc.freeze()
        if was_enabled:
            gc.enable()
