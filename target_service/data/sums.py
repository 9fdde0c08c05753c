"""Sums and differences with a thought that counts its way to the answer, one step at a time.

A pair of numbers is held out when its hash is in the held-out tenth: training never sees it. Numbers are words, each
one token: transformers gives every Qwen2 a tokenizer that takes digits one by one.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

from target_service.protocol.reasoning import CLOSE, OPEN

__all__ = ["SYSTEM", "Sum", "all_sums", "generate"]

SYSTEM = "Think first, then answer."
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
           "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip
SECOND_MAX = 9
# How a question is put, for adding and for taking away.
QUESTIONS = {
    "plus": ("What is {a} plus {b}?", "How much is {a} plus {b}?", "Please add {a} and {b}."),
    "minus": ("What is {a} minus {b}?", "How much is {a} minus {b}?", "Please take from {a} as many as {b}."),
}
STEPS = {"plus": " makes ", "minus": " leaves "}
ANSWERS = {"plus": "The sum of {a} and {b} is {c}.", "minus": "The difference of {a} and {b} is {c}."}


@dataclass(frozen=True)
class Sum:
    """One task: `a` and `b` with `plus` or `minus` between them."""

    sign: str
    a: int
    b: int

    @property
    def held_out(self) -> bool:
        """Whether training must not see it."""
        return zlib.crc32(f"{self.sign}|{self.a}|{self.b}".encode()) % 10 == 0

    @property
    def question(self) -> str:
        """The first way to put it."""
        return self.questions[0]

    @property
    def questions(self) -> tuple[str, ...]:
        """Every way to put it."""
        return tuple(pattern.format(a=NUMBERS[self.a], b=NUMBERS[self.b]) for pattern in QUESTIONS[self.sign])

    @property
    def thought(self) -> str:
        """Counting `b` steps up or down from `a`."""
        direction = 1 if self.sign == "plus" else -1
        counted = [(NUMBERS[step], NUMBERS[self.a + direction * step]) for step in range(1, self.b + 1)]
        steps = (f" {step}{STEPS[self.sign]}{reached}" for step, reached in counted)
        return f"Start at {NUMBERS[self.a]}:{','.join(steps)}."

    @property
    def answer(self) -> str:
        """What the thought comes to."""
        result = self.a + self.b if self.sign == "plus" else self.a - self.b
        return ANSWERS[self.sign].format(a=NUMBERS[self.a], b=NUMBERS[self.b], c=NUMBERS[result])

    @property
    def text(self) -> str:
        """What the model is taught to say."""
        return f"{OPEN}{self.thought}{CLOSE}{self.answer}"


def all_sums() -> list[Sum]:
    """Every task there is; nothing is below zero or above twenty."""
    most = len(NUMBERS) - 1
    pairs = [(a, b) for a in range(most + 1) for b in range(1, SECOND_MAX + 1)]
    return [Sum("plus", a, b) for a, b in pairs if a + b <= most] + [Sum("minus", a, b) for a, b in pairs if a >= b]


def generate(rng: random.Random, sums: list[Sum]) -> tuple[str, Sum]:
    """Draw one task and one way to put it."""
    drawn = rng.choice(sums)
    return rng.choice(drawn.questions), drawn
