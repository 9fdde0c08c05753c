"""Where the target runs, and what can be done to it there."""
