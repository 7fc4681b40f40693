"""`dumb-bench report`: figures, tables and the page, from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dumb_bench.cli_options import Plugins, catalogue_of
from dumb_bench.errors import InputError
from dumb_bench.redaction import without_secrets

Folders = Annotated[
    list[str], typer.Argument(metavar="RESULTS...", help="Result folders; several are laid side by side.")
]


def draw(
    results: str,
    out: Path,
    plugin: list[Path] | None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    where: Sequence[str] = (),
) -> Path:
    """Write the report of one result folder and return its page, or with `only` the folder of figures."""
    from dumb_bench.report.generate import generate
    from dumb_bench.report.style import PLAIN, parse_style

    style = parse_style(settings) if settings else PLAIN
    return generate(Path(results), out, catalogue=catalogue_of(plugin), only=only, where=where, style=style)


def draw_report(
    results: Folders,
    out: Annotated[Path | None, typer.Option(help="Folder of the report [default: reports/NAME].")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="FIGURE", help="This figure; repeatable.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Only such tests and their controls; repeatable."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="style.KEY=VALUE", help="A matplotlib setting, or style.dpi.")
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Draw every figure and table again from stored results; neither torch nor Ray is needed."""
    for place in results:
        if "://" in place:
            raise InputError(
                f"{without_secrets(place)}: report reads a local folder; copy the result folder here first"
            )
    folders = [Path(place.rstrip("/")) for place in results]
    target = out or Path("reports") / "-and-".join(folder.name for folder in folders)
    if len(folders) == 1:
        typer.echo(f"report: {draw(results[0], target, plugin, only or (), settings or (), where or ())}")
        return
    from dumb_bench.report.side_by_side import generate_all
    from dumb_bench.report.style import PLAIN, parse_style

    style = parse_style(settings) if settings else PLAIN
    found = generate_all(
        folders, target, catalogue=catalogue_of(plugin), only=only or (), where=where or (), style=style
    )
    for line in found.mixed:
        typer.echo(f"mixed: {line}", err=True)
    typer.echo(f"report: {found.place}")
