"""What to do about a finding, as data. Names in brackets are options of the reference gateway and replica."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INSTRUMENT", "OUTCOME_REMEDIES", "SILENT_ALERT", "STAGE_REMEDIES", "WRONG_ANSWERS"]

STAGE_REMEDIES: Mapping[str, str] = {
    "detect": "Notice sooner: faster or fewer health checks before isolation (gateway: beat_s, missed_beats), health "
    "checks that generate (replica: health_mode deep), or ejection by users' own failures (gateway: eject_failures).",
    "isolate": "Stop sending sooner: a circuit breaker (gateway: breaker_failures), and no session that sticks.",
    "restore": "Be ready sooner: a second replica that is admitted and warm, a model on the local disk, shorter waits "
    "between restarts (supervision: backoff_s).",
    "verify": "Re-admit sooner: fewer golden prompts (gateway: golden_prompts) or a larger share of traffic while "
    "they are asked.",
}
"""The stage of the recovery that users waited for most -> what shortens it."""

OUTCOME_REMEDIES: Mapping[str, str] = {
    "refused": "Let the gateway ask another replica when no byte was sent (gateway: retry_share), and keep a second "
    "replica admitted.",
    "http_error": "Let the gateway ask another replica on a 5xx before the first byte (gateway: retry_share) and stop "
    "asking the one that fails (gateway: breaker_failures, eject_failures).",
    "timeout": "Give up on a try before users do and ask another replica (gateway: try_timeout_s, hedge_after_s).",
    "deadline_missed": "Refuse early what cannot be in time: a short queue and a waiting time well below the users' "
    "deadline (replica: max_queue, queue_timeout_s).",
    "truncated": "A broken stream cannot be taken up by the gateway: let clients ask again, and drain before planned "
    "stops (replica: drain_s).",
}
"""How most requests were lost -> what keeps them."""

WRONG_ANSWERS = (
    "Check what is served, not only whether it answers: weights verified while serving (replica: verify_weights "
    "periodic, disable_mmap), a fingerprint and golden prompts before traffic (gateway: fingerprint_texts, "
    "golden_prompts). Keep model folders read-only; put a new model beside the old one and switch a link."
)

SILENT_ALERT = (
    "Compare the rule's window and its `for` with how long such a fault lasts; alert on what users feel (errors and "
    "latency at the gateway, burn rates) and not only on causes; test the change with promtool "
    "(compose/prometheus/tests)."
)

INSTRUMENT: Mapping[str, tuple[str, str]] = {
    "complete": ("The run ended before its plan did.", "Run it again; the reason is in the finding."),
    "accounting": (
        "Requests of the plan and records of it do not add up.",
        "Run it again with nothing else on the host; if it stays so, keep the run's folder and report it.",
    ),
    "baseline": (
        "The target already lost requests, or had not settled, before anything was broken.",
        "Look at the target without faults first: a lower load.rate_per_s, a longer warmup_max_s, a longer baseline_s.",
    ),
    "generator": (
        "The load generator itself was late, so it measured itself.",
        "Lower load.rate_per_s, or give the host to the run alone: another process took its processor time.",
    ),
    "fault_proof": (
        "There is no evidence that the fault reached a replica that was serving users.",
        "Read the proof of each episode: aim at a replica that serves, or give the fault longer (for_s).",
    ),
    "clock": (
        "The target runs on another host, and the two hosts' clocks cannot be compared well enough.",
        "Run the harness on a host nearer to the Docker engine, or on the engine's own.",
    ),
    "clean_up": ("Something could not be healed or stopped.", "Run 'harness undo' now, before anything else."),
    "records": (
        "Records are damaged: the disk was full, or the harness was killed.",
        "What is judged is what could be read. Free the disk and run it again.",
    ),
}
"""Checks of the harness itself: (cause, remedy)."""
