"""The reference target as a compose project."""
