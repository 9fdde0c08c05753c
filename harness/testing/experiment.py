"""An experiment that is put together by a test written in Python, and run when its verdict is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.model.errors import HarnessError
from harness.testing.running import ScenarioInconclusive, TestedRun, properties, run_as_test, sentence

if TYPE_CHECKING:
    from harness.model.verdict import Verdict

__all__ = ["TestExperiment"]


class TestExperiment:
    """What the fixtures `stack`, `load`, `inject` and `verdict` share; each takes the keys of a scenario file."""

    __test__ = False

    def __init__(self, test: pytest.Item, config: pytest.Config) -> None:
        self._test = test
        self._name = test.name
        self._config = config
        self._body: dict[str, Any] = {}
        self._faults: list[dict[str, Any]] = []
        self._done: TestedRun | None = None

    def stack(self, **target: Any) -> None:
        """How the target is set up: the keys of `target`, as in stack(protection="hardened")."""
        self._add("target", target)

    def load(self, **load: Any) -> None:
        """How users behave: the keys of `load`, as in load(rate_per_s=20, mix={"chat": 1})."""
        self._add("load", load)

    def inject(self, kind: str, **parameters: Any) -> None:
        """One more fault, as in inject("service.hang", on="primary", for_s=5)."""
        self._before_the_run("inject")
        self._faults.append({"kind": kind, **parameters})

    def verdict(self, *, phases: Mapping[str, float] | None = None, **observe: Mapping[str, float]) -> Verdict:
        """Run it, once, and judge it by these limits, as in verdict(recovery_s={"max": 5}).

        Raises ScenarioInconclusive when the run can tell nothing, HarnessError when it could not be run.
        """
        self._before_the_run("verdict")
        from harness.plan.parse import parse_scenario

        body = {
            "name": self._slug(),
            **self._body,
            "faults": self._faults,
            "observe": observe,
            "phases": dict(phases or {"baseline_s": 5, "recovery_s": 8}),
        }
        text = f"# {self._name}\n{json.dumps(body, indent=1)}\n"  # JSON is YAML
        self._done = run_as_test(parse_scenario(text, str(self._keep(text))), self._config)
        self._test.add_report_section("call", "verdict", sentence(self._done))
        self._test.user_properties += properties(self._done)
        if self._done.verdict.outcome == "inconclusive":
            raise ScenarioInconclusive(sentence(self._done))
        return self._done.verdict

    def _add(self, key: str, values: Mapping[str, Any]) -> None:
        self._before_the_run(key)
        self._body[key] = {**self._body.get(key, {}), **values}

    def _before_the_run(self, what: str) -> None:
        if self._done is not None:
            raise HarnessError(f"{self._name}: {what} after the verdict: a test has one run; write another test")

    def _keep(self, text: str) -> Path:
        """As a file beside the runs, so that the replay command has something to replay, and just this."""
        folder = Path(self._config.getoption("harness_out")) / "from-tests"
        folder.mkdir(parents=True, exist_ok=True)
        # Tests of other files may have the same name, and this one may say something else tomorrow.
        digest = hashlib.sha256(f"{self._test.nodeid}\n{text}".encode()).hexdigest()
        path = folder / f"{self._slug()}-{digest[:8]}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def _slug(self) -> str:
        letters = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in self._name.lower())
        return "-".join(part for part in letters.split("-") if part) or "test"
