"""What all pages share: the template engine with everything escaped, the style sheet, and badges."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from harness.render import numbers, words

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["fill", "style"]


@cache
def _environment() -> Environment:
    """Jinja with autoescape and the filters that every page uses. Loaded here: importing the renderers stays cheap.

    One for the process, since it keeps what it has compiled: a report's page takes longer to compile than to fill.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("harness", "render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters |= {
        "count": numbers.count,
        "percent": numbers.percent,
        "seconds": numbers.seconds,
        "duration": numbers.duration,
        "milliseconds": numbers.milliseconds,
        "plain": numbers.plain,
    }
    made.globals |= {
        "NOTHING": numbers.NOTHING,
        "OUTCOMES": words.OUTCOMES,
        "STAGES": words.STAGES,
        "MARKS": words.MARKS,
        "SYMBOLS": words.SYMBOLS,
        "interval": lambda value: numbers.interval(value, "nothing lost"),
        "lost_words": words.lost_words,
        "estimate_value": numbers.estimate_value,
        "estimate_interval": numbers.estimate_interval,
        "value_of": numbers.by_name,
    }
    return made


def style(*names: str) -> str:
    """Style sheets of the pages, one after the other."""
    folder = resources.files("harness.render")
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A page from its template; text that UTF-8 cannot hold is replaced."""
    return _environment().get_template(template).render(**values).encode("utf-8", "replace").decode()
