"""`exec`: commands without a shell, journaled before they run, limited in time, and no secret in what is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.faults.base import CannotInject, Proof, Where
from harness.faults.commands import Command, without_secrets
from harness.faults.exec import Exec
from harness.faults.inverse import carry_out
from harness.model.errors import CapabilityError, HarnessError, ScenarioError
from harness.model.exec_fault import ExecFault
from harness.plan.make_plan import make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock, SystemClock
from harness.session import facts
from harness.stack.fake.stack import FakeStack

CLOCK = SystemClock()
pytestmark = pytest.mark.process


def fault(tmp_path: Path, **changed: object) -> Exec:
    flag = str(tmp_path / "flag")
    words: dict[str, object] = {
        "do": ("touch", flag), "undo": ("rm", "-f", flag), "verify": ("test", "-e", flag), "timeout_s": 5.0,
    }  # fmt: skip
    where = Where(FakeStack(FakeClock()), f"run-{tmp_path.name}", tmp_path, "7f3a/1/0")
    return Exec(ExecFault(**{**words, **changed}), where)  # type: ignore[arg-type]


def proof_of(one: Exec) -> Proof:
    end_s = CLOCK.now() + 10
    while (proof := one.proof()) is None:
        assert CLOCK.now() < end_s
        CLOCK.sleep(0.02)
    return proof


def wait_until_healed(one: Exec) -> None:
    end_s = CLOCK.now() + 10
    while not one.healed():
        assert CLOCK.now() < end_s
        CLOCK.sleep(0.02)


def test_it_is_done_seen_taken_back_and_seen_gone(tmp_path: Path) -> None:
    one = fault(tmp_path)
    inverse = one.prepare()
    assert not (tmp_path / "flag").exists(), "preparing touches nothing"
    one.apply()
    assert proof_of(one) == Proof(True, "verify: it printed nothing")
    carry_out(inverse)
    carry_out(inverse)
    one.after_inverse()
    assert not (tmp_path / "flag").exists()
    wait_until_healed(one)


def test_arguments_go_to_no_shell(tmp_path: Path) -> None:
    one = fault(tmp_path, do=("touch", f"{tmp_path}/$(id); rm -rf *"), verify=("true",))
    one.prepare()
    one.apply()
    proof_of(one)
    assert (tmp_path / "$(id); rm -rf *").exists()


def test_a_command_that_fails_disproves_the_fault(tmp_path: Path) -> None:
    one = fault(tmp_path, do=("ls", "/no/such/file"))
    one.prepare()
    one.apply()
    proof = proof_of(one)
    assert not proof.proven and "do: exit status 2" in proof.evidence


def test_what_does_not_act_is_not_proven_however_well_the_command_ended(tmp_path: Path) -> None:
    one = fault(tmp_path, do=("true",))
    one.prepare()
    one.apply()
    end_s = CLOCK.now() + 0.5
    while CLOCK.now() < end_s:
        assert one.proof() is None
        CLOCK.sleep(0.02)
    one.after_inverse()


def test_a_program_that_is_not_there_is_said_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(CannotInject, match="no-such-program: no such program"):
        fault(tmp_path, undo=("no-such-program",)).prepare()


def test_a_command_that_hangs_is_killed_with_what_it_started_and_never_waited_for(tmp_path: Path) -> None:
    began_s = CLOCK.now()
    one = fault(tmp_path, do=("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"), timeout_s=0.5)
    one.prepare()
    one.apply()
    assert CLOCK.now() - began_s < 0.4
    proof = proof_of(one)
    assert not proof.proven and "had not ended after 0.5 s and was killed" in proof.evidence
    child = int((tmp_path / "child").read_text())
    CLOCK.sleep(0.1)
    assert not Path(f"/proc/{child}").exists() or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"


def test_a_do_that_still_runs_is_ended_before_its_undo(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    one = fault(tmp_path, do=("sh", "-c", f"while true; do touch {flag}; sleep 0.02; done"), timeout_s=60.0)
    inverse = one.prepare()
    one.apply()
    end_s = CLOCK.now() + 5
    while not flag.exists():
        assert CLOCK.now() < end_s
        CLOCK.sleep(0.02)
    carry_out(inverse)
    one.after_inverse()
    CLOCK.sleep(0.2)
    assert not flag.exists()


def test_an_undo_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    one = fault(tmp_path, undo=("ls", "/no/such/file"))
    with pytest.raises(HarnessError, match="undo: exit status 2"):
        carry_out(one.prepare())


def test_a_secret_of_the_environment_is_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-123456789")
    ended = Command(("printenv", "MY_API_KEY"), 5.0, CLOCK, {}).wait()
    assert ended.words == "[MY_API_KEY]"
    assert without_secrets("no secret: yes", {"A_TOKEN": "yes", "PATH": "secret"}) == "no secret: yes"


def test_only_one_line_is_kept() -> None:
    ended = Command(("printf", "one\\ntwo\\n"), 5.0, CLOCK, {}).wait()
    assert ended.words == "one"


def test_each_command_has_to_be_named() -> None:
    with pytest.raises(ScenarioError) as error:
        parse_scenario("name: x\nfaults:\n  - {kind: exec, do: [ls], undo: []}\n", "x.yaml")
    assert "faults.0.undo: name a program" in str(error.value) and "faults.0.verify" in str(error.value)
    assert "faults.0.do" not in str(error.value)


def test_the_fake_stack_runs_no_commands() -> None:
    scenario = parse_scenario("name: x\nfaults:\n  - {kind: exec, do: [ls], undo: [ls], verify: [ls]}\n", "x.yaml")
    with pytest.raises(CapabilityError, match="needs the capability 'exec'"):
        make_plan(scenario, facts(FakeStack(FakeClock())), "1")


KUBECTL = """#!/bin/sh
# Enough of kubectl for the example: one deployment, whose replicas are a number in a file.
echo "$@" >> "$KUBECTL_LOG"
case "$1" in
  scale) for word in "$@"; do case "$word" in --replicas=*) echo "${word#--replicas=}" > "$KUBECTL_STATE";; esac; done
         echo "deployment.apps/llm scaled";;
  wait)  [ "$(cat "$KUBECTL_STATE")" = 0 ] && echo "deployment.apps/llm condition met" && exit 0; exit 1;;
esac
"""


def test_the_example_with_kubectl_of_the_documents_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "scenarios" / "examples" / "README.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    scenario = parse_scenario(example, "README.md")
    kubectl, state, log = tmp_path / "bin" / "kubectl", tmp_path / "replicas", tmp_path / "log"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    state.write_text("2")
    for name, value in (("KUBECTL_STATE", str(state)), ("KUBECTL_LOG", str(log))):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
    (spec,) = scenario.faults
    one = Exec(spec, Where(FakeStack(FakeClock()), "run", tmp_path, "1/1/0"))
    inverse = one.prepare()
    one.apply()
    assert proof_of(one).evidence == "verify: deployment.apps/llm condition met"
    assert state.read_text().strip() == "0"
    carry_out(inverse)
    one.after_inverse()
    assert state.read_text().strip() == "2"
    wait_until_healed(one)
    assert log.read_text().startswith("scale deployment/llm --replicas=0")
