"""What is not the harness's own is listed, and asked about, before it is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.consent import agree, what_may_be_touched
from harness.cli.main import call
from harness.cli.scenarios import Where, make_plans, plan_all
from harness.model.errors import HarnessError
from harness.model.plan import Plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock, SystemClock
from harness.stack.base import Stack
from harness.stack.fake.stack import FakeStack

TEXT = """
name: x
external: {url: "http://127.0.0.1:1"}
load: {rate_per_s: 5}
phases: {baseline_s: 8, recovery_s: 5}
faults:
  - {kind: network.down, on: gateway}
  - {kind: exec, do: [kubectl, scale, a b], undo: [kubectl, undo], verify: [kubectl, get]}
"""


def planned(text: str) -> tuple[Plan, Stack]:
    drawn, stack = plan_all([parse_scenario(text, "x.yaml")], Where(None, Path("none")), "1", SystemClock())[0]
    return drawn.plan, stack


def test_the_list_names_the_target_its_links_and_every_command() -> None:
    assert what_may_be_touched(*planned(TEXT)) == [
        "load: requests are sent to http://127.0.0.1:1",
        "link gateway: from the users to http://127.0.0.1:1",
        "on this machine: kubectl scale 'a b'; taken back by: kubectl undo",
        "on this machine: kubectl get",
    ]


def test_where_nobody_can_be_asked_nothing_is_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HarnessError, match="say --yes or set HARNESS_YES=1"):
        agree([planned(TEXT)], tmp_path / "agreed.json", yes=False)
    assert "kubectl scale 'a b'" in capsys.readouterr().err
    agree([planned(TEXT)], tmp_path / "agreed.json", yes=True)
    assert not (tmp_path / "agreed.json").exists(), "--yes agrees to this run, not to the next"


def test_who_has_agreed_is_not_asked_again_until_the_list_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = [False, True]
    monkeypatch.setattr("click.confirm", lambda *_, **__: answers.pop(0))
    kept = tmp_path / "state" / "agreed.json"
    with pytest.raises(HarnessError, match="not agreed"):
        agree([planned(TEXT)], kept, yes=False)
    agree([planned(TEXT)], kept, yes=False)
    agree([planned(TEXT)], kept, yes=False)
    assert answers == []
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    with pytest.raises(HarnessError, match="not agreed"):
        agree([planned(TEXT.replace("undo]", "undo, --all]"))], kept, yes=False)


def test_the_command_line_refuses_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HARNESS_YES", raising=False)
    path = tmp_path / "x.yaml"
    path.write_text(TEXT)
    assert call(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert call(["plan", str(path), "--stack", "local", "--url", "http://127.0.0.1:1"]) == 2
    assert "--url is for --stack external" in capsys.readouterr().err
    assert call(["plan", str(path), "--url", "http://me:secret@127.0.0.1:1"]) == 2
    assert "secret" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("target: {protection: fragile}", "target.protection needs the capability 'options'"),
        ("target: {supervisor: never}", "target.supervisor needs the capability 'supervisor'"),
        ("faults: [{kind: process.kill, on: target}]", "process.kill needs the capability 'kill'"),
        ("faults: [{kind: network.down, on: primary}]", "'primary' is not a link of the stack 'external'"),
    ],
)
def test_what_its_handles_do_not_allow_is_refused_when_it_is_planned(words: str, said: str) -> None:
    head = TEXT.split("faults:", maxsplit=1)[0]
    with pytest.raises(HarnessError) as error:
        planned(head + words)
    assert said in str(error.value)


def test_a_plan_that_could_ask_for_more_tokens_than_it_may_is_refused() -> None:
    enough = TEXT.replace('1"}', '1", tokens_max: 100000}')
    planned(enough)
    with pytest.raises(HarnessError, match=r"this plan could ask for [\d,]+ tokens, and 1,000 are allowed"):
        planned(enough.replace("100000", "1000"))


def test_the_replay_holds_the_url_of_the_command_line() -> None:
    scenario = parse_scenario(TEXT, "x.yaml")
    drawn, _ = plan_all([scenario], Where("external", Path("none"), "http://h:1"), "7", SystemClock())[0]
    assert drawn.plan.replay == "harness run x.yaml --stack external --seed 7 --url http://h:1"


@pytest.mark.parametrize(
    ("model", "words"), [(".model", ""), ("my models/b", " --model 'my models/b'")], ids=["usual", "another"]
)
def test_the_replay_names_the_model_unless_it_is_the_usual_one_and_quotes_every_word(model: str, words: str) -> None:
    text = TEXT.replace('external: {url: "http://127.0.0.1:1"}\n', "").replace(
        "network.down, on: gateway", "process.kill"
    )
    scenario = parse_scenario(text[: text.index("  - {kind: exec")], "my dir/x.yaml")
    stack = FakeStack(FakeClock())
    stack.name = "local"
    (drawn,) = make_plans([scenario], stack, "a b", Where(None, Path(model)))
    assert drawn.plan.replay == f"harness run 'my dir/x.yaml' --stack local --seed 'a b'{words}"


def test_examples_are_run_only_when_they_are_named() -> None:
    from harness.cli.scenarios import expand

    scenarios = Path(__file__).parents[2] / "scenarios"
    assert not [path for path in expand([scenarios]) if "examples" in path.parts]
    assert expand([scenarios / "examples" / "openai-url"]) == [scenarios / "examples" / "openai-url" / "scenario.yaml"]


@pytest.mark.parametrize("name", ["own-service", "openai-url", "compose-project"])
def test_each_example_is_a_good_scenario(name: str) -> None:
    assert call(["check", str(Path(__file__).parents[2] / "scenarios" / "examples" / name / "scenario.yaml")]) == 0


@pytest.mark.parametrize("words", [[], ["http://h:1", "--compose", "x.yaml"], ["--compose", "no-such-file.yaml"]])
def test_init_says_what_it_needs(words: list[str]) -> None:
    assert call(["init", *words]) == 2


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    assert call(["init", "http://127.0.0.1:1", "--out", str(there)]) == 2
    assert "is there already" in capsys.readouterr().err and there.read_text() == "mine"
    assert call(["init", "http://127.0.0.1:1", "--out", str(tmp_path / "new.yaml")]) == 2
    assert "is the server up" in capsys.readouterr().err
