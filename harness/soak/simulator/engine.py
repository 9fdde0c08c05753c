"""The kernel as something to call: compiled by numba where it is installed, else plain Python, with the same bits."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, Literal, TypeAlias

from harness.model.errors import HarnessError
from harness.soak.simulator import kernel

__all__ = ["Engine", "Run", "choose", "run_of"]

Engine: TypeAlias = Literal["auto", "numba", "python"]
Run: TypeAlias = Callable[[Any, Any, Any, Any], int]

# Leaves first: who is compiled finds those that it calls compiled.
COMPILED_IN_ORDER = (
    "_replace_first", "_before", "_push", "_pop", "_settle", "_fails_later", "_failed", "_awake", "_served", "_wait",
    "_arrive", "_route", "_try", "_next_event", "run",
)  # fmt: skip
# What every request passes through: half the time per request.
INLINED = {"_route", "_arrive", "_served", "_settle", "_fails_later", "_try"}


def choose(engine: Engine) -> Literal["numba", "python"]:
    """`auto` is numba where it is installed. A HarnessError when numba is asked for and is not there."""
    installed = importlib.util.find_spec("numba") is not None
    if engine == "auto":
        return "numba" if installed else "python"
    if engine == "numba" and not installed:
        raise HarnessError(
            "the simulator's engine is numba, which is not installed: pip install '.[soak]', or choose python"
        )
    return engine


def run_of(engine: Literal["numba", "python"]) -> Run:
    """The kernel's `run` for an engine; the first call of the compiled one takes some seconds on a fresh machine."""
    return _compiled() if engine == "numba" else kernel.run


@cache
def _compiled() -> Run:
    """Copies of the kernel's functions that call each other compiled; the kernel itself stays plain Python."""
    space: dict[str, Any] = dict(vars(kernel))
    for name in COMPILED_IN_ORDER:
        plain = vars(kernel)[name]
        space[name] = _compile(FunctionType(plain.__code__, space, name, plain.__defaults__))
    run: Run = space["run"]
    return run


def _compile(function: FunctionType) -> Any:
    """Without the interpreter's lock, so that the next chunk is drawn meanwhile; kept on disk where possible.

    What is on disk is compiled anew when the kernel's file changes, not when these options do.
    """
    import numba

    function.__module__ = kernel.__name__
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "forceinline": function.__name__ in INLINED,
        "_nrt": False,  # nothing is allocated here, so no references need be counted: a third of the time
    }
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no folder can be written
        return numba.njit(function, **options)
