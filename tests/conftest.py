from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from minigrid import Ended, Quiet, kept_grid, mini_grid
from s3_server import s3_server

torch.set_num_threads(1)
os.environ["DUMB_BENCH_CACHE_GB"] = "0"  # no test may read or fill the cache of whoever runs it


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Call the command line in this process, as the installed script does."""
    from dumb_bench.cli import main

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["dumb-bench", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "500")
        capfd.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as ending:
            code = ending.code or 0
        captured = capfd.readouterr()
        assert isinstance(code, int)
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a grid (or any text) to a file."""

    def save(text: str, name: str = "grid.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return save


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """HOST:PORT of an S3 server, for this process and its children."""
    with s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def mini_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the mini grid, run once in this process; tests must leave them as they are."""
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner.run import RunOptions, run_grid

    folder = tmp_path_factory.mktemp("mini")
    grid = folder / "mini.toml"
    grid.write_text(mini_grid())
    options = RunOptions(results=str(folder / "mini"), store=str(folder / ".store"), address="serial")
    summary = run_grid(grid, Catalogue(), options, Quiet(), lambda line: None)
    assert summary.exit_code == 0
    return folder / "mini"


@pytest.fixture(scope="session")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a small grid that keeps all its adversarial images, run once; tests must leave them as they are."""
    from dumb_bench.catalogue import Catalogue
    from dumb_bench.runner.run import RunOptions, run_grid

    folder = tmp_path_factory.mktemp("kept")
    grid = folder / "kept.toml"
    grid.write_text(kept_grid("all"))
    options = RunOptions(results=str(folder / "mini"), store=str(folder / ".store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    return folder / "mini"
