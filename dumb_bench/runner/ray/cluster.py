"""The Ray cluster itself: joining it, which nodes it has, whether one is still there."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dumb_bench.errors import InputError
from dumb_bench.runner.attempts import NODE_LOST, OUT_OF_MEMORY, WORKER_DIED
from dumb_bench.runner.cluster_safety import no_answer, open_cluster_warning
from dumb_bench.runner.memory import is_out_of_memory, oom_kills
from dumb_bench.runner.placement import Need
from dumb_bench.runner.profile import Profile


class Node(NamedTuple):
    """A node: all that it has, and where its raylet listens."""

    total: Need
    address: tuple[str, int]


def join(address: str, profile: Profile, say: Callable[[str], None]) -> None:
    """Start a cluster of this machine's own (`local`), or join one; `say` is told if that one asks for no token.

    Raises:
        InputError: Ray does not start, or no cluster answers there.
    """
    if address == "local":
        most = max(need.cpus for need in profile.needs.values())
        cpus = os.cpu_count() or 1
        try:
            ray.init(
                address="local",
                num_cpus=max(cpus, int(profile.slots * most + 0.999)) if profile.slots else cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=200 * 2**20,
            )
        except Exception as error:  # Ray raises plain Exceptions here
            hint = "try again when the machine is less busy, or use --address serial"
            raise InputError(f"--address local: Ray does not start on this machine: {line(error)}; {hint}") from None
        return
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RayError, ValueError) as error:
        hint = no_answer(os.environ)
        raise InputError(f"--address {address}: no Ray cluster answers there ({error}){hint}") from None
    if warning := open_cluster_warning(address, ray.__version__, os.environ):
        say(warning)


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


def nodes() -> dict[str, Node]:
    """Return the nodes that can hold slots: alive, with a CPU."""
    found = {}
    for item in ray.nodes():  # type: ignore[no-untyped-call]
        has = item["Resources"]
        if item["Alive"] and has.get("CPU", 0) > 0:
            total = Need(float(has["CPU"]), float(has.get("GPU", 0)), int(has.get("memory", 0)))
            found[item["NodeID"]] = Node(total, (item["NodeManagerAddress"], int(item["NodeManagerPort"])))
    return found


def is_there(name: str) -> bool:
    """Whether a node is in the cluster and its raylet answers: the cluster learns late of a machine that is off."""
    node = nodes().get(name)
    if node is None:
        return False
    try:
        socket.create_connection(node.address, timeout=2).close()
    except OSError:
        return False
    return True


def oom_kills_at(node: str) -> int:
    """Return how many processes the kernel of a node has killed for memory so far; 0 if it does not say."""
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    asked = ray.remote(oom_kills).options(num_cpus=0, max_retries=0, scheduling_strategy=where).remote()
    try:
        return int(ray.get(asked, timeout=5))
    except (GetTimeoutError, RayError):
        return 0


def cause_of_death(error: Exception, node: str, oom_kills_before: int, *, final: bool) -> tuple[str, str] | None:
    """Return the type of fault and a sentence for a slot's death on a node.

    oom_kills_before: the kernel's count there when the slot started. None: not known yet, unless `final`.
    """
    text = line(error)
    if is_out_of_memory(error) or "OutOfMemory" in text:
        return OUT_OF_MEMORY, f"the worker process was ended because its node ran out of memory: {text}"
    if not is_there(node):
        return NODE_LOST, f"the node left the cluster while the unit ran there: {text}"
    if not final:
        return None
    if oom_kills_at(node) > oom_kills_before:
        return OUT_OF_MEMORY, f"the worker process ended, and the kernel has ended one for memory there: {text}"
    return WORKER_DIED, f"the worker process ended while it ran this unit: {text}"


def line(error: Exception) -> str:
    """Return an error of Ray's on one line of at most 2,000 characters."""
    return " ".join(str(error).split())[:2000]
