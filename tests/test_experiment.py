"""Whatever goes wrong, and wherever: the faults are healed, the stack is down, and nothing is passed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.judge import judge
from harness.kept_stack import OwnStack
from harness.load.fake import FakeLoad
from harness.model.errors import StackError
from harness.record.clock import FakeClock
from harness.record.journal import pending
from harness.stack.fake.stack import PRISTINE, FakeStack
from harness.store.folder import RunFolder
from tests.fake_run import HEAD, run_fake, verdict_of

pytestmark = pytest.mark.whole

FLIP = "faults:\n  - {kind: weights.bit_flip, for_s: 4}\n"
CALLS = ["up", "ready", "poll", "process", "restart", "held_weights", "model_folder", "final_counters"]


class Failing(FakeStack):
    """Fails at one call of one method, and says whether it was taken down."""

    method, at, downs = "", 0, 0

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.calls = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "down":
            type(self).downs += 1
        if name != type(self).method:
            return value
        self.calls += 1
        if self.calls != type(self).at:
            return value

        def fail(*_: object) -> None:
            raise StackError("it broke")

        return fail


@pytest.mark.parametrize("at", [1, 2, 3, 20])
@pytest.mark.parametrize("method", CALLS)
def test_a_stack_that_fails_at_any_call_leaves_nothing_behind(tmp_path: Path, method: str, at: int) -> None:
    made = type("Made", (Failing,), {"method": method, "at": at, "downs": 0})
    with suppress(StackError):
        run_fake(tmp_path, FLIP, stack=made)
    assert made.downs >= 1
    run = RunFolder(tmp_path / "run")
    assert pending(run.undo) == []
    weights = run.path / "stack/primary/model/model.safetensors"
    assert not weights.exists() or weights.read_bytes() == PRISTINE
    assert run.events.read_text().splitlines()[-1].find('"run_end"') > 0


def test_an_interrupted_run_is_healed_and_inconclusive_and_accounts_for_every_request(tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    run = run_fake(tmp_path, FLIP, interrupted=lambda: int(next(ticks) > 520))
    history = run.read()
    verdict = judge(history)
    assert verdict.outcome == "inconclusive"
    assert pending(run.undo) == []
    assert any(event.kind == "fault_begin" for event in history.events)
    assert verdict.sli["scheduled"] == history.plan.requests == sum(verdict.sli["outcomes"].values())
    assert verdict.sli["outcomes"]["not_sent"] > 0


def test_a_target_that_nobody_would_end_is_not_broken_any_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter(range(10_000))
    monkeypatch.setattr(OwnStack, "guarded", lambda _: next(asked) < 520)
    run = run_fake(tmp_path, FLIP)
    verdict = judge(run.read())
    assert verdict.outcome == "inconclusive"
    assert "the guard died" in verdict.reason
    assert pending(run.undo) == []


def test_a_run_interrupted_before_its_schedule_claims_nothing(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, FLIP, interrupted=lambda: 1)
    assert verdict.outcome == "inconclusive"
    assert verdict.phases == ()
    assert verdict.sli["time_availability"] is None


class Elsewhere(FakeStack):
    """A port of it was taken, so it comes up at other ones; what it had started before was ended."""

    moved = False

    def ready(self) -> str | None:
        self.moved = True
        return super().ready()

    @property
    def base_url(self) -> str:
        return f"{super().base_url}{'/elsewhere' if self.moved else ''}"


def test_a_stack_that_comes_up_elsewhere_gets_a_load_that_knows_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lives(load: FakeLoad, _: float) -> bool:
        return load._spec.base_url.endswith("/elsewhere")

    monkeypatch.setattr(FakeLoad, "wait_ready", lives)
    verdict = verdict_of(tmp_path, FLIP, stack=Elsewhere)
    assert verdict.sli["outcomes"]["not_sent"] == 0
    assert [episode.proven for episode in verdict.episodes] == [True]


def test_stop_if_ends_the_run_and_heals(tmp_path: Path) -> None:
    text = "faults:\n  - {kind: weights.bit_flip, for_s: 9, restart_after_s: null}\n"
    text += "stop_if: {success_rate: {below: 0.9, for_s: 2}}\n"
    run = run_fake(tmp_path, text)
    history = run.read()
    assert any("success rate" in str(event.fields.get("reason")) for event in history.events if event.kind == "stopped")
    assert pending(run.undo) == []
    assert judge(history).outcome == "inconclusive"
    assert judge(history).run["duration_s"] < history.plan.duration_s


class NeverReady(FakeStack):
    """Comes up, and says for ever what is missing."""

    def ready(self) -> str | None:
        return "primary: loading"


def test_a_target_that_never_becomes_ready_ends_the_run_with_the_last_reason_and_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(StackError) as error:
        run_fake(tmp_path, FLIP, stack=NeverReady)
    said = str(error.value)
    assert (
        said.startswith("the target was not ready within 120 s: primary: loading; see ") and error.value.exit_code == 2
    )
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds[-3:] == ["stack_down", "broken", "run_end"] and "fault_begin" not in kinds


@pytest.mark.parametrize(
    ("protection", "recovery_s", "waits_s"), [("fragile", 1, 2.0), ("fragile", 8, 0.0), ("hardened", 8, 0.0)]
)
def test_nobody_waits_long_for_what_a_fragile_target_cannot_repair(
    tmp_path: Path, protection: str, recovery_s: float, waits_s: float
) -> None:
    """Three seconds from its last step on: a recovery phase of that length is the wait."""
    text = f"target: {{protection: {protection}}}\nfaults: [{{kind: process.stop}}]\n"
    head = HEAD.replace("recovery_s: 10", f"recovery_s: {recovery_s}")
    history = run_fake(tmp_path, text, head=head).read()
    at_s = {event.kind: event.at_s for event in history.events}
    after_s = at_s["run_end"] - at_s["schedule_begin"] - history.plan.duration_s
    assert waits_s <= after_s < waits_s + 1.0
    assert ("fault_healed" in at_s) is (protection == "hardened")
