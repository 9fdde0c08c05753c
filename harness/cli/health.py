"""`harness health`: how good a target's health checks are, in both directions."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import click

from harness.campaign.health import health_run
from harness.campaign.health_container import Broken, ContainerTest, plan_container_test, replayed
from harness.campaign.health_url import LOOK_LIMIT_MAX_S, UrlTest, health_of_url
from harness.campaign.probing import LIMIT_S, Prober
from harness.cli.consent import agree_to, what_may_be_touched
from harness.cli.one_run import make_session
from harness.cli.scenarios import Where, make_plans, make_stack, new_seed
from harness.cli.unattended import run_id_of
from harness.interrupts import Interrupts
from harness.model.health import Health
from harness.record.clock import SystemClock
from harness.recover import sweep
from harness.session import make_clock
from harness.store.registry import Registry, registry_folder

__all__ = ["health"]

PASS, INCONCLUSIVE = 0, 3


@click.command(short_help="How soon do probes go red when they should, and how often when not?")
@click.argument("url", required=False)
@click.option(
    "--stack", "stack_name", type=click.Choice(["local", "compose", "fake"]), default="local", show_default=True
)
@click.option(
    "--protection", type=click.Choice(["default", "fragile", "hardened"]), default="default", show_default=True
)
@click.option(
    "--model", type=click.Path(path_type=Path), default=Path(".model"), envvar="HARNESS_MODEL", show_default=True
)
@click.option("--seed", default=None, help="Replays a plan; drawn by default.")
@click.option("--model-name", default=None, help="The model to ask a URL for.  [default: the first that is listed]")
@click.option("--api-key-env", default=None, metavar="NAME", help="Variable of the environment with a URL's key.")
@click.option("--ca-file", default=None, metavar="FILE", help="Certificates (PEM) to trust for a URL.")
@click.option(
    "--yes",
    is_flag=True,
    envvar="HARNESS_YES",
    help="Agree to what it does to a URL elsewhere, or to a container, unasked.",
)
@click.option(
    "--container",
    default=None,
    metavar="NAME",
    help="Container behind a URL, labelled reliability-harness.target=NAME: to be frozen, and killed if its restart "
    "policy brings it back.",
)
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=10.0, show_default=True, help="Requests/s to a URL.")
@click.option("--busy", type=click.FloatRange(2, 240), default=30.0, show_default=True, help="Seconds of them.")
@click.option(
    "--look-limit",
    type=click.FloatRange(0.1, LOOK_LIMIT_MAX_S),
    metavar="S",
    help="Seconds in which a URL must answer a look: later is red.  [default: 1]",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
def health(  # noqa: PLR0913, PLR0917  one parameter per option
    url: str | None,
    stack_name: str,
    protection: Literal["default", "fragile", "hardened"],
    model: Path,
    seed: str | None,
    model_name: str | None,
    api_key_env: str | None,
    ca_file: str | None,
    yes: bool,
    container: str | None,
    rate: float,
    busy: float,
    look_limit: float | None,
    out: Path,
) -> int:
    """Score every probe: how long it is green while the engine hangs, is dead or answers wrongly, and how often it is
    red while the service is merely busy.

    Without a URL the reference target is started and broken. With one (any OpenAI-compatible server; one that is not on
    this host is asked about first) it is false alarms under load, and with --container, which is asked about, too, how
    soon it is red when that container hangs or is dead; the rest is said to be not tested, and a score without it is
    called partial. Exits with 3 when nothing was measured, and when it was cut off: what was measured by then says so.
    """
    from harness.render.health import health_json, health_lines, health_markdown

    if url is None and any(one is not None for one in (model_name, api_key_env, ca_file, look_limit, container)):
        raise click.UsageError("--model-name, --api-key-env, --ca-file, --look-limit and --container are for a URL")
    seed = seed or new_seed()
    if url is not None:
        test = UrlTest(url, model_name, api_key_env, ca_file, rate, busy, look_limit or LIMIT_S)
        found = _of_url(test, container, seed, out, yes=yes)
    else:
        found = _of_stack(Where(stack_name, model), protection, seed, out)
    for line in health_lines(found):
        click.echo(line)
    if found.measured or not found.cut_off:  # nothing is no reason to write over what was measured before
        out.mkdir(parents=True, exist_ok=True)
        (out / "health.json").write_text(health_json(found), encoding="utf-8")
        (out / "health.md").write_text(health_markdown(found), encoding="utf-8")
    return INCONCLUSIVE if found.cut_off or not found.measured else PASS


def _of_url(test: UrlTest, container: str | None, seed: str, out: Path, *, yes: bool) -> Health:
    if test.busy_s < 2 * test.look_limit_s:
        raise click.UsageError(
            f"--busy {test.busy_s:g} is too short for looks of up to {test.look_limit_s:g} s: make it at least "
            f"{2 * test.look_limit_s:g}, or --look-limit shorter"
        )
    registry = Registry(registry_folder(os.environ))
    touched, breaks = test.touches(), None
    if container is not None:
        asked = (container, test.model, test.look_limit_s, test.rate_per_s)
        breaks = plan_container_test(test.endpoint(), asked, seed, (out, registry))
        breaks = replayed(breaks, ["harness", "health", *test.words(), "--container", container, "--seed", seed])
        touched += [*what_may_be_touched(breaks.drawn.plan, breaks.session.stack), *breaks.touches()]
    agree_to(touched, registry.folder.parent / "agreed.json", yes=yes)
    with Interrupts() as interrupts:
        if breaks is None:
            return health_of_url(test, SystemClock(), interrupts.asked)
        sweep(registry)
        return health_of_url(test, SystemClock(), interrupts.asked, partial(_break, breaks))


def _break(test: ContainerTest, prober: Prober, interrupted: Callable[[], int]) -> Broken:
    broken = test.run(run_id_of("health", test.session.clock.wall()), prober, interrupted)
    if broken.folder is not None:
        click.echo(f"{'run':10}{broken.folder.path}")
        click.echo(f"{'report':10}{broken.folder.path / 'report.html'}")
    return broken


def _of_stack(where: Where, protection: Literal["default", "fragile", "hardened"], seed: str, out: Path) -> Health:
    assert where.stack is not None
    registry = Registry(registry_folder(os.environ))
    sweep(registry)
    session = make_session((where.stack, where.model), out, registry)
    planning = make_stack(where.stack, where.model, make_clock(where.stack))
    with Interrupts() as interrupts:
        run_id = run_id_of("health", session.clock.wall())
        found, folder = health_run(
            lambda scenario: make_plans([scenario], planning, seed, where)[0],
            session,
            run_id,
            (protection, where.replay(planning.name), interrupts.asked),
        )
    click.echo(f"{'run':10}{folder}")
    click.echo(f"{'report':10}{folder / 'report.html'}")
    return found
