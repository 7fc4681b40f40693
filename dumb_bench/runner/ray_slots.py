"""The executor on Ray: long-lived slot actors, one unit at a time each. The only module that imports ray."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from dumb_bench.errors import InputError
from dumb_bench.runner.cluster_safety import no_answer, open_cluster_warning
from dumb_bench.runner.units import Fault, Outcome, Unit

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class Slot:
    """The remote side: imports torch after its environment is set, then keeps its worker warm."""

    def __init__(self, settings: Any) -> None:
        from dumb_bench.runner.execute import Worker

        self._worker = Worker(settings)

    def run(self, unit: Unit) -> Outcome:
        """Run a unit."""
        return self._worker(unit)


class RayExecutor:
    """Slots on a Ray cluster.

    Args:
        settings: what each slot starts from (`SlotSettings`).
        address: `local` starts a cluster of this machine's own; `auto` or `HOST:PORT` joins one.
        slots: how many; None = one a CPU (one a GPU share with `gpus`), and `at_most` this many.
        gpus: GPUs of a slot, possibly a fraction.
        say: told in one line if the cluster joined asks for no token.
    """

    def __init__(
        self,
        settings: Any,
        *,
        address: str,
        slots: int | None,
        at_most: int,
        gpus: float = 0.0,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._gpus = gpus
        if address == "local":
            cpus = slots or os.cpu_count() or 1
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=200 * 2**20,
            )
        else:
            _check_reachable(address)
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RayError, ValueError) as error:
                hint = no_answer(os.environ)
                raise InputError(f"--address {address}: no Ray cluster answers there ({error}){hint}") from None
            if warning := open_cluster_warning(address, ray.__version__, os.environ):
                say(warning)
        available: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        most = int(available.get("CPU", 1))
        if gpus > 0:
            shares = int(available.get("GPU", 0) / gpus)
            if shares < 1:
                self._shutdown()
                raise InputError(f"--gpus-per-slot {gpus:g}: the cluster has {available.get('GPU', 0):g} GPUs")
            most = min(most, shares)
        if slots is not None and slots > most:
            self._shutdown()
            raise InputError(f"--slots {slots}: the cluster has room for {most}")
        self._slots: list[Any] = [self._start() for _ in range(slots or min(most, at_most))]
        self._idle = list(self._slots)
        self._running: dict[Any, tuple[Any, Unit, float]] = {}

    def _start(self) -> Any:
        return ray.remote(Slot).options(
            num_cpus=1, num_gpus=self._gpus, max_restarts=0, max_task_retries=0, runtime_env={"env_vars": THREADS}
        ).remote(self._settings)  # fmt: skip

    @property
    def free(self) -> int:
        """The number of units that can be submitted now."""
        return len(self._idle)

    def submit(self, unit: Unit) -> None:
        """Give a unit to an idle slot."""
        slot = self._idle.pop()
        self._running[slot.run.remote(unit)] = (slot, unit, time.perf_counter())

    def wait(self, seconds: float) -> list[Outcome]:
        """Return the units that have ended, after at most this time; a slot that died is replaced."""
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=seconds)
        outcomes = []
        for reference in ready:
            slot, unit, started = self._running.pop(reference)
            try:
                outcomes.append(ray.get(reference))
                self._idle.append(slot)
            except (RayActorError, GetTimeoutError, RayError) as error:
                outcomes.append(Outcome(unit.key, 0, time.perf_counter() - started, 0.0, _death(error)))
                self._slots.remove(slot)
                ray.kill(slot, no_restart=True)
                fresh = self._start()
                self._slots.append(fresh)
                self._idle.append(fresh)
        return outcomes

    def close(self) -> None:
        """End the slots and leave the cluster (a local one ends with that)."""
        for slot in self._slots:
            ray.kill(slot, no_restart=True)
        self._shutdown()

    @staticmethod
    def _shutdown() -> None:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse a HOST:PORT where nothing listens: Ray itself would try for minutes.

    Raises:
        InputError: the address is no HOST:PORT, or nothing listens there.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--address: expected local, serial, auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from None


def _death(error: Exception) -> Fault:
    text = " ".join(str(error).split())
    return Fault("WorkerDied", f"the worker process ended while it ran this unit: {text}"[:2000], "", False, "")
