"""Who starts the local processes again: Supervisor, and what closes its gaps."""
