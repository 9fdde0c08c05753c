"""Watches logits for NaN and infinity: without it a broken model answers "!!!!" with status 200."""

from __future__ import annotations

import logging
from typing import Literal

from target_service.model.decoding import Generation
from target_service.protocol.errors import RequestRejectedError

__all__ = ["NanGuard", "NanGuardMode"]

log = logging.getLogger(__name__)

NanGuardMode = Literal["off", "count", "abort"]


class NanGuard:
    """Takes a generation's steps; counts non-finite ones, or fails their requests too."""

    def __init__(self, mode: NanGuardMode) -> None:
        self._mode = mode
        self.non_finite_total = 0

    def step(self, generation: Generation) -> int:
        """The next token of a generation alone; raises as `checked` does."""
        try:
            outcome: int | Exception = generation.step()
        except Exception as error:  # noqa: BLE001  raised again below
            outcome = error
        return self.checked(generation, outcome)

    def checked(self, generation: Generation, outcome: int | Exception) -> int:
        """The token that a step gave; raises what it failed with, or RequestRejectedError (500, `non_finite`)."""
        # Also after a step that raised: sampling from NaN does, greedy decoding does not.
        if self._mode != "off" and not generation.logits_finite():
            self._found()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _found(self) -> None:
        self.non_finite_total += 1
        if self.non_finite_total == 1:
            log.error("logits are not finite: the model computes NaN or infinity")
        if self._mode == "abort":
            raise RequestRejectedError(500, "The model computes NaN or infinity.", code="non_finite")
