"""Figures for Prometheus: what was graded and how, what the provider did, what waits.

Labels come from small fixed sets; no learner, card or text is among them.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from freerecall import __version__
from freerecall.grades import Grade
from freerecall.llm import LLM
from freerecall.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)


class Metrics:
    """One application's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.under_way = 0
        """Requests whose response has not begun."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "freerecall_http_requests", "Requests", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "freerecall_http_request_seconds",
            "Time to the end of a response",
            ["route"],
            buckets=_FAST,
            registry=self.registry,
        )
        self.grades = Counter(
            "freerecall_grades",
            "Grades given, by the way in and what they rest on",
            ["way", "decided_by", "provisional"],
            registry=self.registry,
        )
        self.verdict_seconds = Histogram(
            "freerecall_verdict_seconds",
            "Time until a language model's verdict",
            buckets=_SLOW,
            registry=self.registry,
        )

    def graded(self, grade: Grade, way: str) -> None:
        """Count a grade. `way` is "practice", "grade", "verdict" or "exam"."""
        self.grades.labels(way, grade.decided_by.value, str(grade.provisional).lower()).inc()
        if grade.provenance.model and not grade.provisional:
            self.verdict_seconds.observe(grade.provenance.latency_ms / 1000)

    def served(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is its template, never its address."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def watch(self, store: Store, llm: LLM | None) -> None:
        """Also tell, whenever asked, what waits in `store` and what `llm` has used."""
        self.registry.register(_Standing(store, llm))

    def render(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self.registry)


class _Standing(Collector):
    """Figures that are read when they are asked for, each by an index."""

    def __init__(self, store: Store, llm: LLM | None) -> None:
        self._store = store
        self._llm = llm

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily("freerecall_build_info", "The version", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        queue = GaugeMetricFamily("freerecall_queue", "What waits to be graded", labels=["what"])
        for what, count in self._store.waiting().items():
            queue.add_metric([what], count)
        yield queue
        yield CounterMetricFamily(
            "freerecall_overrides", "Ratings that learners changed", self._store.overrides_given()
        )
        if self._llm is None:
            return
        used = self._llm.usage
        calls = CounterMetricFamily("freerecall_provider_calls", "Calls by outcome", labels=["outcome"])
        for outcome, count in (
            ("answered", used.calls),
            ("failed", used.failures),
            ("unusable", used.unusable),
            ("cached", used.cache_hits),
        ):
            calls.add_metric([outcome], count)
        yield calls
        tokens = CounterMetricFamily("freerecall_provider_tokens", "Tokens", labels=["direction"])
        tokens.add_metric(["in"], used.tokens_in)
        tokens.add_metric(["out"], used.tokens_out)
        yield tokens
        yield CounterMetricFamily("freerecall_provider_cost_usd", "US dollars", used.cost_usd)
        yield GaugeMetricFamily(
            "freerecall_provider_up", "0 while calls are held back after failures", int(self._llm.up)
        )
