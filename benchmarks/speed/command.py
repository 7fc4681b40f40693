"""The command `python -m benchmarks`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from dumb_bench.errors import InputError

from . import grids
from .limits import measure_limits
from .machine import described
from .page import machine_limits, ratios, stages, starts, to_markdown, to_terminal, utilisation
from .rounds import IDEAL, NAIVE, Measured, measure
from .success import DisagreementError

LEAST_ROUNDS = 3


class Which(StrEnum):
    """The studies."""

    ideal = "ideal"
    naive = "naive"
    both = "both"


class Numerics(StrEnum):
    """How networks are executed."""

    exact = "exact"
    fast = "fast"


class Attacks(StrEnum):
    """The form of the fourteen attacks."""

    own = "own"
    published = "published"


class Search(StrEnum):
    """How the harness looks for a strength."""

    full = "full"
    pruned = "pruned"


def benchmark(
    rounds: Annotated[
        int, typer.Option(min=1, help=f"Rounds of each study; below {LEAST_ROUNDS} nothing is written.")
    ] = 5,
    study: Annotated[
        Which, typer.Option(help="Against the ideal loop, against the naive script, or both.")
    ] = Which.both,
    grid: Annotated[
        Path, typer.Option(help="The study that is measured against the ideal loop.", show_default="quickstart")
    ] = grids.GRIDS / "quickstart.toml",
    quick: Annotated[
        bool, typer.Option("--quick", help="Cut it to one balance and one seed, the naive script's to two models.")
    ] = False,
    numerics: Annotated[Numerics, typer.Option(help="Of the harness and the ideal loop.")] = Numerics.exact,
    deepfool_by_image: Annotated[
        bool,
        typer.Option("--deepfool-by-image", help="The naive script's DeepFool takes image by image, as torchattacks."),
    ] = False,
    attacks: Annotated[
        Attacks, typer.Option(help="Against the naive script: in the package's form, or the published one.")
    ] = Attacks.own,
    search: Annotated[
        Search, typer.Option(help="Of strengths by the harness, for the same choice; the naive script looks at all.")
    ] = Search.pruned,
    per_class: Annotated[
        int, typer.Option(min=2, max=38, help="Against the naive script: images a class, to tune on and to attack.")
    ] = 10,
    write: Annotated[Path | None, typer.Option(help="Write the tables to this file, as Markdown.")] = None,
) -> None:
    """Measure the harness beside an ideal loop, a naive script and the machine's limit, in turn, on one thread."""
    console = Console()

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    torch.set_num_threads(1)
    if write is not None and rounds < LEAST_ROUNDS:
        raise InputError(f"--rounds: expected at least {LEAST_ROUNDS} with --write, got {rounds}")
    if not grid.is_file():
        raise InputError(f"--grid: {grid} is no file")
    if numerics is Numerics.fast and study is not Which.ideal:
        raise InputError("--numerics: the naive script has no fast form; add --study ideal")
    found: list[Measured] = []
    if study is not Which.naive:
        text = (grids.quick if quick else grids.whole)(grid, numerics.value)
        name = f"{grid.stem}{', cut' if quick else ''}{', fast' if numerics is Numerics.fast else ''}"
        found.append(measure(name, text, rounds, IDEAL, say, report=True))
    if study is not Which.ideal:
        text = grids.fourteen(
            numerics.value,
            small=quick,
            published=attacks is Attacks.published,
            search=search.value,
            per_class=per_class,
        )
        models = "two" if quick else "six"
        name = f"fourteen attacks, {attacks.value} form, {search.value} search, {models} models, {2 * per_class} images"
        found.append(measure(name, text, rounds, NAIVE, say, by_image=deepfool_by_image))
    limits = measure_limits(found[0].study)
    shown = [ratios(found), *(stages(item) for item in found)]
    shown += [utilisation(item, limits) for item in found if item.rival == IDEAL]
    shown += [machine_limits(limits), starts(limits)]
    to_terminal(shown, console)
    if write is not None:
        command = " ".join(["uv run python -m benchmarks", *sys.argv[1:]])
        write.write_text(to_markdown(shown, described(), command), encoding="utf-8")


def main() -> None:
    """Run the command: exit code 1 where programs disagree, 2 for bad input, with one line that says what."""
    try:
        typer.run(benchmark)
    except (InputError, DisagreementError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
