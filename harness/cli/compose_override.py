"""`harness init --compose FILE`: the files that let a compose project be hit, written beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.model.errors import HarnessError
from harness.stack.external.compose_hops import API_PORT, CONFIG, PROXY, Hops, find_hops, override_of, proxies_of

__all__ = ["write_override"]

READ_S = 30.0
OVERRIDE = "compose.harness.yaml"


def write_override(compose: Path, out: Path | None) -> int:
    """Read the project as Compose does, write the two files, say what they do and what comes next."""
    if not compose.is_file():
        raise HarnessError(f"{compose}: there is no such file; name the project's compose file")
    target = out or compose.with_name(OVERRIDE)
    beside = target.with_name(CONFIG)
    for path in (target, beside):
        if path.exists():
            raise HarnessError(f"{path} is there already: remove it, or name another file with --out")
    config = _read(compose)
    hops = find_hops(config)
    head = "# Written by 'harness init --compose'. Remove the labels of services that must never be touched.\n"
    target.write_text(head + json.dumps(override_of(config, hops), indent=2) + "\n", encoding="utf-8")
    beside.write_text(json.dumps(proxies_of(hops), indent=2) + "\n", encoding="utf-8")
    _say(config, hops, (compose, target))
    return 0


def _read(compose: Path) -> Mapping[str, Any]:
    program = shutil.which("docker")
    if program is None:
        raise HarnessError("docker: no such program; install Docker and its Compose plugin")
    # Without interpolation: what a variable holds may be a secret.
    command = [program, "compose", "-f", str(compose), "config", "--no-interpolate", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READ_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"docker compose config took more than {READ_S:g} s") from error
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it wrote nothing"]
        raise HarnessError(f"{compose}: {lines[-1]}")
    config: Mapping[str, Any] = json.loads(done.stdout)
    return config


def _say(config: Mapping[str, Any], hops: Hops, files: tuple[Path, Path]) -> None:
    compose, target = files
    click.echo(
        f"{target}: labels {', '.join(config.get('services') or {})}; {PROXY} on hops: {', '.join(hops.of) or 'none'}"
    )
    for link, (service, port) in hops.of.items():
        click.echo(f"  {link}: 127.0.0.1:{hops.through(link)} -> {service}:{port}")
    click.echo(
        f"next: docker compose -f {compose} -f {target} up -d, and in a scenario, with one hop's address as url:"
    )
    click.echo("external:")
    click.echo(f"  url: http://127.0.0.1:{hops.through(next(iter(hops.of)))}" if hops.of else "  url: …")
    click.echo(f"  toxiproxy: http://127.0.0.1:{API_PORT}")
    click.echo(f"  hops: {json.dumps({link: f'127.0.0.1:{hops.past(link)}' for link in hops.of})}")
    click.echo(f"  containers: com.docker.compose.project={config.get('name')}")
