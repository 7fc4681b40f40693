"""`kept/` of a result folder: a few kept images of some sets, so that a report can show them without the store.

`kept/manifest.json` (sealed) names the pictures with their sha256 and says of each set what is to be read beside it;
`kept/<hash>.png` are the images of one set, or the clean ones of one image source, side by side. A picture exists once
however many sets it belongs to. The pictures are written first, the manifest after them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from dumb_bench.errors import DamagedFileError
from dumb_bench.store.kept import Levels, from_png, to_png
from dumb_bench.store.place import Place
from dumb_bench.store.quarantine import Damage
from dumb_bench.store.sealed import seal, unseal

FOLDER = "kept"
MANIFEST = f"{FOLDER}/manifest.json"
MAX_SETS, MAX_BYTES = 24, 4_000_000
"""At most so many sets, and so many bytes of pictures."""

MAX_PIXELS = 2**26


@dataclass(frozen=True)
class About:
    """What is said of a set beside its images; the lists have an entry an image, as in `attacks` and `images`.

    prediction: the surrogate's labels, None for an attack that looks at none. linf, l2: norms of the delivered images.
    """

    attack: str
    strength: float | None
    unit: str
    image_source: str
    task: str
    surrogate: str
    delivery: str
    image_id: list[str]
    label: list[int]
    prediction: list[int] | None
    linf: list[float]
    l2: list[float]


class Shown(NamedTuple):
    """A set in a gallery: images (n, C, H, W) uint8, clean and adversarial."""

    about: About
    clean: Levels
    adversarial: Levels


def write(place: Place, sets: Sequence[Shown]) -> None:
    """Write the gallery of a result folder, at most `MAX_SETS` and `MAX_BYTES`, the first ones; none removes it.

    Raises:
        OSError: the place does not take a file.
    """
    pictures: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    size = 0
    for shown in sets[:MAX_SETS]:
        data = {"clean": to_png(shown.clean), "adversarial": to_png(shown.adversarial)}
        hashes = {key: hashlib.sha256(content).hexdigest() for key, content in data.items()}
        new = {hashes[key]: content for key, content in data.items() if hashes[key] not in pictures}
        if size + sum(map(len, new.values())) > MAX_BYTES:
            break
        size += sum(map(len, new.values()))
        pictures |= new
        entries.append({"about": asdict(shown.about), "shape": list(shown.clean.shape), **hashes})
    there = set(place.names(FOLDER))
    wanted = {_path(name): content for name, content in pictures.items()}
    for path, content in wanted.items():
        if path not in there or place.read(path) != content:
            place.write(path, content)
    if entries:
        document = seal({"sets": entries})
        if MANIFEST not in there or place.read(MANIFEST) != document:
            place.write(MANIFEST, document)
    for path in sorted(there - wanted.keys() - ({MANIFEST} if entries else set())):
        place.delete(path)
    if not entries and there:
        place.prune(FOLDER)


def read(place: Place) -> list[Shown]:
    """Return the gallery of a result folder, verified; empty where there is none.

    Raises:
        DamagedFileError: the manifest or a picture is missing, torn or altered.
    """
    try:
        document = unseal(MANIFEST, place.read(MANIFEST))
    except FileNotFoundError:
        return []
    try:
        return [_read(place, entry) for entry in document["sets"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(MANIFEST, f"not the manifest of kept images ({type(error).__name__})") from error


def _read(place: Place, entry: dict[str, Any]) -> Shown:
    about = _said(entry["about"])
    count, channels, height, width = (int(size) for size in entry["shape"])
    lists = (about.image_id, about.label, about.prediction, about.linf, about.l2)
    if min(count, channels, height, width) < 1 or math.prod(entry["shape"]) > MAX_PIXELS:
        raise ValueError("no images")
    if any(len(values) != count for values in lists if values is not None):
        raise ValueError("lists of another length")
    pictures = []
    for name in (str(entry["clean"]), str(entry["adversarial"])):
        path = _path(name)
        try:
            data = place.read(path)
        except FileNotFoundError:
            raise DamagedFileError(path, f"is missing, but {MANIFEST} names it") from None
        if hashlib.sha256(data).hexdigest() != name:
            raise DamagedFileError(path, f"torn or altered: its sha256 differs from {MANIFEST}")
        pictures.append(from_png(data, (count, channels, height, width), path))
    return Shown(about, *pictures)


def _said(found: dict[str, Any]) -> About:
    """Return what a manifest says of a set. Raises KeyError, TypeError, ValueError: it is not what was written."""
    strength, prediction = found["strength"], found["prediction"]
    said: dict[str, Any] = {key: str(found[key]) for key in _TEXTS}
    said |= {key: [kind(value) for value in found[key]] for key, kind in _LISTS.items()}
    said["strength"] = None if strength is None else float(strength)
    said["prediction"] = None if prediction is None else [int(label) for label in prediction]
    return About(**said)


_TEXTS = ("attack", "unit", "image_source", "task", "surrogate", "delivery")
_LISTS: dict[str, Callable[[Any], Any]] = {"image_id": str, "label": int, "linf": float, "l2": float}


def damages(place: Place) -> list[Damage]:
    """Return what of a gallery is damaged: the first file met."""
    try:
        read(place)
    except DamagedFileError as error:
        return [Damage(error.path, error.reason)]
    return []


def _path(sha256: str) -> str:
    """Return where a picture is. Raises ValueError: this is no sha256."""
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("no sha256")
    return f"{FOLDER}/{sha256[:16]}.png"
