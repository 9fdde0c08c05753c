"""The verb `init`: a first scenario for a server of the user's own, or labels and a proxy for a compose project."""

from __future__ import annotations

import math
import re
from pathlib import Path

import click

from harness.model.errors import HarnessError

__all__ = ["init"]

TOKENS = 16


@click.command(short_help="Write a first scenario for a server of your own.")
@click.argument("url", required=False)
@click.option("--compose", type=click.Path(path_type=Path), help="A compose file: write an override file beside it.")
@click.option("--model", default=None, help="The model to ask for.  [default: the first that is listed]")
@click.option("--api-key-env", default=None, metavar="NAME", help="Variable of the environment that holds the key.")
@click.option("--ca-file", default=None, metavar="FILE", help="Certificates to trust (PEM).")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write.  [default: NAME.yaml, or beside it]")
def init(  # noqa: PLR0913, PLR0917  one parameter per option
    url: str | None,
    compose: Path | None,
    model: str | None,
    api_key_env: str | None,
    ca_file: str | None,
    out: Path | None,
) -> int:
    """Ask a server what it offers and write a first scenario for it; nothing of it is changed.

    With --compose FILE instead: an override file that gives the project's containers the opt-in label, without which
    the harness touches none of them, and puts a Toxiproxy on the hops between them.
    """
    if (url is None) == (compose is None):
        raise click.UsageError("give either a URL, or --compose FILE")
    if compose is not None:
        from harness.cli.compose_override import write_override

        return write_override(compose, out)
    assert url is not None
    # Here, since most verbs need none of it.
    from harness.cli.first_scenario import first_scenario, run_length_s
    from harness.plan.parse import parse_scenario
    from harness.record.clock import SystemClock
    from harness.stack.external.endpoint import endpoint_of
    from harness.stack.external.offer import ask_what_it_offers

    endpoint = endpoint_of(url, ca_file=ca_file, api_key_env=api_key_env)
    endpoint.authorization()
    name = re.sub(r"[^a-z0-9]+", "-", f"{endpoint.host}-{endpoint.port}".lower()).strip("-")
    path = out or Path(f"{name}.yaml")
    if path.exists():
        raise HarnessError(f"{path} is there already: name another file with --out")
    offer = ask_what_it_offers(endpoint, model, TOKENS, SystemClock())
    text = first_scenario(endpoint, offer, name)
    takes_s = run_length_s(parse_scenario(text, str(path)), offer.chat_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    click.echo(
        f"{path}: health {offer.health or 'none'}, ready {offer.ready or 'none'}, {offer.chat_s:.2f} s an answer"
    )
    click.echo(f"next: harness run {path}   # takes about {math.ceil(takes_s / 60)} min")
    return 0
