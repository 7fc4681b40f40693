"""The scored tests of several result folders in one frame, as far as attacks, cases and populations need them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dumb_bench.report.groups import POPULATION
from dumb_bench.report.load import Meta, Results
from dumb_bench.store.current import CurrentTables

_TESTS = (
    "attack_id", "surrogate_id", "victim_id", "attack", "attack_params", "targeted", "norm", "strength",
    "strength_rule", "step", "image_source", "case", "white_box", "shared_weights", "n_victim_correct", "asr",
    "control", "copied",
)  # fmt: skip
_ATTACKS = ("attack_id", "n_surrogate_correct", "n_surrogate_fooled", "step")


def attack_results(folders: Iterable[CurrentTables], mark: str) -> Results:
    """Return results whose `tests` are those of attacks (no controls, no steps) in all folders; other frames are empty.

    mark: a column with the number of the folder. Columns of `POPULATION` that are the same throughout are left out.
    """
    import pandas as pd

    tables, last = [], None
    for number, folder in enumerate(folders):
        last = folder
        for piece in folder.pieces("tests", list(dict.fromkeys([*_TESTS, *POPULATION]))):
            rows = piece.filter(_wanted(piece))
            coded = {name: _coded(rows.column(name)) for name in rows.column_names}
            tables.append(pa.table({**coded, mark: pa.array([number] * rows.num_rows, pa.int8())}))
    assert last is not None
    table = pa.concat_tables(tables).unify_dictionaries()
    constant = [name for name in POPULATION if len(pc.unique(_plain(table.column(name)))) < 2]
    table = table.drop_columns(constant)
    plain = pa.table({name: _plain(table.column(name)) for name in table.column_names})
    nothing = pd.DataFrame()
    attacks = pd.DataFrame({name: pd.Series(dtype="float64") for name in _ATTACKS})
    frames = dict.fromkeys(("images", "models", "tunings", "failures"), nothing)
    meta = Meta("comparison")
    return Results(Path(), attacks=attacks, tests=plain.to_pandas(), meta=meta, tables=last, **frames)


def _wanted(rows: pa.Table) -> pa.Array:
    final = pc.and_(pc.is_null(rows.column("step")), pc.is_valid(rows.column("asr")))
    return pc.and_(final, pc.invert(pc.fill_null(rows.column("control"), False)))


def _coded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_string(column.type) else column


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
