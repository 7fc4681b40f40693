"""`dumb-bench images`: the clean images that a grid attacks, handed out to code that is not ours to change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dumb_bench.cli_options import DATA, Data, GridFile, MaxTests, Plugins, catalogue_of


def images(
    grid: GridFile,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the images.")],
    plugin: Plugins = None,
    data: Data = DATA,
    max_tests: MaxTests = 5_000_000,
) -> None:
    """Write the clean images that a grid attacks as PNG files, with an index, for somebody else's code to change."""
    from dumb_bench.runner.clean_images import write_images

    number = write_images(grid, catalogue_of(plugin, data), out, max_tests)
    typer.echo(f"{number:,} images; index: {out / 'index.csv'}")
