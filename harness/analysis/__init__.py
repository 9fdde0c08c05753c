"""From a history to a verdict: pure. The same history gives the same verdict, now or in a year."""
