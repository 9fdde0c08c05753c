"""Would an episode have paged? Burn rates over a long and a short window, as on-call teams alert.

Source: Google SRE Workbook, chapter 5 (Alerting on SLOs), several windows and burn rates; for a 30-day budget.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.soak_trials import Trial

__all__ = ["TIERS", "Tier", "raised"]

BAD_MIN = 10.0  # bad requests that the threshold stands for; fewer, and one request decides


@dataclass(frozen=True)
class Tier:
    """Raised when both windows burn at least `burn_rate` times as fast as the budget lasts."""

    name: str
    burn_rate: float
    long_s: float
    short_s: float


TIERS = (
    Tier("page in 1 h", 14.4, 3600.0, 300.0),
    Tier("page in 6 h", 6.0, 21_600.0, 1800.0),
    Tier("ticket in 1 d", 3.0, 86_400.0, 7200.0),
    Tier("ticket in 3 d", 1.0, 259_200.0, 21_600.0),
)


def raised(cost_s: float, trial: Trial, slo: float, rate_per_s: float) -> dict[str, bool | None]:
    """Tier -> whether an episode that costs `cost_s` seconds of full outage would have raised it.

    None: at this rate fewer than 10 lost requests stand for the threshold, so nothing is concluded. What was lost is
    taken as spread over the downtime, so a short window sees at most its share of it.
    """
    found: dict[str, bool | None] = {}
    for tier in TIERS:
        least = tier.burn_rate * (1 - slo)
        if least * tier.short_s * rate_per_s < BAD_MIN:
            found[tier.name] = None
            continue
        in_short = cost_s * min(1.0, tier.short_s / max(trial.downtime_s, 1e-9))
        found[tier.name] = cost_s / tier.long_s >= least and in_short / tier.short_s >= least
    return found
