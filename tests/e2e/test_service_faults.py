"""Every fault of the service itself bites and is gone afterwards: on real processes, with a real engine."""

from __future__ import annotations

import json
import shutil
import stat

import pytest

from harness.model.service_faults import SERVICE_FAULTS
from target_service.replica.options import make_parser
from tests.e2e.conftest import Start
from tests.e2e.test_sigkill import seconds_until

pytestmark = [pytest.mark.e2e, pytest.mark.model]

STARTS_S = 40  # that a replica may need to serve again after one of these, on a loaded host
ENDS_S = 25  # after an end that its supervisor, or its server, hears of at once
BOTH = ("primary", "standby")
OWN_PROCESS = any("--engine-process" in action.option_strings for action in make_parser()._actions)
PAUSE_ENGINE = (
    (("service.pause_engine", "for_s: 4", 5, "is in state T (stopped); a chat got no token within 1.5 s", BOTH),)
    if OWN_PROCESS
    else ()
)
KILL_ENGINE = (
    (
        ("service.kill_engine", "", ENDS_S, "a child of the server", BOTH),
        ("service.poison", "effect: crash", 0, "'poison-pill' was not answered, and process", ("primary",)),
        ("service.crash", "where: engine, exit_code: 0", ENDS_S, "a child of the server", ("standby",)),
    )
    if OWN_PROCESS
    else ()  # a replica whose engine is a thread has nothing to kill
)
STALLED_S = 14  # the alert Stalled needs 9 s of a hang at the least, and one scrape and one evaluation more
ALERTS = f"alerts: {{Stalled: {{within_s: {STALLED_S}}}}}" if shutil.which("prometheus") else ""
FAULTS = (  # kind, its other keys, seconds until the next may begin, its evidence, on whom
    ("service.hang", "for_s: 14", 15, "a chat got no token within 1.5 s while GET /health answered 200", BOTH),
    ("service.spin", "for_s: 4", 5, "a chat got no token within 1.5 s while GET /health answered 200", BOTH),
    *PAUSE_ENGINE,
    ("service.leak_slots", "for_s: 4", 5, "requests wait while 0 run and 16 could", BOTH),
    ("service.leak_memory", "for_s: 3, mb: 200", 4, "the memory of its processes grew", BOTH),
    ("service.truncate_stream", "for_s: 3", 4, "ended in good order after 1 pieces of text, without [DONE]", BOTH),
    ("service.stall_stream", "for_s: 4", 5, "fell silent after 1 pieces of text", BOTH),
    ("service.poison", "for_s: 2, effect: fail", 3, "was answered with 500, and one without it whole", BOTH),
    ("service.stale_cache", "for_s: 5", 6, "a kept answer was given that was", BOTH),
    ("service.crash", "exit_code: 3", ENDS_S, "its supervisor says: exit status 3", BOTH),
    *KILL_ENGINE,
    ("service.early_ready", "for_s: 20", STARTS_S, "GET /ready with 200, and then a chat with 503", BOTH),
    ("service.slow_load", "for_s: 34, slow_load_s: 14", STARTS_S, "GET /ready still answers 503", BOTH),
)


def test_each_fault_of_the_service_is_proven_on_each_replica_and_is_healed(start: Start) -> None:
    assert {kind for kind, *_ in FAULTS} | {"service.kill_engine", "service.pause_engine"} == set(SERVICE_FAULTS)
    asked, at_s = [], 0
    for kind, keys, lasts_s, evidence, where in FAULTS:
        asked += [(kind, on, at_s, keys, evidence) for on in where]
        at_s += lasts_s
    faults = "\n".join(
        f"  - {{kind: {kind}, on: {on}, at_s: {begin_s}{', ' * bool(keys)}{keys}}}"
        for kind, on, begin_s, keys, _ in asked
    )
    one = start(f"""
name: bite
target: {{replica: {{cache_size: 64, cache_ttl_s: 1}}, gateway: {{api_keys: on}}}}
load: {{rate_per_s: 5, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 10, recovery_s: 10}}
faults:
{faults}
observe: {{lost_requests: {{max: 100000}}}}
{ALERTS}
""")
    seconds_until(lambda: list(one.out.glob("*/stack/private-gateway/api-keys")), 60.0)
    token = one.folder / "stack" / "private" / "faults-token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    key = one.folder / "stack" / "private-gateway" / "api-keys"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    secrets = [token.read_bytes(), key.read_bytes()]
    assert [len(secret) for secret in secrets] == [64, 64]
    assert one.process.wait(timeout=400) in (0, 3), one.said()
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]

    def of(event_kind: str, field: str = "at_s") -> dict[int, object]:
        return {e["fault"]: e[field] for e in events if e["kind"] == event_kind}

    proofs, ended_s, proven_s = of("fault_proof", "evidence"), of("fault_end"), of("fault_proof")
    for number, (kind, on, _, _, evidence) in enumerate(asked):
        assert evidence in str(proofs.get(number, "not proven")), (
            kind,
            on,
            proofs.get(number),
            of("fault_skipped", "reason"),
        )
        if kind not in ("service.crash", "service.kill_engine"):  # over at once
            assert float(str(proven_s[number])) <= float(str(ended_s[number])), (kind, on, "proven after its end")
    healed = set(of("fault_healed"))
    assert healed == set(range(len(asked))), [asked[number][:2] for number in set(range(len(asked))) - healed]
    assert not of("fault_lost", "reason")
    assert not one.owned()
    if ALERTS:
        (alerts,) = json.loads((one.folder / "verdict.json").read_text())["alerts"]["episodes"]
        stalled = next(fate for fate in alerts["fates"] if fate["alert"] == "Stalled")
        assert stalled["state"] == "fired", alerts
        assert stalled["earliest_s"] - 1 < stalled["after_s"]["high"] <= STALLED_S, stalled
    assert not token.parent.exists() and not key.parent.exists()
    written = [path.read_bytes() for path in one.folder.rglob("*") if path.is_file()]
    assert not [secret for secret in secrets for text in written if secret in text]
    counted = [event for event in events if event["kind"] == "counters" and event["source"] == "gateway"]
    assert counted[-1]["outcomes"]["answered"] > 100 and not counted[-1]["outcomes"].get("unauthorized"), counted[-1]
