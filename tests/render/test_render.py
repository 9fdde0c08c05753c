"""What holds for every format."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import render
from harness.model.verdict import Verdict


def test_every_file_of_a_run_that_is_made_from_the_verdict_has_its_renderer() -> None:
    assert list(render.RENDERERS) == ["verdict.json", "report.md", "junit.xml", "report.html"]


@pytest.mark.whole
@pytest.mark.parametrize("name", render.RENDERERS)
def test_rendering_twice_gives_the_same_text_and_the_text_can_be_saved(name: str, sample: Verdict) -> None:
    text = render.RENDERERS[name](sample)
    assert text == render.RENDERERS[name](sample)
    assert text.encode("utf-8")
    assert text.endswith("\n")


def test_importing_the_renderers_loads_neither_matplotlib_nor_jinja() -> None:
    code = "import sys, harness.render; print(sorted({'matplotlib', 'jinja2', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_renderer_reads_a_clock_or_draws_by_chance_or_uses_pyplot() -> None:
    for path in Path(render.__file__).parent.glob("*.py"):
        imported, read = set(), set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            elif isinstance(node, ast.Attribute):
                read.add(node.attr)
        assert not imported & {"time", "random", "matplotlib.pyplot", "pandas"}, path.name
        assert not read & {"now", "today", "utcnow"}, path.name  # a time that the run recorded may be parsed


def test_all_formats_say_the_verdict_the_reason_and_the_replay_line(verdicts: dict[str, Callable[[], Verdict]]) -> None:
    verdict = verdicts["fail"]()
    for name, renderer in render.RENDERERS.items():
        text = renderer(verdict)
        assert "fail" in text.lower(), name
        assert verdict.run["replay"] in text, name
        assert "7f3a" in text, name
