"""The command line: one verb per arrow of the pipeline."""

from harness.cli.main import main

__all__ = ["main"]
