"""Many experiments for one answer."""
