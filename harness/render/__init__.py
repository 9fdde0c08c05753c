"""Verdict -> text, one pure function per file of a run's folder. A renderer formats numbers and computes none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.model.verdict import Verdict
from harness.render.html import to_html
from harness.render.junit import to_junit
from harness.render.markdown import to_markdown
from harness.render.verdict_json import from_json, to_json

__all__ = ["RENDERERS", "from_json", "to_html", "to_json", "to_junit", "to_markdown"]

RENDERERS: Mapping[str, Callable[[Verdict], str]] = MappingProxyType(
    {
        "verdict.json": to_json,
        "report.md": to_markdown,
        "junit.xml": to_junit,
        "report.html": to_html,
    }
)
