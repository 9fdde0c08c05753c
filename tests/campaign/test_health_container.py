"""A container behind a URL: what is planned and asked about, and what users have to feel before it counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.campaign.health_container import (
    Broken,
    ContainerTest,
    as_users_saw,
    container_scenario,
    plan_container_test,
)
from harness.campaign.health_url import UrlTest, health_of_url
from harness.campaign.probing import CHAT, PAGES, Prober
from harness.cli.main import call
from harness.model.errors import StackError
from harness.model.health import Looked, Span, health_of
from harness.plan.make_plan import make_plan
from harness.record.clock import FakeClock, SystemClock
from harness.record.journal import pending
from harness.session import Session, facts
from harness.stack.external.endpoint import endpoint_of
from harness.stack.external.foreign_engine import Found
from harness.stack.external.opted_in import TARGET
from harness.stack.fake.stack import FakeStack
from harness.store.folder import RunFolder
from harness.store.registry import Registry
from tests.openai_server import Switches, serving

URL = "http://127.0.0.1:1"
HANGS, DEAD = Span("hangs", 10, 20), Span("is dead", 30, 40)


def looks(*red: tuple[float, float]) -> list[Looked]:
    """A look every half second, red within the given times."""
    times = [n / 2 for n in range(90)]
    return [Looked(at_s, at_s + 0.1, not any(low <= at_s < high for low, high in red)) for at_s in times]


def test_a_half_alive_service_is_green_on_its_page_while_a_chat_is_not() -> None:
    seen = {"GET /health": looks(), CHAT: looks((10, 20), (30, 33))}
    spans, said = as_users_saw([HANGS, DEAD], seen, "llm")
    assert said == []
    page, chat = (health_of(name, seen[name], [Span("busy", 0, 5), *spans[name]]) for name in seen)
    assert page.detected_s == {"hangs": None, "is dead": None} and page.partial_score == pytest.approx(0)
    assert chat.detected_s == {"hangs": pytest.approx(0.1), "is dead": pytest.approx(0.1)}
    assert chat.partial_score is not None and chat.partial_score > 0.9
    assert page.lasted_s["is dead"] == pytest.approx(3.1), "it was dead until a chat was answered again"
    assert page.lasted_s["hangs"] == 10, "frozen is frozen"


def test_what_no_chat_felt_is_not_tested() -> None:
    seen = {"GET /health": looks((10, 12)), CHAT: looks((30, 33))}
    spans, said = as_users_saw([HANGS, DEAD], seen, "llm")
    assert said == ["hangs: chats were answered all the while, so that of llm was felt by nobody"]
    assert spans["GET /health"][0].skipped and not spans["GET /health"][1].skipped


def test_a_probe_that_was_red_just_before_has_detected_nothing() -> None:
    seen = {"GET /health": looks((8, 21)), CHAT: looks((10, 20), (30, 33))}
    spans, said = as_users_saw([HANGS, DEAD], seen, "llm")
    assert said == ["hangs, GET /health: it was red just before"]
    assert spans["GET /health"][0].skipped and not spans[CHAT][0].skipped and not spans["GET /health"][1].skipped


@pytest.mark.parametrize("chats", [looks((5, 20)), []])
def test_without_a_chat_that_was_answered_before_nothing_can_be_told(chats: list[Looked]) -> None:
    spans, said = as_users_saw([HANGS], {"GET /health": looks((10, 20)), CHAT: chats}, "llm")
    assert said == ["hangs: no chat was answered just before"]
    assert all(one.skipped for some in spans.values() for one in some)


def test_why_a_fault_was_not_there_stays_said() -> None:
    _, said = as_users_saw([Span("is dead", skipped="process.kill was not proven")], {CHAT: looks()}, "llm")
    assert said == ["is dead: process.kill was not proven"]


def on_the_fake_stack(tmp_path: Path, *, kill: bool) -> tuple[ContainerTest, Prober]:
    clock = FakeClock()
    stack = FakeStack(clock)
    drawn = make_plan(container_scenario("primary", 10.0, 4.0, kill=kill), facts(stack), "1")
    session = Session(stack, clock, tmp_path, Registry(tmp_path / "live"), os.environ)
    return ContainerTest("primary", drawn, session), Prober(PAGES, lambda ask: stack.service.look("primary", ask))


@pytest.mark.whole
@pytest.mark.parametrize("kill", [True, False])
def test_a_run_freezes_it_kills_it_and_measures_on_the_clock_of_the_command(tmp_path: Path, kill: bool) -> None:
    test, prober = on_the_fake_stack(tmp_path, kill=kill)
    test.session.clock.sleep(1000)  # the run's own time begins here
    found = test.run("x", prober, lambda: 0)
    assert found.cut_off == "" and found.not_tested == () and found.still_down == ""
    spans = {one.what: one for one in found.spans[CHAT]}
    assert set(spans) == {"hangs", *(["is dead"] if kill else [])}
    assert spans["hangs"].begin_s > 1000 and spans["hangs"].end_s - spans["hangs"].begin_s == pytest.approx(10, abs=0.1)
    chat = health_of(CHAT, found.looks[CHAT], found.spans[CHAT])
    assert chat.detected_s["hangs"] is not None and chat.detected_s["hangs"] < 2
    if kill:
        assert chat.detected_s["is dead"] is not None and chat.lasted_s["is dead"] < 10, "its supervisor restarted it"
    assert found.folder is not None and found.folder.path == tmp_path / "x"


@pytest.mark.whole
def test_one_that_cannot_be_run_against_says_why_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test, prober = on_the_fake_stack(tmp_path, kill=True)

    def up(*_: object) -> None:
        raise StackError("it wants a key")

    monkeypatch.setattr(test.session.stack, "up", up)
    found = test.run("x", prober, lambda: 0)
    assert found.cut_off == "primary was not broken: it wants a key" and not found.spans


@pytest.mark.whole
@pytest.mark.parametrize(("after_s", "cut"), [(9, ["hangs", "is dead"]), (20, ["is dead"])], ids=["frozen", "between"])
def test_an_interrupted_run_gives_it_back_and_tests_only_what_was_whole(
    tmp_path: Path, after_s: float, cut: list[str]
) -> None:
    test, prober = on_the_fake_stack(tmp_path, kill=True)
    clock = test.session.clock
    until_s = clock.now() + after_s
    found = test.run("x", prober, lambda: int(clock.now() > until_s))
    assert found.cut_off.startswith("interrupted by the user, after ")
    assert found.not_tested == tuple(f"{what}: the run was cut off before" for what in cut)
    assert [one.what for one in found.spans[CHAT] if one.skipped] == cut
    kinds = [event.kind for event in RunFolder(tmp_path / "x").read().events]
    assert kinds.count("fault_begin") == 1 and kinds.index("fault_end") < kinds.index("stack_down")
    assert not pending(tmp_path / "x" / "undo.jsonl") and (tmp_path / "x" / "undo.jsonl").exists()


def found_as(name: str, policy: str) -> Found:
    return Found(name, f"id-of-{name}", "vllm:1", "sha256:1", policy, 7)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Found]:
    """An engine with containers that opted in; what is asked of it are their labels."""
    has: dict[str, Found] = {}

    class Engine:
        def labelled(self, labels: tuple[str, ...]) -> dict[str, Found]:
            assert labels == (f"{TARGET}=llm", TARGET)
            return has

    monkeypatch.setattr("harness.stack.external.foreign_engine.ForeignEngine", Engine)
    monkeypatch.setattr("harness.stack.external.opted_in._is_here", lambda *_: True)
    return has


def planned(tmp_path: Path, look_limit_s: float = 1.0) -> ContainerTest:
    asked = ("llm", None, look_limit_s, 10.0)
    return plan_container_test(endpoint_of(URL), asked, "1", (tmp_path, Registry(tmp_path / "live")))


@pytest.mark.parametrize(("limit_s", "lasts_s"), [(1.0, 10), (30.0, 60)])
def test_what_its_engine_restarts_is_frozen_for_two_looks_at_least_and_then_killed(
    tmp_path: Path, engine: dict[str, Found], limit_s: float, lasts_s: float
) -> None:
    engine["llm"] = found_as("one", "unless-stopped")
    test = planned(tmp_path, limit_s)
    assert [fault.kind for fault in test.drawn.plan.scenario.faults] == ["process.pause", "process.kill"]
    assert test.touches() == [f"llm is frozen for {lasts_s} s and killed, while 4 requests/s and probes are sent"]
    assert test.cannot == ("answers wrongly: the harness cannot damage what it did not start",)
    assert test.drawn.plan.scenario.external is not None and not test.drawn.plan.scenario.external.proxy


def test_what_nothing_would_bring_back_is_never_killed(tmp_path: Path, engine: dict[str, Found]) -> None:
    engine["llm"] = found_as("one", "no")
    test = planned(tmp_path)
    assert [fault.kind for fault in test.drawn.plan.scenario.faults] == ["process.pause"]
    assert test.cannot[0] == ("is dead: container one of image vllm:1, restart policy no: nothing would bring it back")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], f"no running container carries the label {TARGET}=llm; 'harness init --compose FILE'"),
        (["llm", "llm-2"], f"2 containers carry the label {TARGET}=llm"),
        (["llm"], "does not run on this host, so it cannot be frozen from here"),
    ],
)
def test_a_container_that_cannot_be_the_one_is_a_sentence(
    tmp_path: Path, engine: dict[str, Found], monkeypatch: pytest.MonkeyPatch, names: list[str], says: str
) -> None:
    monkeypatch.setattr("harness.stack.external.opted_in._is_here", lambda *_: "not run" not in says)
    engine |= {name: found_as(name, "always") for name in names}
    with pytest.raises(StackError, match=says.replace("(", r"\(")):
        planned(tmp_path)


def test_a_container_is_asked_about_on_this_host_too_before_anything_is_sent(
    tmp_path: Path, engine: dict[str, Found], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HARNESS_YES", raising=False)
    monkeypatch.setattr("harness.cli.health.health_of_url", lambda *_: pytest.fail("it went on"))
    engine["llm"] = found_as("one", "always")
    assert call(["health", URL, "--container", "llm", "--rate", "0.5", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"  load: requests are sent to {URL}\n" in said
    what = "container one of image vllm:1, restart policy always"
    assert f"  llm, {what}: process.kill, process.pause\n" in said
    assert "  llm is frozen for 10 s and killed, while 0.5 requests/s and probes are sent\n" in said
    assert "say --yes or set HARNESS_YES=1" in said
    assert list(tmp_path.iterdir()) == []


def test_the_run_is_repeated_by_the_command_that_made_it(
    tmp_path: Path, engine: dict[str, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine["llm"] = found_as("one", "always")
    kept: list[str] = []

    def instead(test: UrlTest, clock: object, asked: object, breaks: object) -> None:
        kept.append(breaks.args[0].drawn.plan.replay)  # type: ignore[attr-defined]
        raise StackError("enough")

    monkeypatch.setattr("harness.cli.health.health_of_url", instead)
    words = ["health", f"{URL}/v1", "--container", "llm", "--seed", "two words", "--rate", "3", "--model-name", "m"]
    assert call([*words, "--yes", "--out", str(tmp_path)]) == 2
    assert kept == [f"harness health {URL} --model-name m --rate 3 --container llm --seed 'two words'"]


def asked_of(
    switches: Switches, breaking: Callable[[Prober, Callable[[], int]], Broken], monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, float | None], tuple[str, ...], str]:
    monkeypatch.setattr("harness.campaign.health_url.QUIET_S", 0.6)
    with serving(switches) as url:
        found = health_of_url(UrlTest(url, rate_per_s=20, busy_s=2), SystemClock(), lambda: 0, breaking)
    return {one.probe: one.partial_score for one in found.probes}, found.not_tested, found.still_down


@pytest.mark.process
def test_what_was_seen_busy_and_broken_makes_one_partial_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(prober: Prober, _: object) -> Broken:
        now_s = SystemClock().now() + 100
        seen = {name: [Looked(now_s + 1, now_s + 2, name != CHAT)] for name in prober.looks}
        return Broken(seen, {name: [Span("hangs", now_s, now_s + 10)] for name in seen}, ("is dead: no",), "look")

    scores, not_tested, still_down = asked_of(Switches(), breaking, monkeypatch)
    assert scores == {"GET /health": pytest.approx(0), "GET /v1/models": pytest.approx(0), CHAT: pytest.approx(0.8)}
    assert not_tested[0] == "is dead: no" and still_down == "look"


@pytest.mark.process
def test_where_no_chat_is_answered_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaking(*_: object) -> Broken:
        pytest.fail("nobody could tell whether it hangs")

    _, not_tested, _ = asked_of(Switches(chat=503), breaking, monkeypatch)
    assert not_tested[0].startswith("hangs, is dead: no chat was answered while it was quiet")
