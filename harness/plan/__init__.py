"""From a scenario's text to a plan: pure, and the same for the same seed."""
