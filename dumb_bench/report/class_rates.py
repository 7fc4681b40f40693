"""Success class by class: in a binary task a victim that answers one thing looks half fooled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.chosen_rows import Chosen, count_lists
from dumb_bench.report.definitions import by_case, shown

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

Counts = NDArray[np.int32]
Rows = NDArray[np.int64]

COLUMNS = (
    "population", "reference", "primary", "largest", "label", "setting", "case", "class", "class_name", "rate", "low",
    "high", "reason", "n_tests", "n_images",
)  # fmt: skip


def class_counts(results: Results, tests: pd.DataFrame) -> tuple[Counts, Counts]:
    """Return successes and denominators of tests by class, (T, K) each, from `class_success`, `class_victim_correct`.

    K: the most classes of any task among them; both are 0 where a task has fewer, or the lists are not stored.
    """
    asked = Chosen(tests["test_id"].to_numpy(dtype=object))
    columns = ["class_success", "class_victim_correct"]
    pieces: list[tuple[Rows, Counts, Counts]] = []
    for found in asked.rows(results.tables, "tests", "test_id", columns):
        hits, among = (count_lists(found.table.column(name)) for name in columns)
        pieces.append((found.places, hits, among))
    width = max((max(hits.shape[1], among.shape[1]) for _, hits, among in pieces), default=0)
    success, right = (np.zeros((len(asked.ids), width), dtype=np.int32) for _ in range(2))
    for places, hits, among in pieces:
        success[places, : hits.shape[1]] = hits
        right[places, : among.shape[1]] = among
    return success[asked.place], right[asked.place]


def class_rates(results: Results, tests: pd.DataFrame) -> pd.DataFrame:
    """Return success by case and class: columns `COLUMNS`. `tests`: `groups.prepared`; shown is what `shown` keeps.

    rate: the mean over image sources of the mean over tests of `class_success` / `class_victim_correct`; of a class's
    images, the victim gets right clean and wrong attacked / right clean. Tests whose victim gets no image of the class
    right are left out. low, high: the crossed interval of `effects`, NaN with a `reason`. n_images: the median
    denominator. class: its number in the task's order; class_name: its name where the package knows the task.
    """
    import pandas as pd

    chosen = shown(tests)
    if chosen.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    success, right = class_counts(results, chosen)
    rates = np.divide(success, right, out=np.full(success.shape, np.nan), where=right > 0)
    rows: list[dict[str, Any]] = []
    for head, case, cell in by_case(chosen, rates):
        names = _names(str(chosen["task"].iloc[cell.rows[0]]))
        for number in np.flatnonzero((right[cell.rows] > 0).any(axis=0)).tolist():
            among = right[cell.rows, number]
            rows.append(
                {
                    **head, "case": case, "class": number, "class_name": names[number] if number < len(names) else None,
                    "rate": cell.rate[number], "low": cell.low[number], "high": cell.high[number],
                    "reason": cell.reason[number], "n_tests": int((among > 0).sum()),
                    "n_images": float(np.median(among[among > 0])),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _names(task: str) -> tuple[str, ...]:
    from dumb_bench.data.tasks import TASKS

    return TASKS[task].classes if task in TASKS else ()
