"""Containers through the engine, ours or somebody else's: how they are found, reached, broken and healed."""
