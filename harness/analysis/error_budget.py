"""What an episode costs of a 30-day error budget. Source: Google SRE Workbook, chapter 5 (Alerting on SLOs)."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.scenario import Scenario

__all__ = ["BURN_RATE_PAGE", "DEFAULT_OBJECTIVE", "BudgetUse", "budget_use", "objective_of", "pages"]

DAYS = 30
DEFAULT_OBJECTIVE = 0.999  # when the scenario names none
BURN_RATE_PAGE = 14.4  # 2 % of a 30-day budget within one hour


@dataclass(frozen=True)
class BudgetUse:
    """Of one lost stretch, against an objective over 30 days at the scenario's rate."""

    objective: float
    budget_requests: float
    used_share: float
    would_page: bool  # the 1-hour window's burn rate would reach 14.4


def objective_of(scenario: Scenario) -> float:
    """The success rate that the scenario claims, as the objective of the error budget."""
    claimed = (claim.min for name, claim in scenario.claim.items() if name.endswith("success_rate") and claim.min)
    return next((low for low in claimed if low < 1), DEFAULT_OBJECTIVE)


def budget_use(lost: float, rate_per_s: float, objective: float) -> BudgetUse:
    """`lost` requests as a share of the (1 - objective) * rate * 30 days that may be lost."""
    budget = (1 - objective) * rate_per_s * DAYS * 86_400
    return BudgetUse(objective, budget, lost / budget, pages(lost, rate_per_s, objective))


def pages(lost: float, rate_per_s: float, objective: float) -> bool:
    """Whether losing `lost` requests within an hour makes the hour's burn rate at least 14.4."""
    return lost / (rate_per_s * 3600) / (1 - objective) >= BURN_RATE_PAGE
