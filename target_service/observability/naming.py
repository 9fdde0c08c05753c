"""One quantity, several names: what is measured once is told under the names that each set of dashboards knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["SERVICE", "Named", "Sample", "Samples", "families", "sets_of"]


@dataclass(frozen=True)
class Named:
    """A name of a quantity in one set: `scale` turns our unit into the set's, `labels` are its names for our labels.

    A counter's name is without `_total`, which is added when it is told.
    """

    quantity: str
    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True)
class Sample:
    """A value and its labels, in the order of the quantity's names."""

    value: float
    labels: tuple[str, ...] = field(default=())


# A quantity that nobody can know now is absent, never zero.
Samples = Mapping[str, float | Sequence[Sample] | None]


def sets_of(chosen: str, known: Sequence[str]) -> tuple[str, ...]:
    """The sets that `--metric-names` chooses, of those that there are."""
    return tuple(known) if chosen == "all" else tuple(name for name in known if name == chosen)


def families(names: Sequence[Named], samples: Samples, common: Mapping[str, str]) -> Iterator[Metric]:
    """The metrics of one set; every one of them carries the labels `common` besides its own."""
    for named in names:
        found = samples.get(named.quantity)
        if found is None:
            continue
        rows = [Sample(float(found))] if isinstance(found, int | float) else found
        make = CounterMetricFamily if named.kind == "counter" else GaugeMetricFamily
        family = make(named.name, named.help, labels=[*common, *named.labels])
        for row in rows:
            family.add_metric([*common.values(), *row.labels], row.value * named.scale)
        yield family


# What the seed documents want of any service, taken literally: times in ms, shares as they say.
SERVICE = (
    Named("healthy", "chord_service_health", "gauge", "1 if /health is 200"),
    Named("last_s", "chord_response_time", "gauge", "The last answer's time, ms", scale=1000),
    Named("uptime_s", "service_uptime", "gauge", "Seconds since the process began"),
    Named("calls", "request_count", "gauge", "Calls since the process began"),
    Named("success_share", "success_rate", "gauge", "Calls answered whole over calls that ended, 0 to 1"),
    Named("mean_s", "avg_response_time", "gauge", "Mean time of whole answers, ms", scale=1000),
    Named("errors", "error_count", "gauge", "Calls that ended otherwise, clients that left excluded"),
    Named("open", "concurrent_requests", "gauge", "Calls under way"),
    Named("machine_memory", "system_memory_usage", "gauge", "Of the machine, percent", scale=100),
)
