"""A scripted target in memory, for exact tests in milliseconds."""
