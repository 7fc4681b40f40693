"""A unit that failed for good, as a row of the table `failures`."""

from __future__ import annotations

from datetime import UTC, datetime

from dumb_bench.runner.units import AttackUnit, Fault, TuneUnit, Unit, kind_of
from dumb_bench.spec import SetSpec, TuningSpec


def failure_row(key: str, unit: Unit, fault: Fault, attempts: int, earlier: str = "") -> dict[str, object]:
    """Return a row of `failures`. earlier: the types of the faults before the last one, where they were others."""
    about: SetSpec | TuningSpec | None = None
    if isinstance(unit, AttackUnit):
        about = unit.base
    elif isinstance(unit, TuneUnit):
        about = unit.tunings[0]
    return {
        "unit_key": key,
        "kind": kind_of(unit),
        "unit": unit.label,
        "subject": unit.subject,
        "attack": about.attack.attack.label if about else None,
        "surrogate_id": about.surrogate.id if about and about.surrogate else None,
        "image_source": about.images.source.label if about else None,
        "error_type": fault.type,
        "message": f"{fault.message[:1900]} (tries before ended with: {earlier})" if earlier else fault.message,
        "traceback": fault.traceback or None,
        "attempts": attempts,
        "host": fault.host or None,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
