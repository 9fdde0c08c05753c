"""The renderings of a projection."""

from __future__ import annotations

from harness.render.soak_html import to_html
from harness.render.soak_markdown import terminal_lines, to_markdown

__all__ = ["terminal_lines", "to_html", "to_markdown"]
