"""`dumb-bench import`: published result files become a result folder, so that figures and reports can read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dumb_bench.published.records import Imported

imports = typer.Typer(
    help="Turn the published result files of a paper into a result folder.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the published files.")]
Target = Annotated[str, typer.Option(metavar="DIR", help="A new result folder, or one imported before.")]


@imports.command("dumb")
def import_dumb(folder: Folder, results: Target) -> None:
    """Import the evaluation and history files of Alecci et al. (RAID 2023); any subset of tasks and attacks."""
    from dumb_bench.published.dumb import read_dumb
    from dumb_bench.published.summary import case_table

    found = read_dumb(folder)
    _write(found, results)
    _echo(case_table(found.rows["tests"]))


@imports.command("bnn")
def import_bnn(folder: Folder, results: Target) -> None:
    """Import the result files below X_adv of Gubri et al. (UAI 2022)."""
    from dumb_bench.published.bnn import read_bnn
    from dumb_bench.published.bnn_summary import equivalents_of, success_lines

    found = read_bnn(folder)
    _write(found, results)
    _echo(success_lines(found))
    _echo(equivalents_of(results))


def _write(found: Imported, results: str) -> None:
    from dumb_bench.published.folder import write_folder
    from dumb_bench.published.summary import printed, rows_line

    write_folder(found, results)
    for line in found.missing:
        typer.echo(printed([line]), err=True)
    _echo([f"{found.study.citation}", rows_line(found), *found.said])


def _echo(lines: list[str]) -> None:
    from dumb_bench.published.summary import printed

    if lines:
        typer.echo(printed(lines))
