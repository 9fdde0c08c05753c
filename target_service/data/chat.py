"""Short open-domain questions with one right answer each, long enough to stream."""

from __future__ import annotations

__all__ = ["FACTS", "SYSTEM"]

SYSTEM = "You are a helpful assistant."

# question, answer; each answer is 6 to 16 tokens of the tiny tokenizer.
FACTS = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is the capital of Italy?", "The capital of Italy is Rome, an old city."),
    ("What is the capital of Japan?", "Tokyo is the capital of Japan."),
    ("What color is the sky?", "The sky is blue by day and black at night."),
    ("How many days are in a week?", "There are seven days in one week."),
    ("How many legs does a spider have?", "A spider has eight legs, two more than an insect."),
    ("What do bees make?", "Bees make honey from the flowers they visit."),
    ("What is two plus two?", "Two plus two is four."),
    ("Who wrote Hamlet?", "Hamlet was written by William Shakespeare in London."),
    ("What is frozen water called?", "Frozen water is called ice, and it floats."),
    ("Which planet is the largest?", "Jupiter is the largest planet near our sun."),
    ("What is the fastest land animal?", "The cheetah is the fastest animal on land."),
    ("At what temperature does water boil?", "Water boils at one hundred degrees at sea level."),
    ("What does a cat say?", "A cat says meow, and a dog says woof."),
    ("When does the sun rise?", "The sun rises in the morning and sets in the evening."),
    ("What gas do plants need?", "Plants need carbon dioxide, water and light to grow."),
)
