"""A projection as Markdown, and as a few lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.model.soak_report import SoakReport
from harness.render.numbers import NOTHING, duration, estimate_value, percent, seconds
from harness.render.soak_words import (
    AGEING_HEAD,
    TITLES,
    ageing_rows,
    described_rows,
    limit_words,
    lost_words,
    met_words,
    objective_value,
    overlap_words,
    share_words,
    span_words,
    title_of,
    type_rate,
)

__all__ = ["terminal_lines", "to_markdown"]


def terminal_lines(report: SoakReport) -> Iterator[str]:
    """The table, the verdict and what to read next."""
    yield title_of(report)
    rows = [("objective", "limit", "projected", "95 % of months", "P(met)")]
    for row in report.objectives:
        value = objective_value(row.name, row.projected.value)
        span = span_words(row.name, row.projected)
        rows.append((TITLES[row.name], limit_words(row), value, span, met_words(row)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for cells in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
    for row in report.objectives:
        for one in row.break_even:
            yield f"{'break-even':10} {TITLES[row.name]}: {one.fault_type} {one.words}"
    yield f"{report.outcome.upper():13} {report.reason}"
    yield f"{'not shown':10}{report.limits[0]}"


def to_markdown(report: SoakReport) -> str:
    """The whole report but its charts."""
    parts = [
        f"# {report.soak}: {report.outcome}",
        f"{title_of(report)}. {report.reason}.",
        *([f"Hypothesis: {report.hypothesis}"] if report.hypothesis else []),
        _objectives(report),
        _budget(report),
        _types(report),
        _section("What would buy most", _improvements(report)),
        _section("The worst month, request by request", overlap_words(report)),
        _section("Ageing", _ageing(report)),
        _section("Can it be believed?", _findings(report)),
        _section("Nights", _history(report)),
        _section("What this does not show", "\n".join(f"- {limit}" for limit in report.limits)),
        f"Seed {report.seed}, {report.months:,} months, "
        f"{duration(report.measured_s)} of real load; {report.thrown_out} trials thrown out.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _objectives(report: SoakReport) -> str:
    rows = [
        [
            TITLES[row.name],
            limit_words(row),
            objective_value(row.name, row.projected.value),
            span_words(row.name, row.projected),
            met_words(row),
            row.outcome,
            "; ".join([*(f"{one.fault_type} {one.words}" for one in row.break_even), row.rests_on or row.reason]),
        ]
        for row in report.objectives
    ]
    table = _table(["objective", "limit", "projected", "95 % of months", "P(met)", "verdict", "rests on"], rows)
    more = _table(["also", "value", "note"], [list(row) for row in described_rows(report)])
    return _section(f"The {report.days} days", f"{table}\n\n{more}")


def _budget(report: SoakReport) -> str:
    rows = [
        [one.name, f"{one.lost_per_month:,.0f}", percent(one.budget_share)]
        for one in sorted(report.types, key=lambda one: -one.lost_per_month)
    ]
    budget = (1 - report.slo) * report.requests_per_month
    share = percent(report.fault_free_lost_per_month / budget)
    rows.append(["without any fault (in part only doubt)", f"{report.fault_free_lost_per_month:,.0f}", share])
    table = _table(["by", "requests a month", "of the error budget"], rows)
    return _section(f"Where the budget of {percent(1 - report.slo)} goes", table)


def _types(report: SoakReport) -> str:
    rows = [
        [
            one.name,
            ", ".join(one.injects),
            f"{one.n}" + (f" (+{one.thrown_out} thrown out)" if one.thrown_out else ""),
            f"{type_rate(one)}; {one.rate}",
            lost_words(one.lost),
            ", ".join(f"{q} {estimate_value('recovery_s', e)}" for q, e in one.recovery.items()),
            ", ".join(f"{name.removesuffix('_s')} {seconds(value)}" for name, value in one.stages.items()),
            ", ".join(f"{tier} {share_words(share)}" for tier, share in one.pages.items()) or NOTHING,
        ]
        for one in report.types
    ]
    head = ["fault", "injected as", "n", "rate", "lost per fault", "recovery", "stages (median)", "would have raised"]
    return _section("Faults", _table(head, rows))


def _improvements(report: SoakReport) -> str:
    return "\n".join(
        f"- {one.what}: {one.lost_saved:,.0f} requests a month fewer are lost; success {percent(one.success_rate)}"
        + ("" if one.p_met is None else f", kept in {share_words(one.p_met)} of months")
        for one in report.improvements
    )


def _ageing(report: SoakReport) -> str:
    rows = [list(row) for row in ageing_rows(report)]
    unseen = "\n".join(f"- not looked at: {why}" for why in report.not_sampled)
    return "\n\n".join(part for part in (_table(AGEING_HEAD, rows) if rows else "", unseen) if part)


def _findings(report: SoakReport) -> str:
    rows = [[finding.check, finding.outcome, finding.title, finding.reason] for finding in report.findings]
    return _table(["check", "outcome", "what", "result"], rows)


def _history(report: SoakReport) -> str:
    names = [one.name for one in report.types]
    rows = [
        [
            row.wall_begin[:16],
            row.build,
            "yes" if row.pooled else "no",
            f"{row.trials}" + (f" (+{row.thrown_out} thrown out)" if row.thrown_out else ""),
            percent(row.fault_free_success),
            *(seconds(row.recovery_s_p50.get(name)) for name in names),
        ]
        for row in report.history
    ]
    head = ["night", "build", "pooled", "trials", "fault-free success", *(f"{name}: median recovery" for name in names)]
    return _table(head, rows)
