"""Verbs for runs that are over: index, compare, prune, export."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from harness.archive import compare_runs, write_index
from harness.archive import prune as prune_runs
from harness.export import FORMATS
from harness.export import export as export_run
from harness.record.clock import SystemClock
from harness.store.registry import Registry, registry_folder
from harness.store.retention import Policy, StoredRun, remove

__all__ = ["compare", "export", "index", "prune"]

GB = 1e9
REPORTS = click.argument(
    "reports", type=click.Path(path_type=Path), default=Path("reports"), required=False, metavar="[REPORTS]"
)


@click.command(short_help="List all runs in REPORTS/index.html, with trends.")
@REPORTS
def index(reports: Path) -> int:
    """Read every run's folder below REPORTS and write REPORTS/index.html: runs, filters, trends, changes of level."""
    path, archive = write_index(reports)
    left = f", {len(archive.left_out)} left out" if archive.left_out else ""
    click.echo(f"{len(archive.runs):,} runs{left}: {path}")
    for trend in archive.trends:
        for change in trend.changes:
            run = trend.runs[change.at]
            levels = f"{change.before:.4g} → {change.after:.4g}"
            click.echo(f"changed   {trend.scenario} on {trend.stack}: {change.quantity} {levels} since {run.run_id}")
    return 0


@click.command(short_help="What changed between two runs, and can the data tell?")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--format", "name", type=click.Choice(["text", "md", "html"]), default="text", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write into this file.")
def compare(a: Path, b: Path, name: str, out: Path | None) -> int:
    """Compare the judged runs in the folders A and B: what was set up otherwise, and B minus A with intervals."""
    from harness.render import comparison as render  # here, since rendering takes half a second to import

    written = {
        "text": render.to_comparison_text,
        "md": render.to_comparison_markdown,
        "html": render.to_comparison_html,
    }
    text = written[name](compare_runs(a, b))
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(out)
    return 0


@click.command(short_help="Write a run as CSV, Parquet, OpenMetrics, JUnit or Markdown.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--to", "kind", type=click.Choice(list(FORMATS)), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Default: into the folder.")
def export(folder: Path, kind: str, out: Path | None) -> int:
    """Write a run for other tools: its requests (csv, parquet) or its verdict (openmetrics, junit, markdown).

    The columns of the requests are those of requests.parquet; each metric says in its HELP line what it is.
    """
    path = folder / FORMATS[kind][0] if out is None else out
    export_run(folder, kind, path)
    click.echo(path)
    return 0


@click.command(short_help="Remove old runs; says what it would remove unless --yes.")
@REPORTS
@click.option("--days", type=click.FloatRange(min=0), default=None, help="Keep runs younger than this.")
@click.option("--keep", type=click.IntRange(min=0), default=None, help="Keep the latest so many.")
@click.option("--max-gb", type=click.FloatRange(min=0), default=None, help="Keep the latest, up to this size in all.")
@click.option("--yes", is_flag=True, help="Really remove them.")
def prune(reports: Path, days: float | None, keep: int | None, max_gb: float | None, yes: bool) -> int:
    """Remove run folders below REPORTS by age, number or size; a run goes when any limit says so.

    Never removed: a run that is still going on, one that left a fault unhealed, and a folder that no run made.
    """
    if days is None and keep is None and max_gb is None:
        raise click.UsageError("say what to keep: --days, --keep or --max-gb")
    size_bytes = None if max_gb is None else round(max_gb * GB)
    registry = Registry(registry_folder(os.environ))
    now_s = datetime.fromisoformat(SystemClock().wall()).timestamp()
    remove_it = remove if yes else _only_say
    policy = Policy(days, keep, size_bytes)
    gone, runs, errors = prune_runs(reports, policy, registry, now_s, remove_it)
    for run in gone:
        click.echo(f"{'removed' if yes else 'would go'}  {_size(run.size_bytes):>9}  {run.path}")
    for run in runs:
        if run.kept_since:
            click.echo(f"kept      {_size(run.size_bytes):>9}  {run.path}: {run.kept_since}")
    for error in errors:
        click.echo(f"  {error}", err=True)
    freed = _size(sum(run.size_bytes for run in gone))
    click.echo(f"{len(gone)} of {len(runs)} runs, {freed}" + ("" if yes or not gone else "; say --yes to remove them"))
    return 2 if errors else 0


def _only_say(run: StoredRun) -> None:
    """What a dry run does."""


def _size(size_bytes: float) -> str:
    return f"{size_bytes / GB:.2f} GB" if size_bytes >= GB else f"{size_bytes / 1e6:.1f} MB"
