"""The table of control pairs: terminal, Markdown, HTML and JSON. Formats numbers and computes none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from urllib.parse import quote

from harness.model.expectation import HALVES
from harness.model.pairs import HalfResult, PairResult, PairsReport, as_data
from harness.model.verdict import VerdictOutcome
from harness.render.markdown import escaped, table
from harness.render.numbers import count, duration
from harness.render.pages import fill, style
from harness.render.words import SYMBOLS

__all__ = ["PAIR_RENDERERS", "pairs_html", "pairs_json", "pairs_lines", "pairs_markdown"]

_HEADER = ("scenario", "fragile", "hardened", "tells them apart", "lost fragile", "lost hardened", "on fragile")
_CLAIMS = ("scenario", "claim", "p", "alone", "together")


def pairs_lines(report: PairsReport) -> Iterator[str]:
    """For a terminal: a line a scenario, then what is wrong with each that tells nothing."""
    width = max((len(pair.scenario) for pair in report.pairs), default=8)
    yield f"{'scenario':{width}}  {'fragile':13} {'hardened':13} apart  lost fragile  lost hardened"
    for pair in report.pairs:
        halves = " ".join(f"{_outcome(half).upper():13}" for half in pair.halves)
        lost = f"{_lost(pair.fragile):>12}  {_lost(pair.hardened):>13}"
        yield f"{pair.scenario:{width}}  {halves} {'yes' if pair.discriminates else 'NO':5}  {lost}"
    yield ""
    for pair in report.pairs:
        if not pair.discriminates:
            yield f"{pair.scenario}: {pair.sentence}"
            yield from (f"{'':10}replay: {half.replay}" for half in pair.halves if not half.met and half.replay)
    if report.without:
        yield f"without a pair: {', '.join(report.without)}"
    yield headline(report)


def headline(report: PairsReport) -> str:
    """How many pairs discriminate, in a sentence."""
    n = len(report.pairs)
    share = f" ({report.discriminating / n:.0%})" if n else ""
    cut = f", NOT COMPLETE: {count(report.runs)} of {count(2 * n)} runs" if report.cut_off else ""
    told = f"{count(report.discriminating)} of {count(n)} pairs tell fragile from hardened{share}"
    return f"{told}, in {duration(report.seconds)}{cut}"


def pairs_markdown(report: PairsReport) -> str:
    """For a pull request."""
    symbol = SYMBOLS[report.outcome]
    blocks = [
        f"## {symbol} Control pairs on {escaped(report.stack)}, seed {escaped(report.seed)}",
        f"**{headline(report)}**",
    ]
    for group, pairs in _groups(report):
        blocks += [f"### {escaped(group)}", table(_HEADER, (_row(pair) for pair in pairs))]
    wrong = [pair for pair in report.pairs if not pair.discriminates]
    if wrong:
        blocks += ["### What does not tell them apart", "\n".join(f"- {escaped(_problem(pair))}" for pair in wrong)]
    if report.without:
        blocks.append(f"Without a pair: {escaped(', '.join(report.without))}")
    if report.claims:
        blocks += [f"### {_claims_title(report)}", table(_CLAIMS, _claim_rows(report))]
    return "\n\n".join(blocks) + "\n"


def pairs_html(report: PairsReport) -> str:
    """One page that needs nothing else, but for its links: the runs' folders lie beside it."""
    values = {
        "css": style("report.css", "pairs.css"),
        "report": report,
        "halves": HALVES,
        "headline": headline(report),
        "groups": list(_groups(report)),
        "wrong": [pair for pair in report.pairs if not pair.discriminates],
        "claims_title": _claims_title(report),
        "claims_header": _CLAIMS,
        "claims": list(_claim_rows(report)),
        "link": _link,
        "PASS": VerdictOutcome.PASS,
    }
    return fill("pairs.html.j2", values)


def pairs_json(report: PairsReport) -> str:
    """Everything, as data."""
    return json.dumps(as_data(report), indent=2, ensure_ascii=True, default=str) + "\n"


PAIR_RENDERERS: Mapping[str, Callable[[PairsReport], str]] = {
    "pairs.json": pairs_json,
    "pairs.md": pairs_markdown,
    "pairs.html": pairs_html,
}


def _groups(report: PairsReport) -> Iterator[tuple[str, list[PairResult]]]:
    for group in sorted({pair.group for pair in report.pairs}):
        yield group or "scenarios", [pair for pair in report.pairs if pair.group == group]


def _row(pair: PairResult) -> tuple[str, ...]:
    halves = tuple(f"{SYMBOLS[half.outcome]} {half.outcome}" if half.outcome else "no verdict" for half in pair.halves)
    apart = "yes" if pair.discriminates else "NO"
    return pair.scenario, *halves, apart, _lost(pair.fragile), _lost(pair.hardened), pair.fragile.reason


def _problem(pair: PairResult) -> str:
    replays = "; ".join(half.replay for half in pair.halves if not half.met and half.replay)
    return f"{pair.scenario}: {pair.sentence}" + (f" (replay: {replays})" if replays else "")


def _claims_title(report: PairsReport) -> str:
    n = len(report.claims)
    return f"Claims on hardened: {n}, corrected for their number (Holm, {report.confidence:.0%} for all together)"


def _claim_rows(report: PairsReport) -> Iterator[tuple[str, ...]]:
    for one in report.claims:
        yield (
            one.scenario,
            one.claim,
            f"{one.p_value:.2g}",
            *("holds" if x else "not shown" for x in (one.alone, one.holds)),
        )


def _outcome(half: HalfResult) -> str:
    return half.outcome.value if half.outcome else "no verdict"


def _lost(half: HalfResult) -> str:
    return f"{count(half.lost)}/{count(half.eligible)}" if half.outcome else "–"


def _link(report: str) -> str:
    """From the table to a run's report in a folder beside it."""
    path = PurePath(report)
    return quote(f"{path.parent.name}/{path.name}")
