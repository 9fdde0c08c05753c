"""`pytest scenarios/`: each file is a test, or two; and experiments as Python tests."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.record.journal import pending

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent
GOOD = """# If the primary dies, users are served again within 5 s.
name: good
phases: {baseline_s: 5, recovery_s: 5}
faults: [{kind: process.kill}]
observe: {recovery_s: {max: 5}}
"""
FILES = {
    "death/good": GOOD,
    "death/bad": GOOD.replace("name: good", "name: bad").replace("max: 5}", "max: 0.1}"),
    "health/unsure": GOOD.replace("name: good", "name: unsure").replace("kill}", "kill, on: standby}"),
    "health/long": GOOD.replace("name: good", "name: long").replace("recovery_s: 5}", "recovery_s: 30}", 1),
}
PAIR = """# If the engine hangs, users are served again within 5 s.
name: pair
load: {rate_per_s: 20}
phases: {baseline_s: 5, recovery_s: 5}
faults: [{kind: service.hang, for_s: 8}]
observe: {recovery_s: {max: 5}}
expect: {fragile: {outcome: fail, because: recovery_s}, hardened: pass}
"""


def command_of(*arguments: str) -> list[str]:
    plugins = ["-p", "no:locust", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return [sys.executable, "-m", "pytest", *plugins, "--harness-stack", "fake", *arguments]


def environ_of(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state")}


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_of(*arguments), cwd=folder, capture_output=True, text=True, check=False, env=environ_of(folder)
    )


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios"
    for name, text in FILES.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_fail_is_a_failure_and_an_inconclusive_run_is_an_error(
    scenarios: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = collect(scenarios.parent, "scenarios", "--junit-xml", "junit.xml", "--strict-markers")
    assert "1 failed, 2 passed, 1 error" in done.stdout, done.stdout
    assert "FAIL: episode 1: users had their service back after" in done.stdout
    assert "no request reached standby" in done.stdout
    assert "Traceback" not in done.stdout
    assert "raise " not in done.stdout, "lines of our source are no answer"
    cases = {case.get("name"): case for case in ET.parse(scenarios.parent / "junit.xml").iter("testcase")}
    assert cases["unsure"].find("error") is not None
    assert cases["good"].find("failure") is None
    failure = cases["bad"].find("failure")
    assert failure is not None and failure.text is not None
    lines = dict(line.split(": ", 1) for line in failure.text.splitlines() if ": " in line)
    assert lines["FAIL"].startswith("episode 1: users had their service back after")
    assert lines["lost"].endswith("http error); 0 wrong answers")
    assert (scenarios.parent / lines["report"]).exists()
    properties = {one.get("name"): one.get("value") for one in cases["bad"].iter("property")}
    assert properties["replay"] == lines["replay"]
    monkeypatch.chdir(scenarios.parent)
    assert call(shlex.split(lines["replay"])[1:]) == 1, "the replay command is one that runs, and fails again"


def test_a_broken_file_is_an_error_that_shows_all_its_problems_and_the_others_go_on(scenarios: Path) -> None:
    (scenarios / "death/good.yaml").write_text("name: Good\nlod: {}\n")
    (scenarios / "death/binary.yaml").write_bytes(b"\xff\xfe\x00")
    done = collect(scenarios.parent, "scenarios")
    assert "1 failed, 1 passed, 3 errors" in done.stdout, done.stdout
    assert "scenarios/death/good.yaml:1: name:" in done.stdout
    assert "scenarios/death/good.yaml:2: lod: unknown key (did you mean 'load'?)" in done.stdout
    assert "scenarios/death/binary.yaml: cannot be read" in done.stdout
    assert "Traceback" not in done.stdout


def test_yaml_files_elsewhere_are_left_alone(scenarios: Path) -> None:
    (scenarios.parent / "compose.yaml").write_text("services: {}\n")
    done = collect(scenarios.parent, "--collect-only", "-q")
    assert "compose" not in done.stdout
    assert "4 tests collected" in done.stdout


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (["-m", "health"], {"unsure", "long"}),
        (["-m", "fast"], {"good", "bad", "unsure"}),
        (["-m", "slow and fake"], {"long"}),
        (["-m", "local"], set()),
        (["-k", "good or bad"], {"good", "bad"}),
        (["scenarios/death/bad.yaml"], {"bad"}),
    ],
)
def test_scenarios_are_chosen_as_other_tests_are(scenarios: Path, chosen: list[str], names: set[str]) -> None:
    done = collect(scenarios.parent, "--collect-only", "-q", "--strict-markers", *chosen)
    assert {line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line} == names


def test_x_stops_at_the_first_that_fails(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios/death", "-x", "--harness-seed", "7")
    assert "1 failed" in done.stdout and "passed" not in done.stdout, done.stdout


def test_with_pairs_each_half_is_a_test_that_passes_when_it_does_what_its_file_says(scenarios: Path) -> None:
    (scenarios / "pair.yaml").write_text(PAIR)
    (scenarios / "lax.yaml").write_text(PAIR.replace("name: pair", "name: lax").replace("max: 5", "max: 60"))
    done = collect(scenarios.parent, "scenarios", "--harness-pairs", "-m", "fragile or hardened")
    assert "1 failed, 3 passed" in done.stdout, done.stdout
    assert "fragile: it passes without any protection, so the scenario finds nothing" in done.stdout
    assert "--protection fragile" in done.stdout


def test_as_expected_a_test_passes_when_the_verdict_is_the_one_that_its_file_names(scenarios: Path) -> None:
    bad = scenarios / "death/bad.yaml"
    bad.write_text(bad.read_text() + "expect: {as_written: fail}\n")
    (scenarios / "death/lax.yaml").write_text(GOOD.replace("name: good", "name: lax") + "expect: fail\n")
    (scenarios / "death/red.yaml").write_text(FILES["death/bad"].replace("name: bad", "name: red"))
    done = collect(scenarios.parent, "scenarios", "--harness-as-expected", "-rA", "--strict-markers")
    assert "2 failed, 3 passed, 1 error" in done.stdout, done.stdout
    assert "PASSED scenarios/death/bad.yaml::bad" in done.stdout
    assert "the verdict is pass, and its file names fail under 'expect'" in done.stdout
    assert "the verdict is fail, and its file names pass under 'expect'" in done.stdout
    assert "ERROR scenarios/health/unsure.yaml::unsure" in done.stdout, "what can tell nothing is never as expected"
    plain = collect(scenarios.parent, "scenarios/death", "-rA")
    assert "FAILED scenarios/death/bad.yaml::bad" in plain.stdout and "2 failed, 2 passed" in plain.stdout


def test_as_expected_and_both_halves_are_one_sentence_and_nothing_is_run(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios", "--harness-as-expected", "--harness-pairs")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    said = "ERROR: --harness-pairs runs both halves as the files say: leave out --harness-as-expected"
    assert (done.stdout + done.stderr).strip() == said
    assert not (scenarios.parent / "reports").exists()


def test_halves_on_equal_targets_follow_one_another_so_that_they_can_share_a_stack(scenarios: Path) -> None:
    for name in ("one", "two"):
        (scenarios / f"{name}.yaml").write_text(PAIR.replace("name: pair", f"name: {name}"))
    done = collect(scenarios.parent, "scenarios", "--harness-pairs", "--collect-only", "-q")
    collected = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert collected == ["one[fragile]", "two[fragile]", "one[hardened]", "two[hardened]"]


def test_the_same_seed_gives_the_same_run(scenarios: Path) -> None:
    collect(scenarios.parent, "scenarios/death/good.yaml", "--harness-seed", "7", "--harness-out", "a")
    collect(scenarios.parent, "scenarios/death/good.yaml", "--harness-seed", "7", "--harness-out", "b")
    plans = [next((scenarios.parent / name).glob("*/plan.json")).read_text() for name in "ab"]
    assert '"seed": "7"' in plans[0]
    assert plans[0] == plans[1]


def test_workers_of_xdist_share_the_scenarios(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios", "-n", "2", "--strict-markers")
    assert "1 failed, 2 passed, 1 error" in done.stdout, done.stdout


def test_an_option_that_another_plugin_has_is_a_sentence(scenarios: Path) -> None:
    (scenarios.parent / "rival.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--harness-stack', default='x')\n"
    )
    environ = {**environ_of(scenarios.parent), "PYTHONPATH": f"{scenarios.parent}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "rival", "scenarios"]
    done = subprocess.run(command, cwd=scenarios.parent, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode != 0
    assert "the option --harness-stack of reliability-harness is another plugin's, too" in done.stderr + done.stdout


def test_a_stack_that_cannot_be_is_an_error_of_each_test_and_not_of_the_session(scenarios: Path) -> None:
    arguments = ["scenarios/death", "--harness-stack", "local", "--harness-model", "nowhere"]
    done = collect(scenarios.parent, *arguments)
    assert "2 errors" in done.stdout, done.stdout
    assert "nowhere" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_a_folder_holds_for_another_kind_of_stack_is_skipped_and_an_error_when_it_is_named(
    scenarios: Path,
) -> None:
    text = GOOD.replace("name: good", "name: haproxy\ntarget: {balancer: haproxy}")
    (scenarios / "death/haproxy.yaml").write_text(text)
    done = collect(scenarios.parent, "scenarios/death", "-rs", "-k", "good or haproxy")
    assert "1 passed, 1 skipped" in done.stdout, done.stdout
    assert "target.balancer needs the capability 'balancer', which the stack 'fake' does not" in done.stdout
    done = collect(scenarios.parent, "scenarios/death/haproxy.yaml")
    assert "1 error" in done.stdout, done.stdout


def test_a_target_that_dies_for_good_is_a_verdict_and_the_others_go_on(scenarios: Path) -> None:
    text = GOOD.replace("name: good", "name: gone").replace(
        "[{kind: process.kill}]", "[{kind: process.kill}, {kind: process.kill, on: standby}]"
    )
    (scenarios / "death/gone.yaml").write_text("target: {supervisor: never}\n" + text)
    done = collect(scenarios.parent, "scenarios/death/gone.yaml", "scenarios/death/good.yaml")
    assert "1 passed" in done.stdout, done.stdout
    assert "gone" in done.stdout and "Traceback" not in done.stdout


def test_ctrl_c_ends_the_session_and_keeps_what_was_done(scenarios: Path) -> None:
    """The fake stack's runs last milliseconds, so the interrupt is sent by the run's own process, in the middle."""
    (scenarios.parent / "conftest.py").write_text(
        "import os, signal\nimport harness.session as s\nreal = s.run_session\n"
        "def interrupted(drawn, *rest):\n"
        "    if drawn.plan.scenario.name == 'good': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(drawn, *rest)\n"
        "import harness.cli.unattended as u\nu.run_session = interrupted\n"
    )
    done = collect(scenarios.parent, "scenarios", "--junit-xml", "junit.xml")
    assert done.returncode == 2, done.stdout
    assert "1 failed" in done.stdout, "the one before it is kept"
    assert "KeyboardInterrupt" in done.stdout
    assert (scenarios.parent / "junit.xml").exists()
    folders = sorted(path.name.split("-", 2)[2] for path in (scenarios.parent / "reports").iterdir())
    assert [name[:4] for name in folders] == ["bad-", "good"], "nothing was begun after it"


def test_a_time_out_of_another_plugin_heals_the_run_and_the_others_go_on(scenarios: Path) -> None:
    """As pytest-timeout does it: an exception out of nowhere, in the middle of the fault."""
    (scenarios.parent / "conftest.py").write_text(
        "import pytest\nfrom harness.faults.keeper import FaultKeeper\nreal = FaultKeeper.poll\n"
        "def late(self):\n    real(self)\n"
        "    if self._plan.scenario.name == 'long' and self._live: pytest.fail('Timeout >1.0s')\n"
        "FaultKeeper.poll = late\n"
    )
    hang = "faults: [{kind: service.hang, for_s: 5}]"
    path = scenarios / "health/long.yaml"
    path.write_text(path.read_text().replace("faults: [{kind: process.kill}]", hang))
    done = collect(scenarios.parent, "scenarios/health/long.yaml", "scenarios/death/good.yaml")
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert "Timeout >1.0s" in done.stdout
    (journal,) = (scenarios.parent / "reports").glob("*-long-*/undo.jsonl")
    assert pending(journal) == [], "the fault was taken back"


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import harness.pytest_plugin; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", f"import pytest; {code}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["harness"]


def test_collecting_scenarios_imports_neither_pandas_nor_docker_nor_locust(scenarios: Path) -> None:
    (scenarios.parent / "conftest.py").write_text(
        "import sys\ndef pytest_collection_finish(session):\n"
        "    print('HEAVY', sorted({'pandas', 'docker', 'locust', 'scipy'} & set(sys.modules)))\n"
    )
    done = collect(scenarios.parent, "scenarios", "--collect-only", "-s")
    assert "HEAVY []" in done.stdout, done.stdout


def test_the_example_of_python_tests_holds(tmp_path: Path) -> None:
    done = collect(
        tmp_path, str(ROOT / "scenarios" / "examples" / "python" / "test_my_service.py"), "--rootdir", str(tmp_path)
    )
    assert "3 passed" in done.stdout, done.stdout


def test_a_python_test_that_fails_shows_the_verdict_and_how_to_replay_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_it(load, inject, verdict):\n"
        "    load(rate_per_s=20)\n    inject('process.kill')\n"
        "    assert verdict(recovery_s={'max': 0.1}).outcome == 'pass'\n"
        "def test_typo(inject, verdict):\n    inject('process.kil')\n    verdict(recovery_s={'max': 1})\n"
    )
    done = collect(tmp_path, "test_it.py")
    assert "2 failed" in done.stdout, done.stdout
    assert "there is no kind 'process.kil' (did you mean 'process.kill'?)" in done.stdout
    (replay,) = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if line.startswith("replay: ")]
    monkeypatch.chdir(tmp_path)
    assert call(shlex.split(replay)[1:]) == 1


def test_two_sessions_take_turns_on_a_real_stack(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom harness.testing.lock import one_at_a_time\n"
        "with one_at_a_time(Path(sys.argv[1]), 'local'):\n"
        "    print(time.monotonic(), flush=True)\n    time.sleep(0.5)\n    print(time.monotonic(), flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    spans = sorted([float(word) for word in one.communicate(timeout=20)[0].split()] for one in both)
    assert spans[0][1] <= spans[1][0], "the second began after the first had ended"


def test_a_dead_sessions_turn_is_given_back(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom harness.testing.lock import one_at_a_time\n"
        "with one_at_a_time(Path(sys.argv[1]), 'local'):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None and first.stdout.readline() == "in\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    begin = time.monotonic()
    quick = code.replace("time.sleep(60)", "pass")
    assert subprocess.run([sys.executable, "-c", quick, str(tmp_path)], timeout=20, check=True, capture_output=True)
    assert time.monotonic() - begin < 20


def test_soak_files_are_no_scenarios(scenarios: Path) -> None:
    (scenarios / "soak").mkdir()
    (scenarios / "soak" / "month.yaml").write_text("name: month\ndays: 30\n")
    done = collect(scenarios.parent, "scenarios", "--collect-only", "-q")
    assert done.returncode == 0 and "month" not in done.stdout, done.stdout


def test_a_scenario_that_names_a_service_is_never_tried_on_a_target_of_the_harness(scenarios: Path) -> None:
    text = GOOD.replace("name: good", "name: mine\nexternal: {url: 'http://127.0.0.1:9'}")
    (scenarios / "mine.yaml").write_text(text.replace("process.kill", "network.down, on: gateway, for_s: 2"))
    command = [*command_of("scenarios/mine.yaml", "-m", "external")]
    command = [word for word in command if word not in ("--harness-stack", "fake")]
    environ = {name: value for name, value in environ_of(scenarios.parent).items() if name != "HARNESS_YES"}
    done = subprocess.run(
        command,
        cwd=scenarios.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    assert "1 error" in done.stdout, done.stdout
    assert "requests are sent to http://127.0.0.1:9" in done.stdout + done.stderr
    assert "or set HARNESS_YES=1" in done.stdout
    assert not (scenarios.parent / "reports").exists()


def test_where_the_project_lies_says_nothing_of_what_is_a_scenario(tmp_path: Path) -> None:
    outer = tmp_path / "examples" / "soak"
    (outer / "scenarios" / "examples").mkdir(parents=True)
    (outer / "scenarios" / "good.yaml").write_text(GOOD)
    (outer / "scenarios" / "examples" / "mine.yaml").write_text(GOOD)
    assert "1 test collected" in collect(outer, "scenarios", "--collect-only", "-q").stdout
    unrelated = tmp_path / "scenarios" / "project"
    unrelated.mkdir(parents=True)
    (unrelated / "pytest.ini").write_text("[pytest]\n")
    (unrelated / "mkdocs.yml").write_text("site_name: mine\n")
    assert "no tests collected" in collect(unrelated, "--collect-only", "-q").stdout


def test_a_broken_file_is_in_the_fast_subset_since_a_pull_request_may_run_nothing_else(scenarios: Path) -> None:
    (scenarios / "death/good.yaml").write_text("name: Good\n")
    done = collect(scenarios.parent, "scenarios", "-m", "fast and death", "--collect-only", "-q")
    assert {line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line} == {"good", "bad"}


@pytest.mark.parametrize("folder", ["_wip", "skip", "xfail"])
def test_a_folder_may_have_a_name_that_means_something_to_pytest(scenarios: Path, folder: str) -> None:
    (scenarios / "death").rename(scenarios / folder)
    done = collect(scenarios.parent, f"scenarios/{folder}", "--strict-markers")
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_a_named_file_without_a_pair_is_a_sentence_and_one_in_a_folder_is_left_out(scenarios: Path) -> None:
    (scenarios / "health/pair.yaml").write_text(PAIR)
    named = collect(scenarios.parent, "scenarios/death/good.yaml", "--harness-pairs")
    assert "1 error" in named.stdout and "says nothing of fragile and hardened" in named.stdout, named.stdout
    assert (
        "2 tests collected" in collect(scenarios.parent, "scenarios", "--harness-pairs", "--collect-only", "-q").stdout
    )


def test_the_seed_is_printed_and_one_for_all_workers(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios/death/good.yaml")
    (seed,) = re.findall(r"^harness: seed (\w+)$", done.stdout, re.MULTILINE)
    (plan,) = (scenarios.parent / "reports").glob("*-good-*/plan.json")
    assert json.loads(plan.read_text())["seed"] == seed
    collect(scenarios.parent, "scenarios/death", "-n", "2", "--harness-out", "both")
    plans = list((scenarios.parent / "both").glob("*/plan.json"))
    assert len(plans) == 2
    assert len({json.loads(path.read_text())["seed"] for path in plans}) == 1


def test_who_asks_only_for_the_set_up_has_nothing_broken(scenarios: Path) -> None:
    done = collect(scenarios.parent, "scenarios", "--setup-plan")
    assert done.returncode == 0, done.stdout
    assert not (scenarios.parent / "reports").exists()


def test_python_tests_of_one_name_keep_a_scenario_each_and_junit_carries_their_verdicts(tmp_path: Path) -> None:
    body = "def test_it(inject, verdict):\n    inject('process.kill')\n    assert verdict(recovery_s={{'max': {}}})"
    (tmp_path / "test_a.py").write_text(body.format(5) + ".outcome == 'pass'\n")
    (tmp_path / "test_b.py").write_text(body.format(0.1) + ".outcome == 'pass'\n")
    done = collect(tmp_path, "--junit-xml", "junit.xml")
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    cases = ET.parse(tmp_path / "junit.xml").iter("testcase")
    said = [{one.get("name"): str(one.get("value")) for one in case.iter("property")} for case in cases]
    assert sorted(one["outcome"] for one in said) == ["fail", "pass"]
    files = {shlex.split(one["replay"])[2] for one in said}
    assert len(files) == 2
    assert all((tmp_path / file).is_file() for file in files)
