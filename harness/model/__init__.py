"""The nouns: what a scenario, a plan, a history and a verdict are. No input or output happens here."""
