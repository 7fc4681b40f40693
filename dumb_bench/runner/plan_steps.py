"""The intermediate steps that a grid wants scored: which attacks have them, and which steps they are."""

from __future__ import annotations

from dumb_bench.attacks.iterative import iterate
from dumb_bench.catalogue import Catalogue, Entry, all_params, parameters
from dumb_bench.errors import InputError
from dumb_bench.grid import AttackEntry
from dumb_bench.spec import Plugin


def hands_out_steps(entry: Entry) -> bool:
    """Whether an attack's images after each step can be had: it takes `steps`, and its module runs the shared loop."""
    steps = parameters(entry).get("steps")
    if entry.info.path is not None or steps is None or not isinstance(steps.default, int):
        return False
    return any(value is iterate for value in getattr(entry.call, "__globals__", {}).values())


def recorded_steps(entry: AttackEntry, plugin: Plugin, catalogue: Catalogue, where: str) -> tuple[int, ...]:
    """Return the steps after which an attack's images are scored too, rising; none where the grid asks for none.

    Raises:
        InputError: the attack, or the attack with these parameters, has no such images, or not so many steps.
    """
    if entry.record_steps is None:
        return ()
    where = f"{where}.record_steps"
    loaded = catalogue.get("attacks", entry.name)
    if not hands_out_steps(loaded):
        able = [name for name in catalogue.names("attacks") if hands_out_steps(catalogue.get("attacks", name))]
        foreign = "." in entry.name
        why = "is another library's, which hands out its last images only" if foreign else "has no steps to record"
        raise InputError(f"{where}: attack {entry.name!r} {why}. Available: {', '.join(able)}.")
    if entry.tune is not None:
        raise InputError(f"{where}: not together with `tune`; name strengths, or tune in a grid of its own")
    settings = all_params(loaded, plugin.as_dict())
    restarts, steps = settings.get("restarts", 1), settings["steps"]
    if isinstance(restarts, int) and restarts > 1:
        raise InputError(
            f"{where}: attack {entry.name!r} keeps the best of {restarts} restarts, whose steps lead elsewhere; "
            "set restarts = 1"
        )
    beyond = [step for step in entry.record_steps if step >= steps]
    if beyond:
        final = ", which is scored anyway" if beyond == [steps] else ""
        raise InputError(f"{where}: expected steps below {steps}, the attack's last{final}; got {beyond[0]}")
    return tuple(sorted(entry.record_steps))
