"""Many experiments for one answer. Effects: everything here starts runs."""
