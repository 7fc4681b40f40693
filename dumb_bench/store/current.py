"""The tables of a result folder as they are at this moment: its own files, or the store's while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from dumb_bench.errors import InputError
from dumb_bench.store.assemble import Assembly, partial
from dumb_bench.store.results import ResultFolder
from dumb_bench.store.status import open_store, read_plan


class CurrentTables:
    """Verified tables of a result folder.

    The folder's own files where they are those of its plan; else what the store holds of that plan (a run is under way,
    or was stopped). A folder without a plan, an archived one, is taken as it is.
    """

    def __init__(self, folder: str) -> None:
        self.folder = ResultFolder.open(folder, create=False)
        try:
            self.plan: dict[str, Any] | None = read_plan(self.folder)
        except InputError:
            self.plan = None
        written = self.folder.plan_digest()
        if written is None and self.plan is None:
            raise InputError(f"{self.folder.place.name}: is no result folder (neither tables nor plan.json)")
        self.complete = written is not None and (self.plan is None or self.plan["digest"] == written)
        if self.plan is not None and written == partial(self.plan):
            try:
                open_store(self.folder.place.uri, self.plan, None)
            except InputError:
                self.complete = True  # rows are missing, and there is no store to ask

    @cached_property
    def _assembled(self) -> Assembly:
        assert self.plan is not None
        store = open_store(self.folder.place.uri, self.plan, None)
        return Assembly(store, self.plan)

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table, or some of its columns.

        Raises:
            DamagedFileError: a file of the folder is torn or altered.
            InputError: the folder's tables are of an earlier plan and its store is not there.
        """
        if self.complete:
            return self.folder.read_table(name, columns)
        table = self._assembled.table(name)
        return table if columns is None else table.select(list(columns))

    def pieces(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of a table, some thousands of rows at a time; sorted where the folder is `complete`.

        Raises as `read`, later.
        """
        if self.complete:
            yield from self.folder.pieces(name, columns)
            return
        for piece in self._assembled.pieces(name):
            yield piece.select(list(columns))
