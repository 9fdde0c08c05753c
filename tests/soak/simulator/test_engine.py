"""Which engine runs the kernel: numba where it is, plain Python where it is not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from harness.model.errors import HarnessError
from harness.soak.simulator import Service, Setup, engine, simulate


def test_without_numba_the_plain_kernel_is_taken_and_asking_for_numba_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert engine.choose("auto") == "python"
    with pytest.raises(HarnessError, match=r"pip install '\.\[soak\]'"):
        engine.choose("numba")
    found, _ = simulate(np.array([1.0]), np.array([0.5]), Setup(Service()))
    assert found.latency_s.tolist() == [0.5]


def test_with_numba_auto_takes_it() -> None:
    pytest.importorskip("numba")
    assert engine.choose("auto") == "numba" and engine.choose("python") == "python"


def test_the_plain_engine_does_not_import_numba() -> None:
    code = (
        "import sys, numpy as np; from harness.soak.simulator import *;"
        "simulate(np.zeros(1), np.ones(1), Setup(Service(), engine='python')); print('numba' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_every_function_of_the_kernel_is_compiled_and_in_an_order_in_which_callees_come_first() -> None:
    from harness.soak.simulator import kernel

    functions = [name for name, value in vars(kernel).items() if callable(value) and hasattr(value, "__code__")]
    assert sorted(engine.COMPILED_IN_ORDER) == sorted(functions)
    for place, name in enumerate(engine.COMPILED_IN_ORDER):
        called = set(vars(kernel)[name].__code__.co_names) & set(functions)
        assert called <= set(engine.COMPILED_IN_ORDER[:place]), name
    assert set(functions) >= engine.INLINED
