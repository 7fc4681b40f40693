"""The command line. Nothing heavy is imported before it is known which command runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dumb_bench.cli_options import (
    DATA,
    AsJson,
    Data,
    GridFile,
    MaxTests,
    Models,
    Offline,
    Plugins,
    Results,
    ResultsPlace,
    Sets,
    StorePlace,
    catalogue_of,
)
from dumb_bench.command_errors import clean_errors
from dumb_bench.draw import draw, draw_report
from dumb_bench.errors import InputError
from dumb_bench.export import export
from dumb_bench.hand_out import images
from dumb_bench.import_published import imports
from dumb_bench.redaction import without_secrets
from dumb_bench.two_results import compare, merge
from dumb_bench.wording import printable

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="How well do adversarial examples made on a surrogate fool a victim trained under other conditions?",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
checks = typer.Typer(help="Check a plugin, or stored results.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(checks, name="check")
app.add_typer(imports, name="import")


def main() -> None:
    """Run the command line; turn errors of the user's into one line and exit code 2."""
    with clean_errors():
        code = app(standalone_mode=False, args=sys.argv[1:])
    raise SystemExit(code if isinstance(code, int) else 0)


@app.command()
def run(
    grid: GridFile,
    results: ResultsPlace = None,
    store: StorePlace = None,
    address: Annotated[str, typer.Option(help="local, serial, auto, or HOST:PORT of a Ray cluster.")] = "local",
    profile: Annotated[Path | None, typer.Option(help="A cluster profile (TOML): resources, time limits.")] = None,
    slots: Annotated[int | None, typer.Option(min=1, max=10_000, help="Units at a time [default: one a CPU].")] = None,
    gpus_per_slot: Annotated[float, typer.Option(min=0.0, help="GPUs of a slot, possibly a fraction.")] = 0.0,
    plugin: Plugins = None,
    model: Models = None,
    sets: Sets = None,
    data: Data = DATA,
    offline: Offline = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try units again that failed before.")] = False,
    retry_errors: Annotated[str, typer.Option(metavar="TYPE,...", help="Try units again with these errors.")] = "",
    max_tests: MaxTests = 5_000_000,
    report: Annotated[bool, typer.Option(help="Draw the report at the end.")] = True,
) -> None:
    """Run a grid: train, attack, score, write tables and a report. What is stored already is not done again."""
    from rich.console import Console

    from dumb_bench.grid_file import read_grid
    from dumb_bench.runner.profile import chosen_profile
    from dumb_bench.runner.progress import ProgressWatcher
    from dumb_bench.runner.retry import error_types
    from dumb_bench.runner.run import RunOptions, run_grid
    from dumb_bench.store.status import default_store

    catalogue = catalogue_of(plugin, data, download=not offline, models=model, sets=sets)
    name = read_grid(grid, catalogue)[0].name
    place = results or str(Path("results") / name)
    shown = without_secrets(place)
    options = RunOptions(
        results=place, store=store or default_store(place), address=address,
        profile=chosen_profile(profile, slots, gpus_per_slot), retry_failed=retry_failed,
        retry_errors=error_types(retry_errors), max_tests=max_tests,
    )  # fmt: skip
    console = Console(stderr=True)
    watcher = ProgressWatcher(console)
    try:
        summary = run_grid(
            grid,
            catalogue,
            options,
            watcher,
            lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True),
        )
    finally:
        watcher.close()
    for line in summary.quarantined:
        typer.echo(f"damaged, moved to quarantine and done again: {line}", err=True)
    if summary.cpu_seconds:
        spent = ", ".join(f"{kind} {seconds:.0f}" for kind, seconds in sorted(summary.cpu_seconds.items()))
        typer.echo(f"CPU seconds in the slots: {spent}")
    done = ", ".join(f"{number:,} {kind}" for kind, number in sorted(summary.done.items()))
    if done:
        typer.echo(f"units done now: {done}")
    elif summary.failures and not summary.failed_now:
        typer.echo("nothing done: what is missing has failed before; --retry-failed tries it again")
    elif summary.failures:
        typer.echo(f"nothing done: all {summary.failed_now:,} units that were tried failed")
    elif not summary.interrupted:
        typer.echo("nothing to do: every unit is stored already")
    typer.echo(f"rows in tests: {summary.rows.get('tests', 0):,} of {summary.planned:,} planned")
    if summary.interrupted:
        typer.echo("interrupted: what is done is stored; the same command goes on from here", err=True)
        raise typer.Exit(summary.exit_code)
    if summary.failures:
        typer.echo(f"failed units: {summary.failures} (reasons: `dumb-bench status {shown}`)", err=True)
    typer.echo(f"results: {shown}")
    if report and "://" not in place:
        out = Path("reports") / Path(place).name if results is None else Path(place) / "report"
        typer.echo(f"report:  {draw(place, out, plugin)}")
    raise typer.Exit(summary.exit_code)


