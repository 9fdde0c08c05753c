"""Every request of months, one by one: what the renewal model cannot see.

`simulate` follows given requests, `simulate_chunks` millions of drawn ones (`draw_chunks`). Queues first come first
served, queue limits, deadlines, retries with their budget, crashes and hangs of replicas that may overlap, a gateway
that sees them late. Not modelled: batches whose speed depends on their size, hedging, breakers, answers in pieces.
"""

from harness.soak.simulator.inputs import Clients, Outage, Service, SimulationError
from harness.soak.simulator.load import RateProfile, ServiceTime, draw_chunks
from harness.soak.simulator.machine import Setup
from harness.soak.simulator.results import OUTCOME_OF, End, Requests, Totals, bucket_edges_s
from harness.soak.simulator.run import simulate, simulate_chunks

__all__ = [
    "OUTCOME_OF",
    "Clients",
    "End",
    "Outage",
    "RateProfile",
    "Requests",
    "Service",
    "ServiceTime",
    "Setup",
    "SimulationError",
    "Totals",
    "bucket_edges_s",
    "draw_chunks",
    "simulate",
    "simulate_chunks",
]
