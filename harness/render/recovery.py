"""The recovery bar: how long each stage of a recovery took, and what the users themselves waited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from harness.model.verdict import EpisodeResult
from harness.render.hover import titled
from harness.render.numbers import interval, seconds
from harness.render.palette import paint
from harness.render.svg import Canvas, add_boxes, add_lines, add_text, blank_axes, clean, to_svg
from harness.render.words import STAGES, missing_stages

__all__ = ["recovery_chart", "recovery_height", "stage_segments"]

_LEFT, _RIGHT, _FOOT = 1, 8, 26
_LETTER = 6.0
_BAR = 18
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600)
_INKS = {"restore": "on-dark", "unknown": "ink"}
_Box = tuple[float, float, float, float]


def recovery_height(rows: int, *, wide: bool) -> int:
    """How tall the chart of so many episodes is, in pixels."""
    return rows * _row(wide) + _FOOT


def recovery_chart(episodes: Sequence[EpisodeResult], canvas: Canvas) -> str:
    """One row for each episode, in the order given."""
    figure = canvas.figure()
    axes = blank_axes(figure, canvas, (_LEFT, 0, _RIGHT, 0))
    longest = max((moment for episode in episodes for moment in _moments(episode)), default=0.0) or 1.0
    axes.set_xlim(0, longest * 1.06)
    axes.set_ylim(canvas.height, 0)
    _axis(axes, canvas, longest)
    rows = [(episode, float(index * _row(canvas.wide))) for index, episode in enumerate(episodes)]
    for episode, top in rows:
        _labels(axes, episode, top, canvas)
    _bars(axes, rows)
    _users(axes, rows)
    description = "; ".join(f"episode {episode.number}: {_caption(episode)}" for episode in episodes)
    across = (canvas.width - _LEFT - _RIGHT) / (longest * 1.06)
    hints = titled(hint for episode, top in rows for hint in _hints(episode, top, across))
    return to_svg(figure, canvas, "Recovery of each episode in four stages", description, hints)


def _hints(episode: EpisodeResult, top: float, across: float) -> Iterator[tuple[float, float, float, float, str]]:
    """What the pointer is told of each segment, and of the users' line."""
    for name, begin, stop in stage_segments(episode):
        words = (
            f"{'stages that cannot be told apart' if name == 'unknown' else name}: {seconds(begin)} to {seconds(stop)}"
        )
        yield _LEFT + begin * across, top + 25, (stop - begin) * across, _BAR, words
    if episode.recovery_s is not None:
        end = episode.recovery_s.high or episode.recovery_s.low
        yield _LEFT, top + 25 + _BAR, end * across, 14, f"users: {_caption(episode)}"


def _row(wide: bool) -> int:
    return 66 if wide else 84


def _moments(episode: EpisodeResult) -> list[float]:
    recovery = episode.recovery_s
    seen = [getattr(episode.stages, f"{name}_s") for name, _ in STAGES]
    seen += [] if recovery is None else [recovery.low, recovery.high]
    return [moment for moment in seen if moment is not None]


def _axis(axes: Axes, canvas: Canvas, longest: float) -> None:
    most = 10 if canvas.wide else 5
    step = next((step for step in _STEPS if longest / step <= most), longest / most)
    bottom = canvas.height - _FOOT + 6
    moments = [index * step for index in range(int(longest * 1.05 / step) + 1)]
    add_lines(axes, [(at, 4, at, bottom) for at in moments], paint("grid"), linewidth=0.8, zorder=0)
    for at in moments:
        words, side = (f"{at:g} s", "center") if at else ("fault begins", "left")
        add_text(axes, (at, bottom + 11), words, color=paint("muted"), ha=side, fontsize=12)


def _labels(axes: Axes, episode: EpisodeResult, top: float, canvas: Canvas) -> None:
    name = clean(f"Episode {episode.number} · {', '.join(episode.faults)}")
    most = int(canvas.width * (0.5 if canvas.wide else 1) / _LETTER)
    shown = name if len(name) <= most else name[: most - 1] + "…"
    add_text(axes, (0, top + 12), shown, color=paint("ink"), fontsize=12)
    place, side = ((axes.get_xlim()[1], top + 12), "right") if canvas.wide else ((0, top + 66), "left")
    add_text(axes, place, _caption(episode), color=paint("muted"), ha=side, fontsize=12)


def _bars(axes: Axes, rows: Sequence[tuple[EpisodeResult, float]]) -> None:
    """The four stages of every row, and the words of those that have room for them."""
    end = axes.get_xlim()[1]
    boxes: dict[str, list[_Box]] = {}
    for episode, top in rows:
        bar = top + 25
        boxes.setdefault("soft", []).append((0, bar, end, bar + _BAR))
        for name, begin, stop in stage_segments(episode):
            boxes.setdefault(name, []).append((begin, bar, stop, bar + _BAR))
            words = "?" if name == "unknown" else name
            if len(words) * _LETTER + 8 <= (stop - begin) / end * axes.bbox.width:
                place = ((begin + stop) / 2, bar + _BAR / 2 + 0.5)
                add_text(axes, place, words, color=paint(_INKS.get(name, "on-light")), ha="center", fontsize=12)
    for name, shapes in boxes.items():
        add_boxes(axes, shapes, paint(name), zorder=0.5 if name == "soft" else 1)
    ends = [
        (stop, box[1], stop, box[3])
        for name, some in boxes.items()
        if name != "soft"
        for box in some
        for stop in (box[2],)
    ]
    add_lines(axes, ends, paint("card"), linewidth=1.5, zorder=2)


def stage_segments(episode: EpisodeResult) -> Iterator[tuple[str, float, float]]:
    """A segment up to each moment that was seen; time beside an unseen one belongs to no single stage."""
    cursor = 0.0
    unsure = False
    for name, _ in STAGES:
        moment = getattr(episode.stages, f"{name}_s")
        if moment is None:
            unsure = True
            continue
        if moment > cursor:
            yield ("unknown" if unsure else name), cursor, moment
        cursor, unsure = max(cursor, moment), False


def _users(axes: Axes, rows: Sequence[tuple[EpisodeResult, float]]) -> None:
    """A line from the fault to the users' recovery; its end is the interval in which the recovery lies."""
    end = axes.get_xlim()[1]
    thin: list[_Box] = []
    thick: list[_Box] = []
    for episode, top in rows:
        if episode.recovery_s is None:
            continue
        y = top + 25 + _BAR + 7
        low, high = episode.recovery_s.low, episode.recovery_s.high
        thin += [(0, y, low if high is not None else end, y), (low, y - 5, low, y + 5)]
        if high is None:
            axes.plot([end], [y], marker=">", markersize=7, color=paint("users"), markeredgewidth=0, clip_on=False)
        else:
            thin.append((high, y - 5, high, y + 5))
            thick.append((low, y - 2.5, high, y + 2.5))
    add_lines(axes, thin, paint("users"), linewidth=1.4, zorder=3)
    add_boxes(axes, thick, paint("users"), zorder=3)


def _caption(episode: EpisodeResult) -> str:
    unseen = missing_stages(episode)
    recovery = episode.recovery_s
    if recovery is None:
        words = "users lost nothing"
    elif recovery.high is None:
        words = f"not recovered by the end, {seconds(recovery.low)} after the fault"
    else:
        words = f"recovered after {interval(recovery)}"
    return words + (f" · not observable: {', '.join(unseen)}" if unseen else "")
