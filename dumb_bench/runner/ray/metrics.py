"""What a run tells Ray's metrics, for Prometheus to read from the nodes: units by kind and status, slots by status.

Ray exports them where `ray[default]` is installed (the `cluster` extra); elsewhere they are set for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from ray.util.metrics import Gauge

from dumb_bench.runner.census import Census

EVERY = 1.0
"""Seconds from one setting to the next; Ray exports every few seconds."""


class RayMetrics:
    """The gauges `dumb_bench_units{grid,kind,status}` and `dumb_bench_slots{grid,status}`, set by the driver.

    Ray puts `ray_` before the names.
    """

    def __init__(self, grid: str) -> None:
        self._units = Gauge("dumb_bench_units", "Units of this round by kind and status", ("grid", "kind", "status"))
        self._slots = Gauge("dumb_bench_slots", "Slots by status: starting, idle, busy", ("grid", "status"))
        for gauge in (self._units, self._slots):
            gauge.set_default_tags({"grid": grid})
        self._at = 0.0

    def publish(self, census: Census, slots: Mapping[str, int]) -> None:
        """Set the gauges, unless they were set within the last second."""
        now = time.monotonic()
        if now - self._at < EVERY:
            return
        self._at = now
        for (kind, status), count in census.counts().items():
            self._units.set(count, {"kind": kind, "status": status})
        for status, count in slots.items():
            self._slots.set(count, {"status": status})
