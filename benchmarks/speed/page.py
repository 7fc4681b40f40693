"""What was measured, as tables: on the terminal, and as the page RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from .flops import least_seconds, total_flops
from .limits import Limits
from .rounds import HARNESS, IDEAL, NAIVE, Measured, Spread, spread

PARTS = ("training", "crafting", "scoring")


class Shown(NamedTuple):
    """A table, and what to know when reading it."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def written(value: Spread, digits: int = 2) -> str:
    """Return a median with the range of the rounds."""
    return f"{value.median:.{digits}f} [{value.least:.{digits}f}, {value.most:.{digits}f}]"


def ratios(studies: Sequence[Measured]) -> Shown:
    """Return the ratios, which are only printed of programs whose tables agree."""
    rows: list[tuple[str, ...]] = []
    for study in studies:
        if study.rival == IDEAL:
            over, under, what = HARNESS, IDEAL, "harness / ideal loop"
        else:
            over, under, what = NAIVE, HARNESS, "naive script / harness"
        rounds = str(len(study.clocks[HARNESS]))
        tests = f"{study.tests:,}"
        rows.append((study.name, what, tests, rounds, written(study.ratios(over, under)),
                     written(study.ratios(over, under, wall=True))))  # fmt: skip
        if study.rival == NAIVE:
            rows.append((study.name, f"{what}, without training", tests, rounds, written(study.untrained()), ""))
        else:
            rows += [
                (study.name, f"{what}, {stage} alone", tests, rounds, written(study.ratios(over, under, [stage])), "")
                for stage in PARTS
            ]
    header = ("study", "ratio", "equal tests", "rounds", "CPU seconds", "wall seconds")
    notes = ("Median [smallest, largest] of the rounds' own ratios. Start-up, imports and the report are left out.",)
    return Shown("Ratios", header, rows, notes)


def stages(study: Measured) -> Shown:
    """Return where the CPU seconds go."""
    both = {program: study.stages(program) for program in (HARNESS, study.rival)}
    rows = []
    for name in dict.fromkeys([*both[HARNESS], *both[study.rival]]):
        cells = [name]
        for program, found in both.items():
            total = sum(clock.cpu for clock in study.clocks[program]) / len(study.clocks[program])
            value = found.get(name)
            cells += [written(value), f"{100 * value.median / total:.1f} %"] if value else ["", ""]
        rows.append(tuple(cells))
    whole = ["all"]
    for program in both:
        cpu = sorted(clock.cpu for clock in study.clocks[program])
        whole += [written(Spread(cpu[len(cpu) // 2], cpu[0], cpu[-1])), "100 %"]
    header = ("stage", "harness, CPU s", "share", f"{study.rival}, CPU s", "share")
    notes = [*study.notes]
    if study.units:
        last = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in study.units[-1].items())
        notes.append(f"CPU seconds of the harness's units, as they say themselves, last round: {last}.")
    if study.report is not None:
        notes.append(f"The report, drawn once: {study.report:.1f} CPU s.")
    return Shown(f"Stages: {study.name}", header, [*rows, tuple(whole)], tuple(notes))


def utilisation(study: Measured, limits: Limits) -> Shown:
    """Return how much of the measured peak of a convolution the irreducible work reaches, by stage."""
    builds = {model.spec.architecture.label: model.build for model in study.study.models.values()}
    flops = total_flops(study.done, builds, study.study.shape)
    least = least_seconds(study.done, builds, study.study.shape, limits.bare)
    rows = []
    for stage in PARTS:
        cells = [stage, f"{flops.get(stage, 0.0) / 1e12:.3f}"]
        for program in (HARNESS, IDEAL):
            rounds = zip(study.clocks[program], study.peaks, strict=True)
            shares = [flops.get(stage, 0.0) / 1e7 / clock.stages[stage] / peak for clock, peak in rounds]
            cells.append(f"{written(spread(shares), 0)} %")
        alone = flops.get(stage, 0.0) / 1e7 / least[stage] / limits.convolution.gflops if stage in least else 0.0
        rows.append((*cells, f"{alone:.0f} %"))
    header = ("stage", "TFLOP", "harness", "ideal loop", "passes alone")
    note = (
        "FLOPs of convolutions and matrix products that the ideal loop needs, over CPU seconds, over the fp32 peak "
        f"measured before and after the round: {written(spread(study.peaks), 0)} GFLOP/s. The last column: the passes "
        "of these networks by themselves, no step, data or loop around them, after the rounds."
    )
    return Shown(f"Utilisation: {study.name}", header, rows, (note,))


def machine_limits(limits: Limits) -> Shown:
    """Return what the machine gives on one thread."""
    rows = [
        (f"3 x 3 convolution, {name}, channels last", f"{peak.gflops:.0f}", peak.shape)
        for name, peak in (("fp32", limits.convolution), ("bf16", limits.convolution_bf16))
    ]
    rows += [
        (f"matrix product, {name}", f"{peak.gflops:.0f}", peak.shape)
        for name, peak in (("fp32", limits.product), ("bf16", limits.product_bf16))
    ]
    rows += [
        (
            f"{name}: {kind} alone",
            f"{rate:.0f}",
            f"{100 * rate / limits.convolution.gflops:.0f} % of the fp32 convolution",
        )
        for (name, kind), rate in limits.bare.items()
    ]
    note = (
        "The last rows are passes of a network by itself, at the batch of its stage: no loop around it can be faster."
    )
    return Shown("The machine's limit, one thread", ("what", "GFLOP/s", "best shape"), rows, (note,))


def starts(limits: Limits) -> Shown:
    """Return what starting costs."""
    rows = [(name, f"{seconds:.2f}") for name, seconds in limits.starts.items()]
    return Shown("Start-up", ("fresh interpreter", "CPU s"), rows)


def to_terminal(shown: Sequence[Shown], console: Console) -> None:
    """Print tables."""
    for table in shown:
        rich = RichTable(*table.header, title=table.title, title_justify="left")
        for row in table.rows:
            rich.add_row(*row)
        console.print(rich)
        for note in table.notes:
            console.print(f"  {note}", markup=False)


def to_markdown(shown: Sequence[Shown], machine: Sequence[str], command: str) -> str:
    """Return the page."""
    lines = [
        "# How fast the harness is", "",
        f"Written by `{command}`; nothing here was typed. Weights are bit-equal and success tables (`n_images`,",
        "`n_victim_correct`, `n_success` of every test) equal in all programs, in every round, or no ratio is written.",
        "", *(f"* {fact}" for fact in machine), "",
    ]  # fmt: skip
    for table in shown:
        lines += [f"## {table.title}", "", _row(table.header), _row(["---"] * len(table.header))]
        lines += [*(_row(row) for row in table.rows), ""]
        for note in table.notes:
            lines += [note, ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
