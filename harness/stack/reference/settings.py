"""How the local stack starts its target: every command line, as data. Pure."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.stack.base import RunContext
from harness.stack.reference.wiring import Wires, gateway_options, replica_options, routes
from harness.stack.supervision.config import Program

__all__ = ["HOST", "LINKS", "PORTS", "PROXIES", "REPLICAS", "GatewayFiles", "LocalSettings", "Ports", "PrivateFiles",
           "gateway_files", "laid_out", "private_files", "proxies", "proxy_seed", "target_programs"]  # fmt: skip

HOST = "127.0.0.1"
PROXIES = "proxies.json"
LOGS = "logs"  # access, error and performance logs of the target
REPLICAS = ("primary", "standby")
LINKS: Mapping[str, str] = {
    "gateway": "from the users to the gateway",
    **{name: f"from the gateway to {name}" for name in REPLICAS},
}


@dataclass(frozen=True)
class Ports:
    """Where each server listens on 127.0.0.1, and where the proxy listens for it."""

    replicas: Mapping[str, int]
    gateway: int
    links: Mapping[str, int]  # name of the server that the link leads to -> where its proxy listens
    proxy_api: int

    def all(self) -> tuple[int, ...]:
        return (*self.servers.values(), *self.links.values(), self.proxy_api)

    @property
    def servers(self) -> Mapping[str, int]:
        """Replicas and gateway."""
        return {**self.replicas, "gateway": self.gateway}

    def url(self, name: str) -> str:
        """Of a replica or the gateway itself, past the proxy."""
        return f"http://127.0.0.1:{self.servers[name]}"

    def through(self, link: str) -> str:
        """Of the link's proxy, which is what clients of that server use."""
        return f"http://127.0.0.1:{self.links[link]}"


PORTS = len(REPLICAS) + len(LINKS) + 2


def laid_out(ports: Sequence[int]) -> Ports:
    """Which of so many free ports is whose."""
    n = len(REPLICAS)
    of_replicas, (gateway, proxy_api), of_links = ports[:n], ports[n : n + 2], ports[n + 2 :]
    return Ports(
        dict(zip(REPLICAS, of_replicas, strict=True)), gateway, dict(zip(LINKS, of_links, strict=True)), proxy_api
    )


@dataclass(frozen=True)
class PrivateFiles:
    """What only this run may know; the folder is nobody else's to read."""

    folder: Path

    @property
    def token(self) -> Path:
        """What opens the replicas' fault endpoints."""
        return self.folder / "faults-token"

    def start_options(self, replica: str) -> Path:
        """More options for the replica's next start, one a line."""
        return self.folder / f"start-{replica}.args"

    @property
    def register_token(self) -> Path:
        """What lets replicas register with the gateway."""
        return self.folder / "register-token"


@dataclass(frozen=True)
class GatewayFiles:
    """The same for the gateway, which may not know what opens the replicas' fault endpoints."""

    folder: Path

    @property
    def register_token(self) -> Path:
        """What replicas must show."""
        return self.folder / "register-token"

    @property
    def api_keys(self) -> Path:
        """What users must show."""
        return self.folder / "api-keys"


def private_files(stack_folder: Path) -> PrivateFiles:
    """Where they lie in the stack's folder of a run."""
    return PrivateFiles(stack_folder / "private")


def gateway_files(stack_folder: Path) -> GatewayFiles:
    """The gateway's, beside them."""
    return GatewayFiles(stack_folder / "private-gateway")


@dataclass(frozen=True)
class LocalSettings:
    """The target's programs and how they are supervised.

    `niceness`: the target yields to the load generator on the same host, which has to keep time; it gets all that is
    left of the processors, and in baseline, fault and recovery alike. The proxy belongs to the instrument and is not
    niced.
    """

    replica_command: tuple[str, ...] = (sys.executable, "-m", "target_service.replica")
    gateway_command: tuple[str, ...] = (sys.executable, "-m", "target_service.gateway")
    proxy_command: tuple[str, ...] = (sys.executable, "-m", "harness.toxics")
    proxy_is_ours: bool = True  # False: the official Toxiproxy, which knows only its own flags and toxics
    service_faults: bool = True  # the replicas take --faults-token-file and @FILE, which holds more options
    access_logs: bool = True  # replicas and gateway take --log-dir, and write into the run's folder `stack/logs`
    replica_args: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # replica -> more arguments
    gateway_args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)  # switches of the target: replicas and gateway
    required_modules: tuple[str, ...] = ("torch", "transformers")  # of the target; looked for, never imported
    prometheus: str = ""  # a program, of which the run starts one of its own if it is there
    niceness: int = 5
    stop_wait_s: int = 5  # from SIGTERM to SIGKILL when a program is restarted


