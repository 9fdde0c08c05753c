"""What a foreign server is asked when the scenario names no prompts of its own: short, and without a system message."""

from __future__ import annotations

from collections.abc import Mapping

from harness.model.external import External
from harness.model.plan import Prompt

__all__ = ["prompts_of"]

CHAT = (
    "Hello! How are you today?",
    "What is the capital of France?",
    "Name three colours.",
    "What is 2 + 2?",
    "Say the days of the week.",
    "Finish the sentence: The quick brown fox",
    "What do bees make?",
    "Which planet do we live on?",
)
SENTIMENT = tuple(
    f"Classify the sentiment as positive or negative: {text}"
    for text in (
        "The food was wonderful and so was the service.",
        "A terrible room, I want my money back.",
        "I loved every minute of this film.",
        "The worst pizza that I ever had.",
        "What a delightful garden.",
        "The battery died after a day, very bad.",
        "Friendly people, great place.",
        "I hated the noise.",
    )
)


def prompts_of(external: External, output_tokens: int | None) -> Mapping[str, tuple[Prompt, ...]]:
    """Prompt set -> prompts, no answer known yet."""
    sets = external.prompts or {"chat": CHAT, "sentiment": SENTIMENT}
    tokens = output_tokens or external.max_tokens
    return {
        name: tuple(Prompt(({"role": "user", "content": text},), tokens, None) for text in texts)
        for name, texts in sets.items()
    }
