"""Pages as a browser shows them: at the width of a phone and of a desk, in light, in dark and on paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.analysis.trends import archive_of
from harness.render.html import to_html
from harness.render.index import to_index
from tests.render.browser import Browser, browser, chromium
from tests.render.conftest import SAMPLES
from tests.render.test_health import PARTS, UNSEEN
from tests.render.test_index import run

pytestmark = [pytest.mark.process, pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")]

LOOKS = [(390, False, False), (1280, False, False), (390, True, False), (1280, True, False), (1280, False, True)]


def brightness(path: Path) -> float:
    """Mean of the picture's border columns, 0 to 255: the page's own colour."""
    with Image.open(path) as picture:
        grey = np.asarray(picture.convert("L"))
    return float(grey[:, :4].mean())


async def check(page: Browser, file: Path, folder: Path, looks: Sequence[tuple[int, bool, bool]] = LOOKS) -> None:
    """Nothing sticks out sideways, nothing is asked of the network, and each look is the one that was asked for."""
    for width, dark, paper in looks:
        await page.look(width, dark=dark, print_=paper)
        await page.open(file)
        over = await page.ask("document.documentElement.scrollWidth") - width  # a phone would zoom out to hide it
        assert over <= 0, f"{width} px: {over} px stick out"
        assert page.errors == []
        picture = folder / f"{file.stem}-{width}-{dark}-{paper}.png"
        await page.picture(picture)
        assert (brightness(picture) > 128) is (not dark)


async def test_reports_fit_every_width_and_look_and_ask_nobody_for_anything(
    tmp_path: Path, pages: Callable[[str], str]
) -> None:
    program = chromium()
    assert program is not None
    async with browser(program) as page:
        for name in ("fail", "hostile", "large", "empty"):
            file = tmp_path / f"{name}.html"
            file.write_text(pages(name), encoding="utf-8")
            await check(page, file, tmp_path, LOOKS if name in ("fail", "hostile") else LOOKS[:1])
        probes = tmp_path / "probes.html"
        long = replace(PARTS, probes=(*PARTS.probes, replace(UNSEEN, probe=f"GET /{'long' * 40}")), cut_off="x" * 200)
        probes.write_text(to_html(replace(SAMPLES["pass"](), health=long)), encoding="utf-8")
        await check(page, probes, tmp_path)
        await _values_are_under_the_pointer(page, tmp_path / "fail.html")


async def _values_are_under_the_pointer(page: Browser, file: Path) -> None:
    await page.look(1280)
    await page.open(file)
    place = await page.ask(
        "(() => { const r = document.querySelectorAll('#top .at rect')[21]; r.scrollIntoView({block: 'center'});"
        " const b = r.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    shown = "[...document.querySelectorAll('.at text')].filter(t => getComputedStyle(t).display != 'none')"
    said = await page.ask(f"{shown}.map(t => t.textContent)")
    assert len(said) == 1
    assert said[0].startswith("21 s to 22 s: ")


async def test_the_index_fits_and_its_filters_hide_what_was_not_asked_for(tmp_path: Path) -> None:
    program = chromium()
    assert program is not None
    runs = [run(n, scenario=f"s{n % 3}", outcome=outcome) for n, outcome in enumerate([*["pass", "fail"] * 6])]
    runs = [replace(one, outcome=type(run(1).outcome)(one.outcome)) for one in runs]
    file = tmp_path / "index.html"
    file.write_text(to_index(archive_of(runs, [])), encoding="utf-8")
    seen = "[...document.querySelectorAll('.row')].filter(r => r.offsetParent).length"
    async with browser(program) as page:
        await check(page, file, tmp_path)
        await page.look(1280)
        await page.open(file)
        assert await page.ask(seen) == 12
        await page.ask("document.querySelector('#fail').click()")
        assert await page.ask(seen) == 6
        await page.ask("document.querySelector('#scenario').value = '1'")
        assert await page.ask(seen) == 2
        await page.ask("document.querySelector('form button').click()")
        assert await page.ask(seen) == 12
