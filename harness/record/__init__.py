"""Recording: the clock, the append-only event log, and the journal that is written before anything is done."""
