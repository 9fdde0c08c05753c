"""Two runs side by side, as text, Markdown and HTML. Whatever the data cannot tell is said in those words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.model.archive import Comparison, Difference, RunSummary
from harness.model.verdict import Estimate
from harness.render.markdown import escaped, table
from harness.render.numbers import NOTHING, by_name
from harness.render.pages import fill, style
from harness.render.words import SYMBOLS

__all__ = ["to_comparison_html", "to_comparison_markdown", "to_comparison_text"]

_HEADER = ("quantity", "A", "B", "B − A", "interval (95 %)", "the data says")


def to_comparison_text(comparison: Comparison) -> str:
    """For a terminal, 110 columns."""
    rows = [_HEADER, *(_cells(one) for one in comparison.differences)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [f"{name}  {_side(run)}" for name, run in (("A", comparison.a), ("B", comparison.b))]
    lines += ["", comparison.headline, ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", "what was set up otherwise"] if comparison.plan else ["", "both were set up alike"]
    lines += [f"  {key}: {a} → {b}" for key, a, b in comparison.plan]
    return "\n".join([*lines, "", *comparison.limits]) + "\n"


def to_comparison_markdown(comparison: Comparison) -> str:
    """For a comment on a pull request."""
    return "\n\n".join(_markdown(comparison)) + "\n"


def _markdown(comparison: Comparison) -> Iterator[str]:
    yield f"## {escaped(comparison.headline)}"
    yield "\n".join(f"- {name}: {escaped(_side(run))}" for name, run in (("A", comparison.a), ("B", comparison.b)))
    yield table(_HEADER, (_cells(one) for one in comparison.differences))
    if comparison.plan:
        yield "### What was set up otherwise"
        yield table(("key", "A", "B"), comparison.plan)
    yield "\n".join(f"- {escaped(limit)}" for limit in comparison.limits)


def to_comparison_html(comparison: Comparison) -> str:
    """One page that needs nothing else."""
    values: dict[str, Any] = {
        "css": style("report.css"),
        "it": comparison,
        "header": _HEADER,
        "rows": [(one, _cells(one)) for one in comparison.differences],
        "sides": [("A", comparison.a), ("B", comparison.b)],
    }
    return fill("comparison.html.j2", values)


def _side(run: RunSummary) -> str:
    return f"{SYMBOLS[run.outcome]} {run.outcome.upper()} {run.run_id}: {run.reason}"


def _cells(one: Difference) -> tuple[str, ...]:
    unit = one.quantity.rpartition(" ")[2] if " per " not in one.quantity else ""
    by = one.by
    return (
        one.quantity,
        _value(unit, one.a),
        _value(unit, one.b),
        _signed(unit, by.value),
        _span(unit, by),
        _says(one),
    )


def _says(one: Difference) -> str:
    if one.by.low is None and one.by.high is None:
        return f"cannot tell: {one.by.method.removeprefix('not estimable: ')}"
    return f"B is {one.says}" if one.says != "cannot tell" else one.says


def _value(unit: str, value: Any) -> str:
    return NOTHING if value is None else by_name(unit, value)


def _signed(unit: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    if unit == "success_rate":
        return f"{value * 100:+.2f} points"
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{by_name(unit, abs(value))}"


def _span(unit: str, by: Estimate) -> str:
    if by.low is None and by.high is None:
        return NOTHING
    if by.low is None:
        return f"at most {_signed(unit, by.high)}"
    return (
        f"at least {_signed(unit, by.low)}"
        if by.high is None
        else f"{_signed(unit, by.low)} to {_signed(unit, by.high)}"
    )
