"""Two result folders side by side: rows in common, columns that differ, success by attack and case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dumb_bench.case import CASES
from dumb_bench.errors import shown
from dumb_bench.report.attack_tests import attack_results
from dumb_bench.report.contrasts import WHITE_BOX
from dumb_bench.report.groups import prepared
from dumb_bench.report.rates import success_by
from dumb_bench.store.current import CurrentTables
from dumb_bench.store.folders import Folder, mixed_protocol
from dumb_bench.store.joined import side_by_side
from dumb_bench.store.schema import TABLES
from dumb_bench.store.unions import Conflict, Difference
from dumb_bench.wording import printable

if TYPE_CHECKING:
    import pandas as pd

BY = ("population", "label", "setting", "case")
_FOLDER = "_folder"


class Comparison(NamedTuple):
    """document: plain JSON data. equal: the same rows, equal in every column that holds results."""

    document: dict[str, Any]
    equal: bool


def comparison(first: str, second: str) -> Comparison:
    """Compare two result folders.

    Columns that may differ between two runs of one grid (times, hosts, library versions; all of `failures` but its
    keys) are named and do not count. A margin or a column that one folder does not have is not compared.

    Raises:
        InputError: one of them is no result folder.
        DamagedFileError: a file of it is torn or altered.
    """
    folders = [Folder(uri) for uri in (first, second)]
    tables: dict[str, Any] = {}
    equal = True
    for name in TABLES:
        found = Difference(name)
        lacking = folders[0].lacking(name) ^ folders[1].lacking(name)
        left, right = (folder.sides(name, count=True) for folder in folders)
        for pair in side_by_side(name, left, right):
            found.note(pair, frozenset(lacking))
        results = found.results_columns
        equal = equal and not (found.left_only or found.right_only or results)
        tables[name] = {
            "common": found.common, "only_first": found.left_only, "only_second": found.right_only,
            "differ": results, "differ_unimportant": {k: n for k, n in found.columns.items() if k not in results},
            "example": _example(found.conflict),
        }  # fmt: skip
    frame = success_in_both(*(folder.tables for folder in folders))
    document = {
        "first": folders[0].name, "second": folders[1].name, "equal": equal, "tables": tables,
        "mixed": mixed_protocol(folders), "success": frame.to_dict("records"),
    }  # fmt: skip
    return Comparison(document, equal)


def _example(conflict: Conflict | None) -> dict[str, str] | None:
    """Return the first row that differs; values as text, since JSON knows neither NaN nor infinity."""
    if conflict is None:
        return None
    first, second = shown(conflict.first), shown(conflict.second)
    return {"key": conflict.key, "column": conflict.column, "first": first, "second": second}


def success_in_both(first: CurrentTables, second: CurrentTables) -> pd.DataFrame:
    """Return the mean success of the attacks that both hold: `BY`, first, second, difference, n_first, n_second.

    Denominators as in `rates.success_by`. Labels and populations are named over both folders together, so that equal
    names are equal settings; a mean never mixes populations. n: tests. difference: second - first.
    """
    tests = prepared(attack_results((first, second), _FOLDER))
    tests = tests[(tests["role"] == "attack") & (tests["counted"] | tests["white_box"])]
    tests = tests.assign(case=tests["case"].where(~tests["white_box"], WHITE_BOX))
    columns = {"rate": "", "n_tests": "n_"}
    sides = []
    for place, name in enumerate(("first", "second")):
        found = success_by(tests[tests[_FOLDER] == place], list(BY))[[*BY, *columns]]
        sides.append(found.rename(columns={column: mark + name for column, mark in columns.items()}))
    merged = sides[0].merge(sides[1], on=list(BY), how="inner")
    merged["difference"] = merged["second"] - merged["first"]
    order = {case: place for place, case in enumerate((*CASES, WHITE_BOX))}
    merged = merged.sort_values(list(BY), key=lambda found: found.map(order) if found.name == "case" else found)
    return merged[[*BY, "first", "second", "difference", "n_first", "n_second"]].reset_index(drop=True)


def text(document: dict[str, Any]) -> str:
    """Return a comparison as lines for people."""
    lines = [f"A: {document['first']}", f"B: {document['second']}"]
    for name, table in document["tables"].items():
        line = f"{name}: {table['common']:,} rows in both"
        line += "".join(f", {table[key]:,} only in {side}" for key, side in _ONLY if table[key])
        lines.append(line)
        if table["differ"]:
            lines.append(f"  differ: {_counts(table['differ'])}")
            example = table["example"]
            values = f"{example['first']} in A, {example['second']} in B"
            lines.append(f"  for example {example['key']}: {example['column']} is {values}")
        if table["differ_unimportant"]:
            lines.append(f"  not counted: {_counts(table['differ_unimportant'])}")
    lines += [f"mixed: {line}" for line in document["mixed"]]
    for row in document["success"]:
        of = f" [{row['population']}]" if row["population"] else ""
        at = f" @ {row['setting']}" if row["setting"] else ""
        lines.append(
            f"{row['label']}{at} {row['case']}{of}: {row['first']:.4f} in A, {row['second']:.4f} in B, "
            f"{row['difference']:+.4f} ({row['n_first']:,} and {row['n_second']:,} tests)"
        )
    lines.append("equal in every column of results" if document["equal"] else "the results differ")
    return "\n".join(printable(line) for line in lines)


_ONLY = (("only_first", "A"), ("only_second", "B"))


def _counts(columns: dict[str, int]) -> str:
    return ", ".join(f"{column} ({rows:,})" for column, rows in columns.items())
