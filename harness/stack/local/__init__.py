"""The reference target as processes of this machine."""
