"""Two drivers at the same store or result folder: each says so, neither waits, and the tables end whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dumb_bench.store.lease import Lease
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.store import Store

ATTEMPTS = 5
"""Times that tables are written where others write the same ones."""


@contextmanager
def announced(store: Store, folder: ResultFolder, say: Callable[[str], None]) -> Iterator[Lease]:
    """Let other drivers see this one, and say in one line which of them are seen; yield the result folder's lease."""
    with Lease(store.place, "driver") as at_store, Lease(folder.place, "driver") as at_folder:
        others = {owner: lease for lease in (at_store, at_folder) for owner in lease.others()}
        if others:
            who = "; ".join(f"{owner}, at {lease.place.name}" for owner, lease in others.items())
            say(f"warning: another driver is at work here: {who}. Both go on; at worst a unit is computed twice.")
        yield at_folder


def write_beside_others(write: Callable[[], None], folder: ResultFolder, lease: Lease) -> None:
    """Write a result folder's tables; where another driver writes there, again until what lies there is whole.

    Raises:
        OSError: the place does not take a file.
    """
    for _ in range(ATTEMPTS):
        shared = bool(lease.others())
        try:
            write()
        except FileNotFoundError:  # the other one took away what was about to be moved
            if not (shared or lease.others()):
                raise
            continue
        if not (shared or lease.others()) or not folder.check():
            return
