"""What runs on the other side: a slot's process, and the environment that it starts in."""

from __future__ import annotations

from typing import Any

from dumb_bench.runner.memory import oom_kills
from dumb_bench.runner.units import Outcome, Unit

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""One thread a slot: the last bit of a result depends on how many there are."""


class Slot:
    """Imports torch after its environment is set, then keeps its worker warm."""

    def __init__(self, settings: Any) -> None:
        from dumb_bench.runner.execute import Worker

        self._worker = Worker(settings)

    def ready(self) -> int:
        """Answer, once the slot works, how many processes of its machine were killed for memory so far."""
        return oom_kills()

    def run(self, unit: Unit, halvings: int) -> Outcome:
        """Run a unit."""
        return self._worker(unit, halvings)
