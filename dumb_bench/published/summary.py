"""What an import prints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from dumb_bench.case import CASES
from dumb_bench.published.records import Columns, Imported
from dumb_bench.wording import printable


def rows_line(found: Imported) -> str:
    """Return how many rows of each table there are."""
    return ", ".join(f"{len(rows):,} {name}" for name, rows in found.rows.items())


def mean_by_case(tests: Iterable[Columns]) -> dict[tuple[str, str], float]:
    """Return (attack, case) -> the plain mean of success over its tests, white-box tests included."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in tests:
        found[row["attack"], row["case"]].append(row["asr"])
    return {key: sum(values) / len(values) for key, values in found.items()}


def case_table(tests: Sequence[Columns]) -> list[str]:
    """Return the mean success by attack and case as lines, one table a task, six decimals."""
    lines: list[str] = []
    for task in sorted({row["task"] for row in tests}):
        own = [row for row in tests if row["task"] == task]
        means = mean_by_case(own)
        lines.append(f"{task}: mean success, C1 with its white-box tests")
        lines.append(f"{'attack':<18}" + "".join(f"{case:>10}" for case in CASES))
        for attack in sorted({row["attack"] for row in own}):
            cells = [means.get((attack, case)) for case in CASES]
            lines.append(f"{attack:<18}" + "".join(f"{'–' if cell is None else f'{cell:.6f}':>10}" for cell in cells))
    return lines


def printed(lines: Iterable[str]) -> str:
    """Return lines for a terminal."""
    return "\n".join(printable(line, 4000) for line in lines)