@app.command()
def plan(
    grid: GridFile,
    results: ResultsPlace = None,
    store: StorePlace = None,
    plugin: Plugins = None,
    model: Models = None,
    sets: Sets = None,
    data: Data = DATA,
    max_tests: MaxTests = 5_000_000,
    as_json: AsJson = False,
) -> None:
    """Count what a grid asks for and what of it is done, estimate its cost, and name what cannot be. Writes nothing."""
    from dumb_bench.runner.describe import describe_plan, plan_text
    from dumb_bench.store.status import default_store

    def store_of(name: str) -> str:
        return store or default_store(results or str(Path("results") / name))

    found = describe_plan(grid, catalogue_of(plugin, data, models=model, sets=sets), store_of, max_tests)
    typer.echo(json.dumps(found, indent=1) if as_json else plan_text(found))


@app.command()
def fetch(
    grid: GridFile,
    plugin: Plugins = None,
    model: Models = None,
    sets: Sets = None,
    data: Data = DATA,
    max_tests: MaxTests = 5_000_000,
) -> None:
    """Download what a grid's sources lack, read every split once, and its named initial weights; nothing else."""
    from dumb_bench.runner.fetch import fetch_grid, fetch_weights

    catalogue = catalogue_of(plugin, data, download=True, models=model, sets=sets)
    for found in fetch_grid(grid, catalogue, max_tests):
        typer.echo(f"{found.source} ({found.task}): {found.images:,} images")
    for name in fetch_weights(grid, catalogue, max_tests):
        typer.echo(f"initial weights: {name}")


@app.command()
def status(results: Results, store: StorePlace = None, as_json: AsJson = False) -> None:
    """Say what is done, running and failed, from the store alone."""
    from dumb_bench.store.status import read_status

    found = read_status(results, store)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(
        f"{found['name']}: {found['tests_done']:,} of {found['tests']:,} rows, "
        f"{found['models_done']:,} of {found['models']:,} models"
    )
    typer.echo(
        f"running: {len(found['running'])}{' (if its driver is alive)' if found['running'] else ''}, "
        f"failed: {len(found['failed'])}, last event: {found['last_event'] or 'none'}"
    )
    for item in found["failed"]:
        first = (item["message"] or "").partition("\n")[0]
        typer.echo(printable(f"  failed: {item['unit']}: {item['error_type']}: {first}"))


@app.command("list")
def list_plugins(
    kind: Annotated[str, typer.Argument(help="attacks, sources, tasks, architectures, modifiers, posteriors, ...")],
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List what a grid can name."""
    from dumb_bench.listing import listing, text

    rows = listing(kind, catalogue_of(plugin))
    typer.echo(json.dumps(rows, indent=1) if as_json else text(rows))


@checks.command("attack")
def check_attack(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Attacks, or a family.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every attack in reach.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE of a parameter; repeatable.")] = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Run the conformance checks on attacks; exit 3 when one fails."""
    from dumb_bench.conformance.survey import settings_of, summary, survey
    from dumb_bench.listing import chosen_attacks

    catalogue = catalogue_of(plugin)
    chosen = chosen_attacks(catalogue, names or (), everything)
    single = names == [item.name for item in chosen] and len(chosen) == 1
    width = max(len(item.name) for item in chosen)
    rows = []
    for row in survey(catalogue, chosen, settings_of(settings or ())):
        rows.append(row)
        if not as_json:
            typer.echo(row.details if single else row.line(width))
    if as_json:
        found: list[Any] = [row.as_dict() for row in rows]
        typer.echo(json.dumps(found[0]["checks"] if single else found, indent=1))
    elif not single:
        typer.echo(summary(rows))
    if any(row.failed for row in rows):
        raise typer.Exit(3)


@checks.command("results")
def check_results(results: Results, store: StorePlace = None) -> None:
    """Read and verify every file of a result folder and of its store; exit 3 when one is damaged."""
    from dumb_bench.store.status import check_folder

    problems, checked = check_folder(results, store)
    for problem in problems:
        typer.echo(f"damaged: {problem}")
    typer.echo(f"{checked}; {len(problems)} damaged" + (": run the grid again to restore them" if problems else ""))
    if problems:
        raise typer.Exit(3)


@checks.command("data")
def check_data(grid: GridFile, plugin: Plugins = None, data: Data = DATA, max_tests: MaxTests = 5_000_000) -> None:
    """Read every image of a grid's sources and name what is broken, doubled or too few; nothing is trained."""
    from dumb_bench.runner.check_data import check_grid

    found = check_grid(grid, catalogue_of(plugin, data), max_tests)
    for line in (*found.notes, *found.whole):
        typer.echo(printable(line))
    if found.faults:
        raise InputError("\n".join(found.faults))


@app.command()
def compact(results: Results, store: StorePlace = None) -> None:
    """Merge the store's loose parts into segments and write the result folder's tables again."""
    from dumb_bench.store.status import compact_results

    rows = compact_results(results, store)
    typer.echo(", ".join(f"{name} {number:,}" for name, number in rows.items()))


app.command()(export)
app.command()(images)
app.command("report")(draw_report)
app.command()(merge)
app.command()(compare)
