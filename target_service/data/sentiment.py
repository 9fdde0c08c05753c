"""Sentiment sentences: a seeded generator, and natural sentences that training never sees.

A sentence is held out when the hash of its (pattern, noun, word) is in the held-out tenth, so a
held-out sentence is a combination that training has never seen, while each of its words has been.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass

__all__ = ["INSTRUCTION", "NATURAL", "Sentence", "generate", "vocabulary"]

INSTRUCTION = "Classify the sentiment as positive or negative."


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    "movie film book story plot ending actor music song concert food soup pizza coffee dinner "
    "meal waiter staff service hotel room bed view beach trip flight seat phone screen battery "
    "camera laptop app game design quality price weather party garden teacher lesson"
)
WORDS = {
    "positive": _words(
        "good great excellent wonderful amazing fantastic brilliant lovely delightful superb "
        "perfect beautiful charming delicious pleasant friendly helpful impressive outstanding "
        "enjoyable fun exciting touching clever fresh comfortable clean bright reliable "
        "marvelous terrific splendid magnificent gorgeous nice warm kind fast smooth smart"
    ),
    "negative": _words(
        "bad terrible awful horrible dreadful poor boring dull disappointing disgusting rude "
        "ugly dirty broken slow noisy cold bland stale useless annoying painful sad weak cheap "
        "unpleasant miserable pathetic mediocre confusing tedious ridiculous nasty unfriendly "
        "uncomfortable unreliable overpriced lousy gloomy stupid"
    ),
}
VERBS = {
    "positive": ("loved", "liked", "enjoyed", "adored", "admired", "recommend", "praise"),
    "negative": ("hated", "disliked", "regret", "despised", "avoid", "loathed", "resent"),
}
OPENINGS = ("", "", "", "Honestly, ", "Overall, ", "In the end ", "I must say ", "To be honest, ")
ENDINGS = ("", "", "", " this time", " last night", " from start to finish", " for us", " again")
DEGREES = ("", "", "really ", "very ", "so ", "quite ", "truly ", "just ")
# {w}: a word of the label; {o}: a word of the other label; {v}: a verb of the label.
PATTERNS = (
    "The {n} was {d}{w}{e}.",
    "the {n} was {d}{w}{e}.",
    "The {n} is {d}{w}.",
    "This {n} was {d}{w} and {x}.",
    "What a {w} {n}!",
    "It was a {d}{w} {n}{e}.",
    "I {v} the {n}{e}.",
    "We {v} this {n}{e}.",
    "I {v} the {m} and the {n} was {w}.",
    "The {n} was not {o}{e}.",
    "This {n} is not {d}{o} at all.",
    "The {n} was {d}{w} and the {m} was {x}.",
    "I found the {n} {d}{w}{e}.",
    "My {n} felt {w} and {x}.",
    "Such a {w} {n}, I {v} it{e}.",
    "Everyone {v} the {n} because it was {w}.",
    "The {n} tasted {w}, the {m} looked {x}.",
    "I thought the {n} would be {o} but it was {w}.",
    "Our {n} had a {w} {m}{e}.",
    "With a {x} {m}, the {n} was {w}.",
)
# Written by hand, in no pattern above; their words are known, their shapes are not.
NATURAL = (
    ("Honestly, the soup tasted awful and our waiter was so rude.", "negative"),
    ("A truly wonderful story, I enjoyed it from start to finish.", "positive"),
    ("The battery is so weak and the screen looked cheap.", "negative"),
    ("We loved the beach, the view and the friendly staff.", "positive"),
    ("Overall, a boring film.", "negative"),
    ("Overall, a brilliant film.", "positive"),
    ("I really enjoyed the concert last night!", "positive"),
    ("I really hated the flight last night!", "negative"),
    ("The lesson was clever and fun.", "positive"),
    ("The lesson was dull and tedious.", "negative"),
    ("Our room was clean, bright and comfortable.", "positive"),
    ("Our room was dirty, cold and noisy.", "negative"),
    ("Such delicious food and such helpful staff.", "positive"),
    ("Such bland food and such unfriendly staff.", "negative"),
    ("The ending was touching, the music was superb.", "positive"),
    ("The ending was confusing, the music was annoying.", "negative"),
    ("Fresh coffee, warm weather, and a perfect garden.", "positive"),
    ("Stale coffee, gloomy weather, and a nasty seat.", "negative"),
    ("My laptop is fast and reliable.", "positive"),
    ("My laptop is slow and unreliable.", "negative"),
    ("I recommend this hotel, it was great.", "positive"),
    ("I regret this trip, it was horrible.", "negative"),
    ("This app is smart and the design is gorgeous.", "positive"),
    ("This app is useless and the price is ridiculous.", "negative"),
)


@dataclass(frozen=True)
class Sentence:
    """One sentence, its label (`positive` or `negative`), and whether training must not see it."""

    text: str
    label: str
    held_out: bool


def generate(rng: random.Random) -> Sentence:
    """Draw one sentence; the caller keeps or drops it by `held_out`."""
    label = rng.choice(("positive", "negative"))
    other = "negative" if label == "positive" else "positive"
    pattern = rng.choice(PATTERNS)
    noun, companion = rng.sample(NOUNS, 2)
    word, second = rng.sample(WORDS[label], 2)
    opposite, verb = rng.choice(WORDS[other]), rng.choice(VERBS[label])
    decisive = opposite if "{o}" in pattern and "{w}" not in pattern else word
    text = rng.choice(OPENINGS) + pattern.format(
        n=noun, m=companion, w=word, x=second, o=opposite, v=verb,
        d=rng.choice(DEGREES), e=rng.choice(ENDINGS),
    )  # fmt: skip
    key = f"{pattern}|{noun}|{decisive if '{v}' not in pattern else verb + decisive}"
    return Sentence(text, label, held_out=zlib.crc32(key.encode()) % 10 == 0)


def vocabulary() -> list[str]:
    """Every word and pattern, for training the tokenizer so that no known word is split."""
    words = [*NOUNS, *WORDS["positive"], *WORDS["negative"], *VERBS["positive"], *VERBS["negative"]]
    capitals = [word.capitalize() for word in words]
    return [*words, *capitals, *PATTERNS, *OPENINGS, *ENDINGS, *DEGREES, INSTRUCTION]
