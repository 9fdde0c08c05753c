"""What a run's own Prometheus is told to scrape. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["SCRAPE_EVERY_S", "command", "scrape_config"]

SCRAPE_EVERY_S = 1  # a fault lasts seconds: the usual 15 s would miss it
# All samples of a block are held in memory until it is written. Two hours of them, the usual, would make every real run
# look as if its instrument leaked; a block of minutes makes it flat, and the rules' hour is read from disk.
BLOCK = "5m"


def scrape_config(sources: Mapping[str, str], rule_files: Sequence[Path] = ()) -> str:
    """Name of each source -> `host:port`; each becomes the `instance` of its series. JSON, which is YAML too."""
    return json.dumps(
        {
            "global": {
                "scrape_interval": f"{SCRAPE_EVERY_S}s",
                "scrape_timeout": f"{SCRAPE_EVERY_S}s",
                "evaluation_interval": f"{SCRAPE_EVERY_S}s",
            },
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [
                {
                    "job_name": "target",
                    "static_configs": [
                        {"targets": [address], "labels": {"instance": name}} for name, address in sources.items()
                    ],
                }
            ],
        },
        indent=1,
    )


def command(program: str, config: Path, data: Path, port: int) -> tuple[str, ...]:
    """Its command line: on loopback, without a word to anybody else, bounded on disk."""
    return (
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.size=256MB",
        f"--storage.tsdb.min-block-duration={BLOCK}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    )
