"""The tests one by one: a CSV file of all, and a table that filters and sorts in the browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.tables import guarded

if TYPE_CHECKING:
    import pandas as pd

MAX_EMBEDDED = 100_000
"""Rows in the page; the file has all."""

_AXES = (
    "source", "subset", "architecture", "init", "balance", "balance_mode", "defence", "posterior", "samples",
    "aggregation", "modifier", "recipe", "seed",
)  # fmt: skip
_ALWAYS = ("attack", "strength", "surrogate source", "surrogate architecture", "victim source", "victim architecture")


class Column(NamedTuple):
    """A column of the table. `codes` (N,) are places in `values`, or the numbers themselves where that is None."""

    name: str
    values: list[str] | None
    codes: NDArray[Any]


def columns(tests: pd.DataFrame) -> list[Column]:
    """Return what the table shows of `groups.prepared`: what names a test, as far as it varies, and its counts."""
    named: dict[str, pd.Series] = {"attack": tests["label"], "strength": tests["setting"]}
    named["case"] = tests["case"].where(~tests["white_box"], "WB")
    for role in ("surrogate", "victim"):
        named |= {f"{role} {key}": tests[f"{role}_{key}"] for key in _AXES if f"{role}_{key}" in tests}
    named |= {"images": tests["image_source"], "delivery": tests["delivery"], "task": tests["task"]}
    found = []
    for name, series in named.items():
        codes, values = _coded(series)
        if len(values) > 1 or name in _ALWAYS:
            found.append(Column(name, values, codes))
    counts = ("n_success", "n_victim_correct")
    found += [Column(name, None, tests[name].fillna(0).to_numpy(dtype=np.uint32)) for name in counts]
    return found


def _coded(series: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    import pandas as pd

    codes, values = pd.factorize(series, use_na_sentinel=False)
    texts = [_text(value) for value in values]
    order = sorted(range(len(texts)), key=lambda place: _natural(texts[place]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes], [texts[index] for index in order]


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _natural(text: str) -> tuple[int, float, str]:
    """Return a sort key: numbers (`8/255`, `0.1`) by size before words."""
    first, _, second = text.partition("/")
    try:
        return (0, float(first) / float(second or 1), text)
    except (ValueError, ZeroDivisionError):
        return (1, 0.0, text)


def write_tests(found: list[Column], path: Path) -> None:
    """Write every test as CSV; success is n_success / n_victim_correct, with Wilson's 95 % interval."""
    import pyarrow as pa
    from pyarrow import csv

    from dumb_bench.report.rates import wilson_bounds

    texts = {
        column.name.replace(" ", "_"): pa.DictionaryArray.from_arrays(
            pa.array(column.codes.astype(np.int32)), pa.array([guarded(value) for value in column.values], pa.string())
        ).cast(pa.string())
        for column in found
        if column.values is not None
    }
    counts = {column.name: column.codes.astype(np.int64) for column in found if column.values is None}
    success, right = counts["n_success"], counts["n_victim_correct"]
    low, high = wilson_bounds(success, right)
    rates: dict[str, NDArray[np.float64]] = {
        "success": success / right,
        "low": np.asarray(low),
        "high": np.asarray(high),
    }
    rounded = {name: pa.array(values.round(6)) for name, values in rates.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(pa.table({**texts, **rounded, **{name: pa.array(values) for name, values in counts.items()}}), path)


def embedded(tests: pd.DataFrame, found: list[Column], most: int = MAX_EMBEDDED) -> dict[str, Any]:
    """Return the table for the page: `data` (JSON for a script element, arrays as base64), shown, total.

    Of more than `most` tests the declared contrast comes first, then attacks at their largest strength, then controls.
    """
    rows = np.arange(len(tests))
    if len(tests) > most:
        flags = ~tests["primary"], tests["role"] != "attack", ~tests["reference"], ~tests["largest"]
        rank = np.zeros(len(tests), dtype=np.int64)
        for flag in flags:
            rank = 2 * rank + flag.to_numpy(dtype=np.int64)
        rows = np.argsort(rank, kind="stable")[:most]
    rows = rows[np.lexsort([column.codes[rows] for column in reversed(found) if column.values is not None])]
    data = {
        "rows": len(rows),
        "columns": [{"name": column.name, "values": column.values, **_packed(column.codes[rows])} for column in found],
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return {"data": text.replace("<", "\\u003c").replace("&", "\\u0026"), "shown": len(rows), "total": len(tests)}


def _packed(codes: NDArray[Any]) -> dict[str, Any]:
    largest = int(codes.max(initial=0))
    bits = 8 if largest < 2**8 else 16 if largest < 2**16 else 32
    return {"bits": bits, "data": base64.b64encode(codes.astype(f"<u{bits // 8}").tobytes()).decode()}
