"""Rounds in which the programs run in turn, each checked against the harness before its time counts."""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from dumb_bench.catalogue import Catalogue

from .clock import Clock
from .flops import Images
from .grids import warm_up
from .harness import Ran, run_harness
from .ideal import Ideal
from .naive import Naive, without_controls
from .peak import convolution_peak
from .study import Study, read_study
from .success import require_equal_tables, require_equal_weights

_ENDED = object()
HARNESS, IDEAL, NAIVE = "harness", "ideal loop", "naive script"


class Spread(NamedTuple):
    """Median, smallest and largest of some rounds."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Return how values spread."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass
class Measured:
    """A study as measured: the clocks of every program, one a round, in the same order.

    peaks: GFLOP/s of the best convolution, fp32, beside each round. done: images that went through networks. units: CPU
    seconds of the harness's units by kind, of every round. report: CPU seconds of the report. notes: what the tables do
    not say.
    """

    name: str
    study: Study
    tests: int
    rival: str
    clocks: dict[str, list[Clock]] = field(default_factory=dict)
    units: list[dict[str, float]] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    done: Images = field(default_factory=Images)
    report: float | None = None
    notes: list[str] = field(default_factory=list)

    def ratios(self, over: str, under: str, stages: Sequence[str] | None = None, *, wall: bool = False) -> Spread:
        """Return how many times more seconds one program takes than another, round by round."""

        def seconds(clock: Clock) -> float:
            if stages is not None:
                return sum(clock.stages.get(stage, 0.0) for stage in stages)
            return clock.wall if wall else clock.cpu

        pairs = zip(self.clocks[over], self.clocks[under], strict=True)
        return spread([seconds(above) / seconds(below) for above, below in pairs])

    def untrained(self) -> Spread:
        """Return how many times more the rival takes than the harness, training left out of both."""
        pairs = zip(self.clocks[self.rival], self.clocks[HARNESS], strict=True)
        left = [tuple(clock.cpu - clock.stages["training"] for clock in pair) for pair in pairs]
        return spread([above / below for above, below in left])

    def stages(self, program: str) -> dict[str, Spread]:
        """Return a program's CPU seconds by stage, the longest first."""
        clocks = self.clocks[program]
        names = dict.fromkeys(name for clock in clocks for name in clock.stages)
        found = {name: spread([clock.stages.get(name, 0.0) for clock in clocks]) for name in names}
        return dict(sorted(found.items(), key=lambda item: -item[1].median))


def measure(
    name: str,
    text: str,
    rounds: int,
    rival: str,
    say: Callable[[str], None],
    *,
    by_image: bool = False,
    report: bool = False,
) -> Measured:
    """Measure the harness and a rival on a grid, in turn, so many rounds after one that warms up the harness.

    text: of the grid. by_image: the naive script's DeepFool takes one image after the other. report: draw the
    harness's report, too, once.

    Raises:
        DisagreementError: they do not compute the same.
        InputError: the grid is bad, or asks for what the rival does not do.
    """
    catalogue = Catalogue()
    with tempfile.TemporaryDirectory() as folder:
        grid = Path(folder) / "grid.toml"
        grid.write_text(text, encoding="utf-8")
        study = read_study(grid, catalogue)
        found = Measured(name, study, 0, rival, {HARNESS: [], rival: []})
        _warm_up(text, catalogue)
        for number in range(rounds):
            before = convolution_peak(torch.float32).gflops
            own, other = _round(found, grid, catalogue, number, by_image=by_image, report=report and number == 0)
            found.peaks.append((before + convolution_peak(torch.float32).gflops) / 2)
            say(f"{name}, round {number + 1}: tables agree; CPU s {own.cpu:.1f} harness, {other.cpu:.1f} {rival}")
    return found


def _round(
    found: Measured, grid: Path, catalogue: Catalogue, number: int, *, by_image: bool, report: bool
) -> tuple[Clock, Clock]:
    """Run both programs; nothing that they made outlives the round.

    The naive script first in odd rounds, the harness in even ones. The ideal loop takes turns with the harness: after
    every unit it goes on until it has used as much CPU time, so that a machine that is slow meanwhile is so for both.
    """
    own, other = Clock(), Clock()
    rival = found.rival
    loop: Ideal | Naive
    with _empty() as place:
        gc.collect()
        if rival == IDEAL:
            loop = Ideal(found.study, other)
            ran = _in_turns(loop, grid, catalogue, place / "harness", own)
        else:
            (place / "naive").mkdir()
            loop = Naive(found.study, other, place / "naive", by_image)
            if number % 2:
                loop.run()
                gc.collect()
            ran = run_harness(grid, catalogue, place / "harness", own)
            if not number % 2:
                gc.collect()
                loop.run()
        require_equal_weights(ran.weights, loop.weights, rival)
        tests = ran.tests if rival == IDEAL else without_controls(ran.tests)
        require_equal_tables(tests, loop.tests, rival)
        if report:
            found.report = _report_seconds(place / "harness" / "results")
    found.tests = len(tests)
    found.clocks[HARNESS].append(own)
    found.clocks[rival].append(other)
    found.units.append(ran.units)
    _note(found, loop, len(ran.tests) - len(tests))
    return own, other


def _in_turns(loop: Ideal, grid: Path, catalogue: Catalogue, folder: Path, clock: Clock) -> Ran:
    """Run the harness, and the loop between its units."""
    steps = loop.steps()

    def between() -> None:
        while loop.clock.cpu < clock.so_far:
            with clock.paused():
                if next(steps, _ENDED) is _ENDED:
                    return

    ran = run_harness(grid, catalogue, folder, clock, between)
    for _ in steps:
        pass
    return ran


@contextmanager
def _empty() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _warm_up(text: str, catalogue: Catalogue) -> None:
    """Run a small form of the study, so that data and what a first unit imports are there before any clock runs."""
    with _empty() as place:
        grid = place / "grid.toml"
        grid.write_text(warm_up(text), encoding="utf-8")
        run_harness(grid, catalogue, place, Clock())


def _report_seconds(results: Path) -> float:
    """Return the CPU seconds of drawing the report, after the imports that it needs."""
    from dumb_bench.report.generate import generate

    with _empty() as out:
        generate(results, out / "first", only=["overview"])
        clock = Clock()
        with clock.running():
            generate(results, out / "report")
    return clock.cpu


def _note(found: Measured, loop: Ideal | Naive, controls: int) -> None:
    if isinstance(loop, Ideal):
        found.done = loop.done
    if isinstance(loop, Naive):
        found.notes = [
            f"The script decodes {loop.decoded:,} files and loads models {loop.loaded:,} times.",
            f"The harness's time includes {controls:,} tests of controls, which the script does not make.",
        ]
