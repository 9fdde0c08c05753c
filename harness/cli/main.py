"""`harness`: the verbs, and how an error becomes a sentence and an exit code."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Any

import click

import harness
from harness.cli.defects import defect_sentence
from harness.cli.recovery import clean_up_after_the_dead
from harness.model.errors import HarnessError

__all__ = ["main"]

PASS, FAIL, USAGE, INCONCLUSIVE = 0, 1, 2, 3
SEES_TO_THE_DEAD = ("stop", "undo")  # they say themselves what is to be done about a dead run


VERBS = {  # in the order in which a newcomer needs them: where each is, which is loaded when it is asked for
    "run": "runs:run",
    "plan": "runs:plan",
    "check": "runs:check",
    "faults": "look:faults",
    "judge": "runs:judge",
    "report": "runs:report",
    "explain": "look:explain",
    "shrink": "shrink:shrink_run",
    "health": "health:health",
    "stop": "recovery:stop",
    "undo": "recovery:undo",
    "doctor": "look:doctor",
    "images": "images:images",
    "init": "init:init",
    "soak": "soak:soak",
    "index": "archive:index",
    "compare": "archive:compare",
    "prune": "archive:prune",
    "watch": "watch:watch",
    "export": "archive:export",
    "objectives": "objectives:objectives",
}


class Verbs(click.Group):
    """Suggests a verb for a mistyped one, and loads no other verb than the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        command = getattr(importlib.import_module(f"harness.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], VERBS, n=1) if args else []
            if close:
                raise click.UsageError(f"{error.message} Did you mean '{close[0]}'?", ctx) from error
            raise


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(harness.__version__, prog_name="harness")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """What do the users of an AI inference service lose when things break, and for how long?

    \b
    harness doctor                            what this machine can do
    harness plan scenarios/death-and-supervision/kill-primary.yaml  what would happen, before anything is touched
    harness run scenarios/death-and-supervision/kill-primary.yaml   break it, measure, judge, report

    Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive. Of several scenarios the worst counts (1 before 3 before 0).

    Every command first cleans up after runs that have died.
    """
    if ctx.invoked_subcommand not in SEES_TO_THE_DEAD:
        clean_up_after_the_dead()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(call(arguments))


def call(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. An error is one sentence on stderr, never a traceback."""
    try:
        code: Any = cli.main(args=arguments, prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.exceptions.Abort:
        click.echo("harness: interrupted", err=True)
        return INCONCLUSIVE
    except HarnessError as error:
        click.echo(f"harness: {error}", err=True)
        return error.exit_code
    except (BrokenPipeError, KeyboardInterrupt):
        return INCONCLUSIVE
    except Exception as error:  # noqa: BLE001  a defect of ours is still no reason to show a traceback at night
        click.echo(f"harness: {defect_sentence(error)}", err=True)
        return INCONCLUSIVE
    return code if isinstance(code, int) else PASS
