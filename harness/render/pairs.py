"""The table of control pairs: terminal, Markdown, HTML and JSON. Formats numbers and computes none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from html import escape
from importlib import resources

from harness.model.pairs import HalfResult, PairResult, PairsReport, as_data
from harness.render.markdown import escaped, table
from harness.render.numbers import count, duration
from harness.render.words import SYMBOLS

__all__ = ["PAIR_RENDERERS", "pairs_html", "pairs_json", "pairs_lines", "pairs_markdown"]

_HEADER = ("scenario", "fragile", "hardened", "tells them apart", "lost fragile", "lost hardened")
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
    cut = ", cut off before the end" if report.cut_off else ""
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
    """One page that needs nothing else."""
    css = resources.files("harness.render").joinpath("report.css").read_text("utf-8")
    parts = [
        f'<section class="card verdict tone-{report.outcome}"><div class="title"><h1>Control pairs</h1>'
        f'<span class="badge">{SYMBOLS[report.outcome]} {report.outcome}</span></div>'
        f'<p class="reason">{escape(headline(report))}</p>'
        f'<p class="muted">stack {escape(report.stack)}, seed {escape(report.seed)}</p></section>'
    ]
    for group, pairs in _groups(report):
        rows = [(*_row(pair), _problem(pair) if pair.sentence else "") for pair in pairs]
        parts.append(_card(group, (*_HEADER, "what is wrong"), rows))
    if report.without:
        parts.append(f'<p class="muted">Without a pair: {escape(", ".join(report.without))}</p>')
    if report.claims:
        parts.append(_card(_claims_title(report), _CLAIMS, list(_claim_rows(report))))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = "<title>Control pairs</title>"
    body = f"<main>{''.join(parts)}</main>"
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}{title}<style>{css}</style></head><body>{body}</body></html>\n'
    )


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
    return pair.scenario, *halves, apart, _lost(pair.fragile), _lost(pair.hardened)


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


def _card(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<section class="card"><h2>{escape(title)}</h2><table><tr>{head}</tr>{lines}</table></section>'
