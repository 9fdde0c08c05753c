"""`python -m target_service.releases ROOT VERB`: publish, switch, roll back, archive, back up and roll out a model.

Exit codes: 0 done or up to date, 1 it could not be done and nothing served has changed, 2 usage, 3 an update is there,
4 a roll-out failed and was rolled back.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

from target_service.protocol.secret import read_secrets
from target_service.releases.backup import BackupPace, back_up, keep_backing_up
from target_service.releases.fleet import HttpFleet
from target_service.releases.isolation import GatewayIsolation
from target_service.releases.rollout import Pace, roll_out, serve_from
from target_service.releases.store import CURRENT, PREVIOUS, ReleaseError, Store
from target_service.releases.updates import changed_files

__all__ = ["main"]

UPDATE, ROLLED_BACK = 3, 4
DAY_S = 86_400.0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m target_service.releases", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("root", metavar="ROOT", type=Path, help="folder of the releases and of the link `current`")
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, formatter_class=parser.formatter_class)

    publish = verb("publish", "copy a model folder into a new, read-only release; nothing is switched")
    publish.add_argument("source", type=Path)
    publish.add_argument("tag")
    verb("verify", "compare a release with its manifest").add_argument("tag", nargs="?", help="default: current")
    verb("switch", "verify a release and let `current` lead to it").add_argument("tag")
    verb("rollback", "let `current` lead to the release before it")
    verb("archive", "put away releases that no link leads to")
    verb("status", "which releases there are and which is served")
    check = verb("check-update", "compare `current` with a folder or another store; exit 3: it differs")
    check.add_argument("source", type=Path)
    check.add_argument("--ref", help="a tag of the other store; default: its current")
    _add_backup(verb("backup", "copy what is served into another store, verified; once, or every so often"))
    verb("serve-from", "make a link for each replica, ROOT/current.NAME").add_argument("replica", nargs="+")
    _add_roll_out(verb("roll-out", "a release to one replica after the other, observed, rolled back if it fails"))
    return parser


def _add_backup(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("elsewhere", type=Path, help="folder of the snapshots: a store again, best on another disk")
    add("--keep", type=_at_least_one, default=3, help="how many snapshots stay")
    add("--every-s", type=float, help="go on until stopped, with so long between two; default: once")


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _address(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not (name and equals and address.rpartition(":")[2].isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=HOST:PORT, as in standby=127.0.0.1:8002")
    return name, address


def _add_roll_out(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("tag")
    add("--replica", action="append", required=True, type=_address, metavar="NAME=HOST:PORT", help="standby first")
    add(
        "--restart", required=True, metavar="COMMAND", help="restarts {replica}, e.g. 'supervisorctl restart {replica}'"
    )
    add("--gateway", metavar="HOST:PORT", help="takes users away from each replica before its restart")
    add("--admin-token-file", type=Path, metavar="FILE", help="the gateway's token, on a line of its own")
    add("--observe-s", type=float, default=DAY_S, help="how long each replica is observed before the next one")
    add("--ready-within-s", type=float, default=300.0)
    add("--every-s", type=float, default=5.0, help="between two looks at a replica")


def _status(store: Store) -> list[str]:
    links = sorted(path.name for path in store.root.iterdir() if path.is_symlink() and path.name[0] != ".")
    lines = []
    for tag in store.tags():
        try:
            store.verify(tag)
            state = "whole"
        except ReleaseError as error:
            state = str(error)
        leading = [link for link in links if store.linked(link) == tag]
        lines.append(f"{tag}: {state}" + (f"  <- {', '.join(leading)}" if leading else ""))
    lines += [f"{tag}: archived" for tag in store.archived()]
    if os.geteuid() == 0:
        lines.append("note: this user is root, whom read-only modes do not stop; the manifest still finds a change")
    return lines


def _do(args: argparse.Namespace, store: Store) -> tuple[int, list[str]]:
    if args.verb == "publish":
        return 0, [f"published {store.publish(args.source, args.tag)}"]
    if not store.root.is_dir():
        raise ReleaseError(f"{store.root} is not a folder; `publish` makes it.")
    if args.verb == "verify":
        tag = args.tag or store.linked(CURRENT)
        if tag is None:
            raise ReleaseError(f"{store.root} has no {CURRENT}; name a release.")
        store.verify(tag)
        return 0, [f"{tag} is whole"]
    if args.verb == "switch":
        store.switch(args.tag)
        return 0, [f"{CURRENT} leads to {args.tag}, {PREVIOUS} to {store.linked(PREVIOUS)}"]
    if args.verb == "rollback":
        return 0, [f"{CURRENT} leads to {store.rollback()}"]
    return _do_more(args, store)


def _do_more(args: argparse.Namespace, store: Store) -> tuple[int, list[str]]:
    if args.verb == "archive":
        return 0, [f"archived: {', '.join(store.archive()) or 'nothing'}"]
    if args.verb == "status":
        return 0, _status(store)
    if args.verb == "serve-from":
        serve_from(store, args.replica)
        return 0, [f"each replica has its link: {', '.join(args.replica)}"]
    if args.verb == "backup":
        return 0, _back_up(store, Store(args.elsewhere), args)
    if args.verb == "check-update":
        changed = changed_files(store, args.source, args.ref)
        return (UPDATE, [f"update: {', '.join(changed)} differ"]) if changed else (0, ["up to date"])
    addresses = dict(args.replica)
    fleet = HttpFleet(store.root, addresses, args.restart, gateway=_gateway(args))
    pace = Pace(args.observe_s, args.ready_within_s, args.every_s, time.monotonic, time.sleep, _say)
    problem = roll_out(store, args.tag, list(addresses), fleet, pace)
    return (ROLLED_BACK, [problem]) if problem else (0, [f"every replica serves {args.tag}"])


def _gateway(args: argparse.Namespace) -> GatewayIsolation | None:
    if (args.gateway is None) is not (args.admin_token_file is None):
        raise ReleaseError("--gateway and --admin-token-file need each other.")
    if args.gateway is None:
        return None
    try:
        return GatewayIsolation(args.gateway, read_secrets(args.admin_token_file, "--admin-token-file")[0])
    except ValueError as error:
        raise ReleaseError(str(error)) from error


def _back_up(store: Store, elsewhere: Store, args: argparse.Namespace) -> list[str]:
    if args.every_s is None:
        return [back_up(store, elsewhere, args.keep)]
    with contextlib.suppress(KeyboardInterrupt):
        keep_backing_up(store, elsewhere, args.keep, BackupPace(args.every_s, time.sleep, _say))
    return []


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    args = _arguments().parse_args(argv)
    try:
        code, lines = _do(args, Store(args.root))
    except (ReleaseError, OSError) as error:
        sys.stderr.write(f"releases: {error}\n")
        return 1
    for line in lines:
        _say(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
