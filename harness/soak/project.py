"""Trials and declared rates -> the whole report: a projection calibrated on N verified trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from harness.model.soak import SoakFile
from harness.model.soak_report import HistoryRow, ObjectiveResult, SoakReport
from harness.model.soak_trials import Night
from harness.model.verdict import Finding, VerdictOutcome, worst
from harness.soak.assumption import compression_finding
from harness.soak.backtest import anchor, back_test
from harness.soak.calendar import burn_down, calendars
from harness.soak.describe import describe_types, improvements
from harness.soak.drift import ageing_finding, drift_results, longest_stretch_h, nights_that_age
from harness.soak.latency import merged, quantile_s
from harness.soak.limits import what_it_does_not_show
from harness.soak.months import DAY_S, MONTHS, Months, evaluate, project_months
from harness.soak.objectives import judge_objectives
from harness.soak.overlap import overlap_of_worst
from harness.soak.percentiles import month_percentiles
from harness.soak.regressions import regression_findings
from harness.soak.sample import Sample, sample_of

__all__ = ["project", "seed_of"]

PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE


def project(soak: SoakFile, nights: Sequence[Night], seed: int | None = None) -> SoakReport:
    """Everything that can be said of the month.

    `seed` None: it follows from the trials, so that nobody can shop for one.
    """
    sample = sample_of(soak, nights)
    chosen = seed_of(soak, sample) if seed is None else seed
    months = project_months(soak, sample, chosen, MONTHS)
    objectives = judge_objectives(soak, sample, months)
    real = anchor(sample, nights, chosen)
    anchors = () if real is None else (real,)
    checked = (*back_test(soak, sample, chosen), *anchors, compression_finding(sample, chosen))
    ages = nights_that_age(sample.nights, nights)
    ageing = drift_results(soak, ages)
    worn = ageing_finding(soak, ages, ageing)
    findings = (*_trials(soak, sample), *checked, *worn, *regression_findings(nights, chosen))
    types = describe_types(soak, sample, months)
    doubt = [finding for finding in findings if finding.outcome is INCONCLUSIVE]
    outcome = _outcome(objectives, findings)
    return SoakReport(
        soak=soak.name,
        hypothesis=soak.hypothesis,
        outcome=outcome,
        reason=_reason(outcome, objectives, doubt),
        days=soak.days,
        months=months.size,
        seed=chosen,
        trials=sample.trials,
        thrown_out=sum(one.thrown_out for one in sample.types),
        measured_s=sum(night.duration_s for night in sample.nights),
        requests_per_month=soak.days * DAY_S * soak.load.rate_per_s,
        slo=soak.slo,
        objectives=objectives,
        described=_described(soak, sample, months),
        types=types,
        fault_free_lost_per_month=float(np.mean(months.lost_share)) * soak.days * DAY_S * soak.load.rate_per_s,
        improvements=improvements(soak, sample, months),
        calendars=calendars(months),
        fan=burn_down(months, soak.slo),
        drift=_drift(sample),
        findings=findings,
        history=_history(soak, nights, sample),
        limits=what_it_does_not_show(soak, sample, types, longest_stretch_h(ages)),
        facts=_facts(sample),
        overlap=overlap_of_worst(soak, sample, months, chosen),
        ageing=ageing,
        not_sampled=tuple(dict.fromkeys(why for night in ages[-1:] for why in night.not_sampled)),
    )


def seed_of(soak: SoakFile, sample: Sample) -> int:
    """From what was measured: the same trials give the same report, and no other seed can be chosen for it."""
    text = repr((soak.name, [night.run_id for night in sample.nights]))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _outcome(objectives: Sequence[ObjectiveResult], findings: Sequence[Finding]) -> VerdictOutcome:
    """What the model says counts only where the instrument, the trials and the back-test carry it."""
    if any(finding.outcome is not PASS for finding in findings):
        return FAIL if any(finding.outcome is FAIL for finding in findings) else INCONCLUSIVE
    return worst(row.outcome for row in objectives)


def _reason(outcome: VerdictOutcome, objectives: Sequence[ObjectiveResult], doubt: Sequence[Finding]) -> str:
    if outcome is PASS:
        return "every objective is kept: " + "; ".join(f"{row.name} {row.reason}" for row in objectives)
    if doubt:
        return doubt[0].reason + (f" (and {len(doubt) - 1} more)" if len(doubt) > 1 else "")
    bad = [row for row in objectives if row.outcome is outcome]
    if not bad:
        return "a finding of another part fails; see below"
    return f"{bad[0].name}: {bad[0].reason}" + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else "")


def _trials(soak: SoakFile, sample: Sample) -> Iterator[Finding]:
    title = f"at least {soak.measure.trials_min} verified trials of each fault type"
    few = [f"{one.n} of {one.fault.name}" for one in sample.types if one.n < soak.measure.trials_min]
    evidence = {one.fault.name: one.n for one in sample.types}
    if few:
        reason = f"too few verified trials: {', '.join(few)}; {soak.measure.trials_min} of each are needed"
        yield Finding("trials", title, INCONCLUSIVE, reason, evidence)
    else:
        yield Finding("trials", title, PASS, ", ".join(f"{n} of {name}" for name, n in evidence.items()), evidence)
    censored = [f"{one.censored} of {one.n} of {one.fault.name}" for one in sample.types if one.censored]
    title = "every trial was watched until users had their service back"
    if censored:
        reason = f"not recovered when the trial ended, so the true cost is higher: {', '.join(censored)}"
        yield Finding("censoring", f"{title}; raise measure.trial_s", INCONCLUSIVE, reason, {})
    elif sample.trials:
        yield Finding("censoring", title, PASS, f"all {sample.trials} were", {})
    if not sample.nights:
        yield Finding("nights", "a night can be believed", INCONCLUSIVE, "; ".join(sample.left_out) or "no night", {})


def _described(soak: SoakFile, sample: Sample, months: Months) -> dict[str, object]:
    """Rows that are no objectives. Measured percentiles have no interval: requests follow one another."""
    values = evaluate(months)
    lost = np.quantile(values["lost_s"] * soak.load.rate_per_s, [0.025, 0.5, 0.975])
    free = merged((one.latency_bins, 1.0) for one in sample.fault_free)
    hit = merged((trial.latency_bins, 1.0) for one in sample.types for trial in one.trials)
    named = (("fault_free", free), ("during_trials", hit))
    latencies = {f"latency_s_p{q}_{where}": quantile_s(bins, q / 100) for where, bins in named for q in (50, 95, 99)}
    return {
        "hours_projected": soak.days * 24,
        "hours_measured": round(sum(night.duration_s for night in sample.nights) / 3600, 3),
        "lost_to_faults": {"low": float(lost[0]), "median": float(lost[1]), "high": float(lost[2])},
        "fault_free_requests": sample.fault_free_requests,
        "fault_free_lost": sample.fault_free_lost,
        **latencies,
        "latency_s_of_months": month_percentiles(sample, months),
        "in_flight_max_measured": max(
            (night.fault_free.in_flight_max for night in sample.nights if night.fault_free), default=0
        ),
    }


def _drift(sample: Sample) -> tuple[tuple[float, int, int, float], ...]:
    free = sample.nights[-1].fault_free if sample.nights else None
    return free.per_minute if free else ()


def _history(soak: SoakFile, nights: Sequence[Night], sample: Sample) -> tuple[HistoryRow, ...]:
    pooled = {night.run_id for night in sample.nights}
    rows = []
    for night in nights:
        own = {one.name: [t for t in night.trials if t.fault_type == one.name and t.valid] for one in soak.faults}
        free = night.fault_free
        rows.append(
            HistoryRow(
                run_id=night.run_id,
                wall_begin=night.wall_begin,
                build=night.build,
                pooled=night.run_id in pooled,
                trials=sum(trial.valid for trial in night.trials),
                thrown_out=sum(not trial.valid for trial in night.trials),
                fault_free_success=1 - free.lost / free.requests if free and free.requests else None,
                recovery_s_p50={
                    n: float(np.median([t.downtime_s for t in ts])) if ts else None for n, ts in own.items()
                },
                lost_mean={n: float(np.mean([t.lost for t in ts])) if ts else None for n, ts in own.items()},
            )
        )
    return tuple(rows)


def _facts(sample: Sample) -> dict[str, object]:
    if not sample.nights:
        return {}
    latest = sample.nights[-1]
    return {
        "nights": len(sample.nights),
        "left_out": list(sample.left_out),
        "stack": latest.stack,
        "build": latest.build,
        "configuration": latest.configuration,
        "host": latest.host,
        "model": latest.model,
        "measured_at_per_s": latest.rate_per_s,
    }
