"""Network faults: what counts as evidence, what does not, and what they do to a scripted target's users."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import CannotInject, Where
from harness.faults.link_fault import LinkFault
from harness.faults.table import activate
from harness.model.capability import Capability
from harness.model.errors import CapabilityError, ScenarioError, StackError
from harness.model.faults import FAULTS
from harness.model.network_faults import NetworkBandwidth, NetworkDown, NetworkFault, NetworkLatency, ToxicFault
from harness.model.verdict import Verdict
from harness.plan.make_plan import Drawn, make_plan
from harness.plan.parse import parse_scenario
from harness.record.clock import FakeClock
from harness.session import facts
from harness.stack.base import RunContext
from harness.stack.fake.links import GOOD, PAGE, FakeLinks
from harness.stack.fake.stack import FakeStack
from harness.stack.links import Seen, Toxic
from tests.fake_run import HEAD, verdict_of

pytestmark = pytest.mark.whole

KINDS = sorted(kind for kind, cls in FAULTS.items() if issubclass(cls, NetworkFault))
SAME = replace(GOOD, data=PAGE)


@pytest.fixture
def where(tmp_path: Path) -> Where:
    stack = FakeStack(FakeClock(0.0))
    stack.up(RunContext("run", tmp_path, 0.0))
    return Where(stack, "run", tmp_path, "seed/1/0")


def injected(kind: str, where: Where) -> LinkFault:
    fault = activate(FAULTS[kind](kind=kind), where)
    assert isinstance(fault, LinkFault)
    fault.prepare()
    return fault


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_that_behaves_as_the_server_itself_is_no_evidence(where: Where, kind: str) -> None:
    fault = injected(kind, where)
    for _ in range(3):
        assert fault.evidence(SAME, SAME) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_answer_even_past_the_proxy_is_not_taken_for_the_fault(
    where: Where, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected(kind, where)
    fault.apply()
    real = FakeLinks.look
    dead = Seen(connected=True)

    class Over:
        def seen(self) -> Seen:
            return dead

    monkeypatch.setattr(
        FakeLinks, "look", lambda self, link, ask, past: Over() if past else real(self, link, ask, past=past)
    )
    assert [fault.proof() for _ in range(4)] == [None] * 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", ["gateway", "primary", "standby"])
def test_each_fault_is_proven_on_each_link_and_gone_after_it_was_mended(where: Where, kind: str, link: str) -> None:
    fault = activate(replace(FAULTS[kind](kind=kind), on=link), where)
    fault.prepare()
    fault.apply()
    proofs = [fault.proof() for _ in range(4)]
    assert any(proof is not None and proof.proven and f"link to {link}: " in proof.evidence for proof in proofs)
    assert not fault.healed()
    assert fault.lost() is None
    fault.after_inverse()
    assert fault.healed()


def test_a_fault_that_hits_one_connection_of_ten_is_proven_by_the_one(where: Where) -> None:
    fault = activate(NetworkLatency(toxicity=0.1), where)
    fault.prepare()
    fault.apply()
    assert sum(fault.proof() is not None for _ in range(20)) == 2


def seen(**what: object) -> Seen:
    return replace(SAME, **what)  # type: ignore[arg-type]


SLOW = {"first_byte_s": 0.3, "last_byte_s": 0.3, "closed_s": 0.3}
HALF = PAGE[: len(PAGE) // 2]
EVENTS = b"data: x\n\n"


@pytest.mark.parametrize(
    ("kind", "parameters", "through", "past"),
    [
        ("network.latency", {"latency_ms": 2}, seen(first_byte_s=0.5), SAME),  # no toxic of 2 ms adds half a second
        ("network.reset", {}, seen(reset=True, closed_s=None), SAME),  # answered, and reset at its close
        ("network.down", {}, Seen(connected=False), SAME),  # given up by us, not refused
        ("network.blackhole", {}, Seen(connected=True, closed_s=0.003), SAME),  # closed, and not swallowed
        ("network.blackhole", {}, Seen(connected=True), seen(first_byte_s=0.9)),  # the server is nearly as slow
        ("network.timeout", {"timeout_ms": 500}, Seen(connected=True, closed_s=0.003), SAME),
        ("network.slow_close", {"delay_ms": 3}, seen(closed_s=0.5), SAME),
        ("network.bandwidth", {}, Seen(connected=True), SAME),  # not a byte: that is another fault
        ("network.corrupt", {}, seen(data=HALF, answered=False), SAME),  # cut off, every byte right
        ("network.sse_truncate", {}, seen(data=EVENTS * 57, answered=False, closed_s=None), seen(data=EVENTS * 60)),
        ("network.sse_truncate", {}, seen(data=EVENTS * 2, answered=False), seen(data=EVENTS * 60)),  # not at its event
        ("network.sse_stall", {}, seen(data=EVENTS * 57, answered=False, closed_s=None), seen(data=EVENTS * 60)),
        ("network.sse_stall", {"stall_ms": 100}, seen(gap_max_s=0.211), seen(gap_max_s=0.205)),  # its natural pace
    ],
)
def test_what_the_toxic_cannot_have_caused_is_no_evidence(
    where: Where, kind: str, parameters: dict[str, object], through: Seen, past: Seen
) -> None:
    fault = activate(FAULTS[kind](kind=kind, **parameters), where)  # type: ignore[arg-type]
    assert isinstance(fault, LinkFault)
    fault.prepare()
    for _ in range(4):
        assert fault.evidence(through, past) is None


def test_a_small_delay_has_to_be_seen_three_times_in_a_row(where: Where) -> None:
    fault = activate(NetworkLatency(latency_ms=50), where)
    assert isinstance(fault, LinkFault)
    late = seen(first_byte_s=0.07)
    assert [fault.evidence(one, SAME) is not None for one in (late, late, SAME, late, late, late)] == [False] * 5 + [
        True
    ]


def test_a_look_after_the_faults_end_proves_nothing(where: Where) -> None:
    fault = injected("network.http_status", where)
    fault.apply()
    fault.after_inverse()
    where.stack.network.add("primary", fault.toxic)  # another one's
    assert fault.proof() is None


def test_a_proxy_that_is_being_restarted_when_the_fault_ends_does_not_end_the_run(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = injected("network.latency", where)
    fault.apply()

    def gone(*_: object) -> None:
        raise StackError("no Toxiproxy answers")

    monkeypatch.setattr(FakeLinks, "remove", gone)
    monkeypatch.setattr(FakeLinks, "has", gone)
    fault.after_inverse()
    assert not fault.healed()


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        ("faults: [{kind: network.sse_truncate}]\n", "needs token streams"),
        ("faults: [{kind: network.latency, toxicity: 0.1}]\n", "say toxicity_per: request"),
        ("faults: [{kind: network.latency}, {kind: network.timeout, at_s: 5}]\n", "is already broken then"),
        (
            "faults: [{kind: network.sse_stall, on: gateway}, {kind: network.latency, at_s: 5}]\n",
            "a token stream passes both links",
        ),
    ],
)
def test_what_could_be_proven_without_a_user_having_met_it_is_refused(scenario: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        planned(scenario)


def test_a_wide_link_is_looked_through_with_more_pages_and_one_that_nobody_fills_is_not_proven(where: Where) -> None:
    wide, huge = activate(NetworkBandwidth(rate_kb_per_s=1000), where), None
    wide.prepare()
    wide.apply()
    assert [wide.proof() is not None for _ in range(2)] == [False, True]
    wide.after_inverse()
    huge = activate(NetworkBandwidth(rate_kb_per_s=1_000_000), where)
    huge.prepare()
    huge.apply()
    assert [huge.proof() for _ in range(4)] == [None] * 4


def test_a_link_that_is_down_cannot_be_taken_down(where: Where) -> None:
    where.stack.network.add("primary", Toxic("down-1-0", "down"))
    with pytest.raises(CannotInject, match="down already"):
        activate(NetworkDown(), where).prepare()


STREAMS = HEAD.replace("{chat: 1}", "{chat_stream: 1}")


def verdict(tmp_path: Path, text: str) -> Verdict:
    return verdict_of(tmp_path, text, head=STREAMS)


def planned(text: str, capabilities: frozenset[Capability] = frozenset(Capability)) -> Drawn:
    known = replace(facts(FakeStack(FakeClock(0.0))), capabilities=capabilities)
    return make_plan(parse_scenario(HEAD + text, "x.yaml"), known, "seed")


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ("network.down, on: gateway", {"refused"}),
        ("network.reset, on: gateway", {"refused"}),
        ("network.timeout, on: gateway", {"timeout"}),
        ("network.blackhole, on: gateway", {"timeout"}),
        ("network.latency, on: gateway, latency_ms: 3000", {"timeout"}),
        ("network.latency, on: gateway, latency_ms: 500", set()),
        ("network.http_status, on: gateway", {"http_error"}),
        ("network.corrupt, on: gateway", {"wrong_answer"}),
        ("network.sse_truncate, on: gateway", {"truncated"}),
        ("network.sse_stall, on: gateway", {"deadline_missed"}),
        ("network.down", {"http_error"}),
        ("network.slow_close", set()),
    ],
)
def test_users_lose_what_such_a_link_takes_from_them(tmp_path: Path, fault: str, lost: set[str]) -> None:
    found = verdict(
        tmp_path,
        f"faults: [{{kind: {fault}}}]\nobserve: {{lost_requests: {{max: 9999}}}}\n",
    )
    (episode,) = found.episodes
    assert episode.valid, episode.invalid_reason
    assert set(episode.lost) == lost


def test_a_share_of_the_requests_is_hit_when_the_fault_says_so(tmp_path: Path) -> None:
    fault = "{kind: network.http_status, on: gateway, toxicity: 0.25, toxicity_per: request}"
    (episode,) = verdict(tmp_path, f"faults: [{fault}]\nobserve: {{lost_requests: {{max: 999}}}}\n").episodes
    assert 0.18 < episode.lost_requests / (10 * 20) < 0.27  # in 10 s at 20/s, some of which were the harness's looks


def test_a_fault_that_ended_before_its_time_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLinks, "has", lambda self, link, toxic: False)
    found = verdict(tmp_path, "faults: [{kind: network.latency}]\nobserve: {lost_requests: {max: 9999}}\n")
    assert found.outcome == "inconclusive"
    assert "did not last" in found.reason
    assert "no longer had latency-1-0" in found.reason


def test_a_link_is_named_after_the_server_it_leads_to() -> None:
    with pytest.raises(ScenarioError, match=r"'gatway' is not a link of the stack 'fake' \(did you mean 'gateway'\?\)"):
        planned("faults: [{kind: network.down, on: gatway}]\n")
    with pytest.raises(ScenarioError, match="'gateway' is not a replica"):
        planned("faults: [{kind: process.kill, on: gateway}]\n")


def test_toxics_that_the_official_server_lacks_need_a_capability_of_their_own() -> None:
    official = frozenset(Capability) - {Capability.INFERENCE_TOXICS}
    lacking = {kind for kind in KINDS if FAULTS[kind](kind=kind).capabilities - official}
    assert lacking == {
        "network.blackhole",
        "network.corrupt",
        "network.http_status",
        "network.sse_stall",
        "network.sse_truncate",
    }
    for kind in set(KINDS) - lacking - {"network.down"}:
        cls = FAULTS[kind]
        assert issubclass(cls, ToxicFault)
        assert Capability.INFERENCE_TOXICS in cls(kind=kind, toxicity_per="request").capabilities
    with pytest.raises(CapabilityError, match=r"network\.corrupt needs the capability 'inference_toxics'"):
        planned("faults: [{kind: network.corrupt}]\n", capabilities=official)


def test_a_fragile_target_does_not_leave_a_link_that_is_cut(tmp_path: Path) -> None:
    fault = "faults: [{kind: network.blackhole}]\nobserve: {lost_requests: {max: 9999}}\n"
    (held,) = verdict(tmp_path / "held", fault).episodes
    (lost,) = verdict(tmp_path / "lost", f"target: {{protection: fragile}}\n{fault}").episodes
    assert held.lost_requests < 30
    assert lost.lost_requests > 150  # of 200 in 10 s


def test_options_that_a_stack_does_not_have_are_refused_before_anything_happens(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the fake stack is a script and has no option max_queue"):
        verdict(tmp_path, "target: {replica: {max_queue: 8}}\n")
