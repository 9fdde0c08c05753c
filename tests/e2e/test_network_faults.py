"""Every network fault bites on every link, and is gone afterwards: on real processes, with real sockets."""

from __future__ import annotations

import json

import pytest

from harness.model.faults import FAULTS
from harness.model.network_faults import NetworkFault
from harness.stack.reference.settings import LINKS
from tests.e2e.conftest import Start

pytestmark = [pytest.mark.e2e, pytest.mark.model]

LASTS_S, EVERY_S = 5, 7
KEYS = {"network.http_status": ", toxicity: 0.5, toxicity_per: request", "network.bandwidth": ", rate_kb_per_s: 50"}
EVIDENCE = {
    "network.bandwidth": "bytes took",
    "network.blackhole": "not a byte of an answer",
    "network.corrupt": "differed from those past the proxy",
    "network.down": "a connection was refused",
    "network.http_status": "had status 503",
    "network.latency": "ms later than past the proxy",
    "network.reset": "a connection was reset",
    "network.slow_close": "ms later after its answer",
    "network.sse_stall": "a token stream halted",
    "network.sse_truncate": "a token stream broke after 1 events",
    "network.timeout": "not a byte of an answer",
}


def test_each_network_fault_is_proven_on_each_link_and_is_healed(start: Start) -> None:
    kinds = sorted(kind for kind, cls in FAULTS.items() if issubclass(cls, NetworkFault))
    # An answer passes both links, and a look past the first is cut, or slowed as much, by the second: so these go one
    # after the other.
    apart = [kind for kind in kinds if "sse" in kind or "bandwidth" in kind]
    slots = [[(kind, link) for link in LINKS] for kind in kinds if kind not in apart]
    for kind in apart:
        slots += [[(kind, "gateway")], [(kind, link) for link in LINKS if link != "gateway"]]
    asked = [(kind, link, number * EVERY_S) for number, slot in enumerate(slots) for kind, link in slot]
    faults = "\n".join(
        f"  - {{kind: {kind}, on: {link}, at_s: {at_s}, for_s: {LASTS_S}{KEYS.get(kind, '')}}}"
        for kind, link, at_s in asked
    )
    one = start(f"""
name: bite
load: {{rate_per_s: 5, mix: {{chat_stream: 1, sentiment: 1}}}}
phases: {{baseline_s: 5, recovery_s: 10}}
faults:
{faults}
observe: {{lost_requests: {{max: 100000}}}}
""")
    assert one.process.wait(timeout=240) in (0, 3), one.said()
    events = [json.loads(line) for line in (one.folder / "events.jsonl").read_text().splitlines()]

    def of(event_kind: str, field: str = "at_s") -> dict[int, object]:
        return {e["fault"]: e[field] for e in events if e["kind"] == event_kind}

    proofs, healed = of("fault_proof", "evidence"), of("fault_healed")
    proven_s, ended_s = of("fault_proof"), of("fault_end")
    for number, (kind, link, _) in enumerate(asked):
        said = str(proofs.get(number, "not proven"))
        assert f"link to {link}: " in said and EVIDENCE[kind] in said, (kind, link, said)
        assert float(str(proven_s[number])) < float(str(ended_s[number])), (kind, link, "proven after its end")
    assert set(healed) == set(range(len(asked))), [asked[number] for number in set(range(len(asked))) - set(healed)]
    assert not of("fault_lost")
    assert not one.owned()
