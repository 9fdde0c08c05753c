"""A TCP proxy between users and the target. It stands alone: nothing else of the harness is imported here."""
