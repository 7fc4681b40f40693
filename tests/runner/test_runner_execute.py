"""One unit inside a slot: what it writes, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from minigrid import Quiet, mini_grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.runner.compact_unit import CompactUnit
from dumb_bench.runner.execute import SlotSettings, Worker
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.runner.serial import SerialExecutor
from dumb_bench.runner.units import Outcome, TrainUnit, Unit
from dumb_bench.store.store import Store


def test_a_unit_writes_its_rows_once_and_a_training_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    ran: list[Unit] = []
    put = Store.put

    def counted(store: Store, key: str, tables: Any) -> None:
        written.append(key)
        put(store, key, tables)

    class Watched(Worker):
        def __call__(self, unit: Unit, halvings: int = 0) -> Outcome:
            ran.append(unit)
            return super().__call__(unit, halvings)

    settings = SlotSettings(str(tmp_path / ".store"), Catalogue(), "cpu")
    Store.open(settings.store)
    monkeypatch.setattr(Store, "put", counted)
    monkeypatch.setattr("dumb_bench.runner.run._executor", lambda *_: SerialExecutor(Watched(settings)))
    grid = tmp_path / "mini.toml"
    grid.write_text(mini_grid(sources='["optdigits"]', attacks='[[attacks]]\nname = "fgsm"\nstrength = 0.1\n'))
    options = RunOptions(results=str(tmp_path / "mini"), store=settings.store, address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    rows_of = [unit.key for unit in ran if not isinstance(unit, TrainUnit | CompactUnit)]
    assert sum(isinstance(unit, TrainUnit) for unit in ran) == 1
    assert sorted(written) == sorted(rows_of)
