"""What happens to a damaged file: it is moved aside with a sidecar that says why, never deleted, never believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from dumb_bench.store.place import Place
from dumb_bench.store.sealed import seal

FOLDER = "quarantine"


class Damage(NamedTuple):
    """A damaged file, how that was noticed, and the units that it held."""

    path: str
    reason: str
    keys: tuple[str, ...] = ()


def quarantine(place: Place, damage: Damage, files: Sequence[str] | None = None) -> bool:
    """Move a damaged file (or `files`, which go with it, in this order) to `quarantine/`, and note the reason.

    Returns whether it is out of the way; False where the place cannot be written.
    """
    try:
        taken = set(place.names(FOLDER))
        for path in files or [damage.path]:
            target = _free(f"{FOLDER}/{path}", taken)
            if path == damage.path:
                noticed = datetime.now(UTC).isoformat(timespec="seconds")
                place.write(f"{target}.reason.json", seal({**damage._asdict(), "noticed_at": noticed}))
            if place.exists(path):
                place.move(path, target)
                if "/" in path:
                    place.prune(path.rpartition("/")[0])
    except FileNotFoundError:
        return True  # another process was faster
    except OSError:
        return False
    return True


def _free(target: str, taken: set[str]) -> str:
    """Return a name that an earlier victim of the same name does not have."""
    number, name = 0, target
    while name in taken or f"{name}.reason.json" in taken:
        number += 1
        name = f"{target}.{number}"
    return name
