"""What the service counts, in Prometheus terms. In BentoML the default registry is BentoML's own, so these come out beside its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counters, histograms and gauges of one process.

    Parameters
    ----------
    registry
        None: prometheus_client's default registry, which BentoML uses too.
    shared_by_processes
        Whether several processes write to one multiprocess directory, as BentoML's workers do.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> metrics = Metrics(CollectorRegistry())
    >>> metrics.decided("none", "no_trigger", [])
    >>> b'stillhere_decisions_total{action="none",code="no_trigger"} 1.0' in metrics.exposition()
    True
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, shared_by_processes: bool = False) -> None:
        # Imported here: the multiprocess directory must be in the environment before the first import.
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram

        self._registry = registry or REGISTRY
        self._shared = shared_by_processes
        self._decisions = Counter(
            "stillhere_decisions", "Decisions by action and reason code.", ["action", "code"], registry=self._registry
        )
        self._decisions_of: dict[tuple[str, str], Counter] = {}
        self._degraded = Counter("stillhere_degraded", "Decisions made while something was missing.", ["what"], registry=self._registry)
        self._accepted = Counter("stillhere_events_accepted", "Events and profile changes accepted.", registry=self._registry)
        self._rejected = Counter(
            "stillhere_events_rejected", "Events and profile changes refused, by code.", ["code"], registry=self._registry
        )
        self._latency = Histogram(
            "stillhere_request_seconds",
            "Time from the complete request to the answer.",
            ["route"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self._latency_of: dict[str, Histogram] = {}
        self._backlog = Gauge(
            "stillhere_stream_backlog",
            "Events accepted and not yet in a timeline.",
            multiprocess_mode="mostrecent",
            registry=self._registry,
        )

        self._serving: dict[str, Gauge] = {}  # what is served now, by gauge
        self._infos = {
            what: Gauge(
                f"stillhere_{what}_info",
                f"1 for the {what} that is served, 0 for those that were.",
                [label],
                multiprocess_mode="mostrecent",
                registry=self._registry,
            )
            for what, label in (("model", "version"), ("policy", "hash"))
        }
        self._follow_failures = Counter(
            "stillhere_follow_failures",
            "Looks for another policy or model after which the old one stayed, by what failed.",
            ["what"],
            registry=self._registry,
        )

    def serves(self, model: str | None, policy: str) -> None:
        """Say which model ("none": without one) and which policy are served from now on."""
        for what, name in (("model", model or "none"), ("policy", policy)):
            before, now = self._serving.get(what), self._infos[what].labels(name)
            if before is not None:
                before.set(0)
            now.set(1)
            self._serving[what] = now

    def follow_failed(self, what: str) -> None:
        """Count a look after which the policy, the model, or both for want of the registry, stayed as they were."""
        self._follow_failures.labels(what).inc()

    def decided(self, action: str, code: str, degraded: Sequence[str], *, n: int = 1) -> None:
        """Count a decision, or as many that are alike."""
        counter = self._decisions_of.get((action, code))
        if counter is None:  # looked up by its labels once: that costs more than counting
            counter = self._decisions_of[action, code] = self._decisions.labels(action, code)
        counter.inc(n)
        for what in degraded:
            self._degraded.labels(what).inc(n)

    def admitted(self, n_accepted: int, rejected_codes: Sequence[str]) -> None:
        """Count one batch of events."""
        self._accepted.inc(n_accepted)
        for code in rejected_codes:
            self._rejected.labels(code).inc()

    def answered(self, route: str, seconds: float) -> None:
        """Observe one answer's time."""
        histogram = self._latency_of.get(route)
        if histogram is None:
            histogram = self._latency_of[route] = self._latency.labels(route)
        histogram.observe(seconds)

    def backlog(self, n_messages: int) -> None:
        """Set the length of the stream."""
        self._backlog.set(n_messages)

    def exposition(self) -> bytes:
        """Everything in the registry, in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if self._shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
