"""`harness health`: how good a target's health checks are, in both directions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from harness.campaign.health import health_run
from harness.campaign.health_url import UrlTest, health_of_url
from harness.cli.one_run import make_session
from harness.cli.scenarios import make_plans, make_stack, new_seed
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.health import Health
from harness.record.clock import SystemClock
from harness.recover import sweep
from harness.session import make_clock
from harness.store.registry import Registry, registry_folder

__all__ = ["health"]


@click.command(short_help="How soon do probes go red when they should, and how often when not?")
@click.argument("url", required=False)
@click.option("--stack", "stack_name", type=click.Choice(["local", "fake"]), default="local", show_default=True)
@click.option(
    "--protection", type=click.Choice(["default", "fragile", "hardened"]), default="default", show_default=True
)
@click.option(
    "--model", type=click.Path(path_type=Path), default=Path(".model"), envvar="HARNESS_MODEL", show_default=True
)
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=10.0, show_default=True, help="Requests/s to a URL.")
@click.option("--busy", type=click.FloatRange(2, 240), default=30.0, show_default=True, help="Seconds of them.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
def health(  # noqa: PLR0913, PLR0917  one parameter per option
    url: str | None,
    stack_name: str,
    protection: Literal["default", "fragile", "hardened"],
    model: Path,
    rate: float,
    busy: float,
    out: Path,
) -> int:
    """Score every probe: how long it is green while the engine hangs, is dead or answers wrongly, and how often it is
    red while the service is merely busy.

    Without a URL the reference target is started and broken. With one (an OpenAI-compatible server on this host) only
    false alarms under load can be had; the rest is said to be not tested.
    """
    from harness.render.health import health_json, health_lines, health_markdown

    found = _of_url(UrlTest(url, None, rate, busy)) if url else _of_stack(stack_name, protection, (model, out))
    for line in health_lines(found):
        click.echo(line)
    out.mkdir(parents=True, exist_ok=True)
    (out / "health.json").write_text(health_json(found), encoding="utf-8")
    (out / "health.md").write_text(health_markdown(found), encoding="utf-8")
    return 0


def _of_url(test: UrlTest) -> Health:
    with Interrupts() as interrupts:
        return health_of_url(test, SystemClock(), interrupts.asked)


def _of_stack(name: str, protection: Literal["default", "fragile", "hardened"], where: tuple[Path, Path]) -> Health:
    model, out = where
    registry = Registry(registry_folder(os.environ))
    sweep(registry)
    session = make_session((name, model), out, registry)
    planning = make_stack(name, model, make_clock(name))
    with Interrupts() as interrupts:
        run_id = run_id_of("health", session.clock.wall())
        found, folder = health_run(
            lambda scenario: make_plans([scenario], planning, new_seed())[0],
            session,
            run_id,
            (protection, interrupts.asked),
        )
    click.echo(f"{'run':10}{folder}")
    return found