def proxies(ports: Ports) -> list[dict[str, object]]:
    """What a Toxiproxy is to set up, as its configuration file says it."""
    return [
        {"name": name, "listen": f"{HOST}:{port}", "upstream": f"{HOST}:{ports.servers[name]}", "enabled": True}
        for name, port in ports.links.items()
    ]


def target_programs(
    settings: LocalSettings, ports: Ports, models: Mapping[str, Path], golden: Path, run: RunContext
) -> list[Program]:
    """Replicas, gateway and proxy."""
    wanted = run.target
    normal = wanted.supervision.normal_exit_codes
    logs = ["--log-dir", str(run.stack_folder / LOGS)] if settings.access_logs else []
    wires = _wires(ports, run)

    def replica(name: str) -> list[str]:
        opened, at_start = _faults(settings, name, run)
        placed = _replica(settings, name, ports, models[name])
        return [*placed, *logs, *opened, *replica_options(wanted, name, wires), *at_start]

    replicas = [
        Program(
            name,
            _as_target(settings, replica(name)),
            wanted.supervised_by,
            None if normal is None else tuple(normal),
        )
        for name in ports.replicas
    ]
    placed = ["--port", str(ports.gateway), *routes(wanted, wires), "--golden", str(golden), *logs]
    gateway = [*settings.gateway_command, *placed, *settings.gateway_args, *gateway_options(wanted, wires)]
    return [
        *replicas,
        Program("gateway", _as_target(settings, gateway)),
        Program("proxy", _proxy(settings, ports, run)),
    ]


def _faults(settings: LocalSettings, replica: str, run: RunContext) -> tuple[list[str], list[str]]:
    """What opens its fault endpoints, by a file since everybody can read a command line; and what its starts add."""
    if not settings.service_faults:
        return [], []
    files = private_files(run.stack_folder)
    return ["--faults-token-file", str(files.token)], [f"@{files.start_options(replica)}"]


def _wires(ports: Ports, run: RunContext) -> Wires:
    replicas, gateway = private_files(run.stack_folder), gateway_files(run.stack_folder)
    return Wires(
        replicas={name: ports.url(name) for name in ports.replicas},
        links={name: ports.through(name) for name in ports.replicas},
        gateway=ports.url("gateway"),
        register_token=str(replicas.register_token),
        gateway_register_token=str(gateway.register_token),
        api_keys=str(gateway.api_keys),
    )


def _proxy(settings: LocalSettings, ports: Ports, run: RunContext) -> tuple[str, ...]:
    """It draws from the run's seed. Ours also says the run's id to whoever asks whose it is."""
    seed = proxy_seed(run.seed)
    common = (*settings.proxy_command, "-host", HOST, "-port", str(ports.proxy_api), "-seed", seed)
    if not settings.proxy_is_ours:
        return (*common, "-config", str(run.stack_folder / PROXIES))
    made = [
        part
        for one in proxies(ports)
        for part in ("--proxy", str(one["name"]), str(one["listen"]), str(one["upstream"]))
    ]
    return (*common, "-instance", run.label, *made)


def proxy_seed(seed: str) -> str:
    """A run's seed as the number that a Toxiproxy takes."""
    return str(zlib.crc32(seed.encode()))


def _replica(settings: LocalSettings, name: str, ports: Ports, model: Path) -> list[str]:
    placed = ["--model", str(model), "--port", str(ports.replicas[name]), "--name", name]
    return [*settings.replica_command, *placed, *settings.replica_args.get(name, ())]


def _as_target(settings: LocalSettings, command: Sequence[str]) -> tuple[str, ...]:
    """`env` and `nice` replace themselves by the program, so its pid is the server's."""
    switches = [f"{key}={value}" for key, value in settings.environment.items()]
    environment = ["env", *switches] if switches else []
    nice = ["nice", "-n", str(settings.niceness)] if settings.niceness else []
    return (*environment, *nice, *command)
