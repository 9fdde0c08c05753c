"""The load: one child process sends every request at its planned time, whatever the target does.

driver (in the harness) -> child (Locust, gevent) -> log file -> driver. Locust and gevent are imported
by `conductor`, `greenlets` and `exchange` only, and these run in the child alone.
"""
