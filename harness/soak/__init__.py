"""Thirty days in a night: from measured trials and declared rates to a projected month. Pure."""
