"""The verb `images`: what the container stack runs from."""

from __future__ import annotations

import click

from harness.stack.compose.stack import COMPOSE_FOLDER

__all__ = ["images"]

LONGEST_S = 1800.0


@click.command(short_help="Build the container stack's images.")
@click.option("--offline", is_flag=True, help="from Debian's packages and wheels, where no registry can be reached")
def images(*, offline: bool) -> int:
    """Pull and build the images of `--stack compose`, so that its first run need not.

    With --offline, from Debian's packages and wheels: it needs root and debootstrap, and takes a few minutes once.
    """
    from harness.stack.compose.images import OFFLINE, build_offline, remove_untagged
    from harness.stack.containers.plugin import compose_command

    if not offline:
        file = ["--file", str(COMPOSE_FOLDER / "compose.yaml")]
        click.echo("pulling and building")
        compose_command([*file, "--profile", "*", "pull", "--ignore-buildable", "--quiet"], {}, LONGEST_S)
        compose_command([*file, "build", "--quiet"], {}, LONGEST_S)
        remove_untagged("docker")
        return 0
    root = COMPOSE_FOLDER.parent
    build_offline(root, click.echo)
    written = COMPOSE_FOLDER / ".env"
    written.write_text("".join(f"{name}={value}\n" for name, value in OFFLINE.environ().items()), encoding="utf-8")
    click.echo(f"built; {written} selects them")
    return 0
