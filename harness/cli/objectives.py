"""The verb `objectives`: an OpenSLO file as the objectives of a scenario."""

from __future__ import annotations

from pathlib import Path

import click

from harness.model.errors import HarnessError
from harness.plan.openslo import as_yaml, read_openslo

__all__ = ["objectives"]


@click.command(short_help="Turn an OpenSLO file into a scenario's objectives.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--unit", type=click.Choice(["ms", "s"]), default=None, help="Of latency thresholds; OpenSLO names none.")
def objectives(file: Path, unit: str | None) -> int:
    """Print the blocks `observe:` and `claim:` for a scenario file; what cannot be mapped is refused with its line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{file} cannot be read: {error}") from error
    click.echo(as_yaml(read_openslo(text, str(file), unit)), nl=False)
    return 0
