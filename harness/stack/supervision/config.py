"""The configuration of a run's supervisord, as text. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import StackError

__all__ = ["GROUP", "Program", "configuration", "stop_wait_s_of"]

GROUP = "target"  # one group, so that a shutdown stops all programs at once instead of one after the other


LEFT_TO_OTHERS = {"autorestart": "false", "startsecs": "0", "startretries": "0"}
RESTARTS: Mapping[str, Mapping[str, str]] = {
    # The event listener hears of every exit, those of the first second included, and restarts. No status is expected.
    "budget": {**LEFT_TO_OTHERS, "exitcodes": ""},
    # As the Chord service's manual has it: for ever, whatever the exit; startretries counts early deaths only.
    "always": {"autorestart": "true", "startsecs": "1", "startretries": "10", "stopwaitsecs": "30"},
    "unexpected": {"autorestart": "unexpected", "startsecs": "1", "startretries": "10", "exitcodes": "0"},
    "never": LEFT_TO_OTHERS,
    "cron-script": LEFT_TO_OTHERS,
    "retry-script": LEFT_TO_OTHERS,
    "kept": {"autorestart": "true", "startsecs": "0", "startretries": "10"},
}
"""Who restarts a program -> what supervisord is told of it."""


@dataclass(frozen=True)
class Program:
    """One supervised process. `restarts`: who restarts it, a key of RESTARTS."""

    name: str
    argv: tuple[str, ...]
    restarts: str = "budget"
    normal_exit_codes: tuple[int, ...] | None = None  # None: as that supervisor has them


def configuration(
    programs: Sequence[Program], listener: Program, *, folder: Path, socket: Path, stop_wait_s: int
) -> str:
    """supervisord.conf: logs in `folder`, control at the unix socket `socket`."""
    sections = [
        _section("unix_http_server", {"file": str(socket), "chmod": "0700"}),
        _section(
            "supervisord",
            {
                "nodaemon": "true",
                "logfile": str(folder / "supervisord.log"),
                "logfile_maxbytes": "20MB",
                "logfile_backups": "1",
                "loglevel": "info",
                "pidfile": str(folder / "supervisord.pid"),
                "childlogdir": str(folder),
                "nocleanup": "true",
                "minfds": "256",  # each child closes as many descriptors before it starts
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_program(program, folder, stop_wait_s) for program in programs),
        _section(f"group:{GROUP}", {"programs": ",".join(program.name for program in programs)}),
        _section(
            f"eventlistener:{listener.name}",
            {
                "command": shlex.join(listener.argv),
                "events": "PROCESS_STATE",
                "buffer_size": "1000",
                "autorestart": "true",
                "startretries": "10",
                "startsecs": "0",  # no events are sent before it counts as running
                "stdout_logfile": "NONE",
                "stderr_logfile": "NONE",  # its stderr only wakes supervisord, see restart_budget.py
            },
        ),
    ]
    return "\n".join(sections)


def stop_wait_s_of(restarts: str, stop_wait_s: int) -> int:
    """Seconds from SIGTERM to SIGKILL: what that supervisor's document says, else `stop_wait_s`."""
    return int(RESTARTS[restarts].get("stopwaitsecs", stop_wait_s))


def _program(program: Program, folder: Path, stop_wait_s: int) -> str:
    told = {"stopwaitsecs": str(stop_wait_s), **RESTARTS[program.restarts]}
    if program.normal_exit_codes is not None and program.restarts == "unexpected":
        told["exitcodes"] = ",".join(str(code) for code in program.normal_exit_codes)
    return _section(
        f"program:{program.name}",
        {
            "command": shlex.join(program.argv),
            **told,
            "stopsignal": "TERM",
            "stopasgroup": "true",
            "killasgroup": "true",
            "stdout_logfile": str(folder / f"{program.name}.out.log"),
            "stderr_logfile": str(folder / f"{program.name}.err.log"),
            "stdout_logfile_maxbytes": "10MB",
            "stderr_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "1",
            "stderr_logfile_backups": "1",
        },
    )


def _section(name: str, values: dict[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {_value(key, value)}" for key, value in values.items())]) + "\n"


def _value(key: str, value: str) -> str:
    if any(mark in value for mark in ("\n", "\r", " ;", " #", "\t;", "\t#")):
        raise StackError(f"supervisord cannot be told {key} = {value!r}: avoid line breaks and ' ;' or ' #' in paths")
    return value.replace("%", "%%")  # % begins an expansion
