"""A projection as one HTML page that needs nothing else: no network, no script, no second file."""

from __future__ import annotations

from importlib import resources

from harness.model.soak_report import Calendar, SoakReport
from harness.model.verdict import VerdictOutcome
from harness.render import numbers, soak_words, words

__all__ = ["to_html"]

_TONES = {VerdictOutcome.PASS: "pass", VerdictOutcome.FAIL: "fail", VerdictOutcome.INCONCLUSIVE: "inconclusive"}
_ORDER = (VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE, VerdictOutcome.PASS)


def to_html(report: SoakReport) -> str:
    """The whole report. Drawing libraries are loaded here, so that importing the renderers stays cheap."""
    from jinja2 import Environment, StrictUndefined

    from harness.render import soak_charts

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.globals |= {name: getattr(soak_words, name) for name in soak_words.__all__}
    environment.globals |= {
        "percent": numbers.percent,
        "seconds": numbers.seconds,
        "duration": numbers.duration,
        "value_of": numbers.estimate_value,
        "interval_of": numbers.estimate_interval,
        "by_name": numbers.by_name,
        "SYMBOLS": words.SYMBOLS,
        "NOTHING": numbers.NOTHING,
    }
    folder = resources.files("harness.render")
    template = environment.from_string(folder.joinpath("soak.html.j2").read_text("utf-8"))
    page = template.render(
        css=folder.joinpath("report.css").read_text("utf-8") + folder.joinpath("soak.css").read_text("utf-8"),
        report=report,
        tone=_TONES[report.outcome],
        tones=_TONES,
        fan=soak_charts.fan_chart(report),
        recoveries=soak_charts.recoveries_chart(report),
        drift=soak_charts.drift_chart(report),
        findings=sorted(report.findings, key=lambda finding: _ORDER.index(finding.outcome)),
        types=sorted(report.types, key=lambda one: -one.lost_per_month),
        budget=(1 - report.slo) * report.requests_per_month,
        shade=_shade,
    )
    return page.encode("utf-8", "replace").decode()


def _shade(calendar: Calendar, day: int) -> int:
    """0 to 4: how much of the worst day's loss this day has; days without a fault are 0."""
    most = max(calendar.lost)
    if not calendar.faults[day] or most <= 0:
        return 0
    return 1 + min(3, int(4 * calendar.lost[day] / most))
