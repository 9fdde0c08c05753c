"""The verdict as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.model.health import Health
from harness.model.verdict import EpisodeResult, Finding, Verdict, VerdictOutcome
from harness.render.alerts import ALERT_COLUMNS, alert_cells, alert_intro
from harness.render.headline import headline, run_id
from harness.render.health_words import HEALTH_COLUMNS, blind_words, health_cells, load_words, score_means
from harness.render.log_evidence import HIT_COLUMNS, hit_cells, unusual_words
from harness.render.numbers import NOTHING, count, interval
from harness.render.resources import RESOURCE_COLUMNS, resource_cells
from harness.render.words import SYMBOLS, corruption_cells, worst_first

__all__ = ["escaped", "health_blocks", "table", "to_markdown"]

_EPISODES_SHOWN = 12
_ADVICE_SHOWN = 6
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")
_LINK = re.compile(r"(?i)(@|\bhttps?(?=:)|\bwww(?=\.))")  # what a site makes into a mention or a link


def to_markdown(verdict: Verdict) -> str:
    """Verdict and reason, what users lost, episodes, findings, limits, and how to replay it."""
    blocks = [
        f"## {SYMBOLS[verdict.outcome]} {verdict.outcome.upper()}: {escaped(verdict.scenario)}",
        *([f"> {escaped(verdict.hypothesis)}"] if verdict.hypothesis else []),
        f"**{escaped(verdict.reason)}**",
        _lost(verdict),
        *_health(verdict),
        *_advice(verdict),
        *_episodes(verdict),
        *_corruptions(verdict),
        *_findings(verdict),
        *_alerts(verdict),
        *_resources(verdict),
        *_log_evidence(verdict),
        *_limits(verdict),
        *_replay(verdict),
    ]
    return ("\n\n".join(blocks) + "\n").encode("utf-8", "replace").decode()


def _lost(verdict: Verdict) -> str:
    numbers = headline(verdict)
    ordered = worst_first(verdict.episodes)
    lines = f"{numbers.sentence} {numbers.wrong_words}, {numbers.success_words}."
    if ordered and ordered[0].recovery_s is not None:
        lines += f" Worst recovery {interval(ordered[0].recovery_s)}, episode {ordered[0].number}."
    return lines


def _health(verdict: Verdict) -> Iterator[str]:
    if verdict.health is not None:
        yield "### Health checks"
        yield f"Of {escaped(verdict.health.target)}."
        yield from health_blocks(verdict.health)


def health_blocks(health: Health) -> Iterator[str]:
    """What each probe is worth: who is blind, a row a probe, what the score means, what was not tested."""
    if health.cut_off:
        yield f"**Cut off**: {escaped(health.cut_off)}."
    if health.still_down:
        yield f"**Beware**: {escaped(health.still_down)}."
    blind = [f"{one.probe} is blind {words}" for one in health.probes if (words := blind_words(one))]
    if blind:
        yield "\n".join(f"- ✕ {escaped(words)}." for words in blind)
    yield table(HEALTH_COLUMNS, (health_cells(one, health.load) for one in health.probes))
    if health.load is not None:
        yield f"Load: {escaped(load_words(health.load))}."
    yield score_means(health)
    if health.not_tested:
        yield f"Not tested: {escaped('; '.join(health.not_tested))}."


def _advice(verdict: Verdict) -> Iterator[str]:
    if verdict.runbook:
        yield "### What to fix"
        shown = verdict.runbook[:_ADVICE_SHOWN]
        yield table(("symptom", "cause", "remedy"), ((one.symptom, one.cause, one.remedy) for one in shown))


def _episodes(verdict: Verdict) -> Iterator[str]:
    if not verdict.episodes:
        return
    yield "### Episodes"
    shown = worst_first(verdict.episodes)[:_EPISODES_SHOWN]
    header = ("#", "fault", "proven", "lost", "wrong", "served again after", "recovered after", "valid")
    yield table(header, (_episode(episode) for episode in shown))
    did = [f"- {episode.number}: {escaped(episode.supervision)}" for episode in shown if episode.supervision]
    if did:
        yield "What the target's supervisor did:"
        yield "\n".join(did)
    if len(shown) < len(verdict.episodes):
        yield f"The worst {len(shown)} of {count(len(verdict.episodes))}; the others are in report.html."


def _episode(episode: EpisodeResult) -> tuple[str, ...]:
    return (
        str(episode.number),
        ", ".join(episode.faults) or NOTHING,
        ("yes: " if episode.proven else "NO: ") + episode.proof,
        f"{count(episode.lost_requests)} of {count(episode.requests)}",
        count(episode.wrong_answers),
        interval(episode.first_good_s, "nothing lost"),
        interval(episode.recovery_s, "nothing lost"),
        "yes" if episode.valid else f"NO: {episode.invalid_reason}",
    )


def _corruptions(verdict: Verdict) -> Iterator[str]:
    rows = [(str(e.number), *corruption_cells(one)) for e in verdict.episodes for one in e.corruptions]
    if not rows:
        return
    yield "### Damaged models"
    yield table(("#", "fault", "detector", "served silently"), rows[:_EPISODES_SHOWN])


def _findings(verdict: Verdict) -> Iterator[str]:
    if not verdict.findings:
        return
    yield "### Findings"
    order = (VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS)
    ordered = sorted(verdict.findings, key=lambda finding: order.index(finding.outcome))
    yield table(("outcome", "finding", "reason"), (_finding(finding) for finding in ordered))


def _finding(finding: Finding) -> tuple[str, ...]:
    return f"{SYMBOLS[finding.outcome]} {finding.outcome}", finding.title, finding.reason


def _alerts(verdict: Verdict) -> Iterator[str]:
    if verdict.alerts is None:
        return
    yield "### Would anybody have noticed?"
    yield "\n".join(f"- {escaped(line)}" for line in alert_intro(verdict.alerts, _EPISODES_SHOWN))
    if verdict.alerts.episodes:
        yield table(ALERT_COLUMNS, alert_cells(verdict.alerts, _EPISODES_SHOWN))


def _resources(verdict: Verdict) -> Iterator[str]:
    if verdict.resources:
        yield "### What the servers used"
        yield table(RESOURCE_COLUMNS, resource_cells(verdict))


def _log_evidence(verdict: Verdict) -> Iterator[str]:
    found = verdict.log_evidence
    if found is None:
        return
    yield "### What the logs point to (no part of the verdict)"
    yield escaped(unusual_words(found))
    if found.hits:
        yield table(HIT_COLUMNS, hit_cells(found)[:_ADVICE_SHOWN])


def _limits(verdict: Verdict) -> Iterator[str]:
    if verdict.limits:
        yield "### What this data cannot show"
        yield "\n".join(f"- {escaped(limit)}" for limit in verdict.limits)


def _replay(verdict: Verdict) -> Iterator[str]:
    replay = verdict.run.get("replay")
    if replay:
        yield f"Replay: {_code(replay)}"
    facts = (("run", run_id(verdict)), ("seed", verdict.seed), ("stack", verdict.stack))
    yield ", ".join(f"{name} {_code(value)}" for name, value in facts if value)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of text as a Markdown table, every cell escaped."""
    lines = [header, tuple("---" for _ in header), *(tuple(escaped(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(value: object) -> str:
    """Text that Markdown shows as it is, in one line: no markup, no link, no mention."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
    return _LINK.sub("\\1\u200b", escaped)


def _code(value: object) -> str:
    """A code span that the text cannot close: its fence is longer than any run of backticks inside."""
    inside = " ".join(str(value).split())
    fence = "`" * (max((len(run) for run in re.findall("`+", inside)), default=0) + 1)
    pad = " " if "`" in inside else ""
    return f"{fence}{pad}{inside}{pad}{fence}"
