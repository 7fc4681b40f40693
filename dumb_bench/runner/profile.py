"""A cluster profile (TOML): what the units of each kind may use, and how long. Nothing of it enters a key."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from dumb_bench.errors import InputError, unknown
from dumb_bench.grid_file import sentence_of
from dumb_bench.runner.placement import Need

_HOUR = 3600.0

TIMEOUTS = {
    "images": 6 * _HOUR, "train": 72 * _HOUR, "model": 12 * _HOUR, "clean": 12 * _HOUR, "tune": 48 * _HOUR,
    "attack": 48 * _HOUR, "compact": 6 * _HOUR,
}  # fmt: skip
"""Kind of unit -> seconds after which it counts as hanging, where no profile says otherwise."""

_TIMES = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip
_MAX_BYTES = 100_000


def _measure(value: Any, units: dict[str, int], plain: str) -> float:
    """Return a number, or text as `1.5 h`, in the smallest unit."""
    found = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str):
        match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]+)\s*", value)
        if match and match[2] in units:
            found = float(match[1]) * units[match[2]]
    if found is None or not math.isfinite(found) or found <= 0:
        raise ValueError(f"expected {plain} above 0, or text such as {_EXAMPLES[plain]} ({', '.join(units)}), "
                         f"got {value!r}")  # fmt: skip
    return found


_EXAMPLES = {"seconds": '"90 min"', "bytes": '"4 GiB"'}

Seconds = Annotated[float, BeforeValidator(lambda value: _measure(value, _TIMES, "seconds"))]
Bytes = Annotated[int, BeforeValidator(lambda value: int(_measure(value, _SIZES, "bytes")))]


class Allowance(BaseModel):
    """What the units of one kind may use; None: what `[default]` says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cpus: Annotated[float, Field(gt=0, le=4096)] | None = None
    gpus: Annotated[float, Field(ge=0, le=64)] | None = None
    memory: Bytes | None = None
    timeout: Seconds | None = None


class Profile(BaseModel):
    """Slots, and what the units of each kind may use."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    slots: Annotated[int, Field(ge=1, le=10_000)] | None = None
    default: Allowance = Allowance()
    images: Allowance = Allowance()
    train: Allowance = Allowance()
    model: Allowance = Allowance()
    clean: Allowance = Allowance()
    tune: Allowance = Allowance()
    attack: Allowance = Allowance()
    compact: Allowance = Allowance()

    def _of(self, kind: str, key: str, otherwise: Any) -> Any:
        for table in (getattr(self, kind), self.default):
            if (value := getattr(table, key)) is not None:
                return value
        return otherwise

    def need(self, kind: str) -> Need:
        """Return what a slot for units of a kind takes: 1 CPU where nothing is said."""
        return Need(self._of(kind, "cpus", 1.0), self._of(kind, "gpus", 0.0), self._of(kind, "memory", 0))

    @property
    def needs(self) -> dict[str, Need]:
        """Kind of unit -> what its slot takes."""
        return {kind: self.need(kind) for kind in TIMEOUTS}

    def timeout(self, kind: str) -> float:
        """Return the seconds after which a unit of a kind counts as hanging."""
        return float(self._of(kind, "timeout", TIMEOUTS[kind]))

    @property
    def device(self) -> str:
        """Where one process that runs units of every kind computes: `cuda` if any kind asks for GPUs, else `cpu`."""
        return "cuda" if any(need.gpus > 0 for need in self.needs.values()) else "cpu"


def chosen_profile(path: Path | None, slots: int | None, gpus: float) -> Profile:
    """Return the profile of a command line: a file's, or none's; `slots` goes before the file's.

    Raises:
        InputError: the file is bad, or GPUs are asked for in both places.
    """
    profile = read_profile(path) if path else Profile(default=Allowance(gpus=float(gpus)))
    if path and gpus > 0:
        raise InputError(f"--gpus-per-slot {gpus:g}: with --profile, write `gpus` in {path} instead")
    return profile.model_copy(update={"slots": slots}) if slots else profile


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        InputError: one line for each thing that is wrong.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES:,} bytes, this is no profile")
    try:
        return Profile.model_validate(tomllib.loads(data.decode()))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except ValidationError as error:
        lines = [f"{path}: {_sentence(item)}" for item in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: is not TOML: {error}") from None


def _sentence(item: Any) -> str:
    if item["type"] != "extra_forbidden":
        return sentence_of(item)
    *table, key = item["loc"]
    fields = (Allowance if table else Profile).model_fields
    return f"{table[0]}: {unknown('key', key, fields)}" if table else unknown("key", key, fields)
