"""Prometheus as a witness beside the users' own record: what is scraped, how it is read, what absence means."""
