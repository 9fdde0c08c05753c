"""Options from the environment: one rule, made from the parser, so that no option is left out.

`--retry-share` of a program with the prefix `TARGET_GATEWAY` is `TARGET_GATEWAY_RETRY_SHARE`. The command line goes
before the environment, the environment before a named protection, a protection before the defaults.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Repeated", "parse_with_environment", "variable"]

RULE = (
    "Every option is also an environment variable: {example}. The command line goes before the environment, the "
    "environment before --protection. An option without a value takes on or off; one that may be repeated takes its "
    "values with spaces between."
)


class Repeated(argparse.Action):
    """An option that may be repeated; on the command line it replaces what the environment says, as all others do."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = getattr(namespace, self.dest)
        # A tuple is a default, or the environment's; a list has grown here.
        setattr(namespace, self.dest, [*(given if isinstance(given, list) else ()), values])


def variable(prefix: str, action: argparse.Action) -> str:
    """The name of an option's variable."""
    return f"{prefix}_{action.option_strings[-1].lstrip('-').replace('-', '_').upper()}"


def parse_with_environment(
    parser: argparse.ArgumentParser,
    prefix: str,
    protections: Mapping[str, Mapping[str, Any]],
    argv: Sequence[str] | None,
    environ: Mapping[str, str],
) -> argparse.Namespace:
    """Read command line and environment; exits with 2 and the option's or the variable's name on a usage error.

    The parser must have `--protection`, a name of `protections`.
    """
    options = {variable(prefix, action): action for action in _options(parser)}
    example = next((f"{a.option_strings[-1]} is {name}" for name, a in options.items() if not a.required), prefix)
    parser.epilog = RULE.format(example=example)
    given = _given(parser, prefix, options, environ)
    # In the namespace, and not as defaults: --help shows those, and a variable may be a secret.
    chosen = parser.parse_args(argv, argparse.Namespace(**given)).protection
    # A named protection replaces defaults, so whatever else is said goes before it.
    parser.set_defaults(**protections[chosen])
    return parser.parse_args(argv, argparse.Namespace(**given))


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    # There is no public way to list them.
    return [each for each in parser._actions if each.option_strings and each.dest != "help"]


def _given(
    parser: argparse.ArgumentParser, prefix: str, options: Mapping[str, argparse.Action], environ: Mapping[str, str]
) -> dict[str, Any]:
    given = {}
    for name in sorted(name for name in environ if name.startswith(f"{prefix}_")):
        if name not in options:
            near = difflib.get_close_matches(name, options, n=1)
            parser.error(f"{name}: there is no such option" + (f"; did you mean {near[0]}?" if near else ""))
        action = options[name]
        try:
            given[action.dest] = _value(action, environ[name])
        except argparse.ArgumentTypeError as error:
            parser.error(f"{name}: {error}")
        except (TypeError, ValueError):
            kind = getattr(action.type, "__name__", "value")
            parser.error(f"{name}: invalid {kind}: {environ[name]!r}")
        action.required = False
    return given


def _value(action: argparse.Action, text: str) -> Any:
    if isinstance(action, Repeated):
        return tuple(_one(action, each) for each in text.split())
    if action.nargs == 0:
        if text not in ("on", "off"):
            raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
        return action.const if text == "on" else action.default
    return _one(action, text)


def _one(action: argparse.Action, text: str) -> Any:
    value = action.type(text) if callable(action.type) else text
    if action.choices is not None and value not in action.choices:
        known = ", ".join(map(str, action.choices))
        raise argparse.ArgumentTypeError(f"{text!r} is none of {known}")
    return value
