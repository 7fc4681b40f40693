"""`dumb-bench merge` and `dumb-bench compare`: result folders made one, and laid side by side. No torch, no Ray."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dumb_bench.cli_options import AsJson
from dumb_bench.redaction import without_secrets
from dumb_bench.wording import printable

Folders = Annotated[list[str], typer.Argument(metavar="RESULTS...", help="Two result folders or more.")]
OneFolder = Annotated[str, typer.Argument(metavar="A", help="A result folder.")]
OtherFolder = Annotated[str, typer.Argument(metavar="B", help="Another one.")]


def merge(
    folders: Folders,
    results: Annotated[str, typer.Option(metavar="OUT", help="A new folder or URI for the merged results.")],
) -> None:
    """Write the union of result folders, row by id; refuse one id with other content. Times and hosts: the first's."""
    from dumb_bench.store.merging import merge_folders

    found = merge_folders(folders, results)
    for name, rows in found.rows.items():
        typer.echo(f"{name}: {rows:,} rows" + (f", {found.common[name]:,} in common" if found.common[name] else ""))
    if found.kept:
        texts = ", ".join(f"{column} ({rows:,})" for column, rows in found.kept.items())
        typer.echo(f"taken from the first folder, where rows in common differ: {texts}")
    for line in found.mixed:
        typer.echo(printable(f"mixed: {line}"))
    typer.echo(f"results: {without_secrets(results)}")


def compare(first: OneFolder, second: OtherFolder, as_json: AsJson = False) -> None:
    """Say which rows two result folders share and where they differ; exit 3 where results do (not times or hosts)."""
    from dumb_bench.report.comparison import comparison, text

    found = comparison(first, second)
    typer.echo(json.dumps(found.document, indent=1, allow_nan=False) if as_json else text(found.document))
    if not found.equal:
        raise typer.Exit(3)
