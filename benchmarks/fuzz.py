"""Thousands of bad grids and damaged files: never a traceback, never exit code 1, never a write elsewhere.

    uv run python benchmarks/fuzz.py --cases 10000 --seed 0

Three cases of four are grids, through `plan`; the others a finished small run whose files are damaged, through
`status`, `check results`, `report`, `compact` and `dumb_bench.load`. Prints the counts by outcome and each fault with
the number of its case, which `--only NUMBER` makes again; exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from fuzz_files import Bases, build, damage, files_of
from fuzz_grids import mutated_grid
from fuzz_watch import PATIENCE, Ended, Writes, called, command

REPORT_SHARE = 0.02
"""How often a report is drawn, which takes seconds where the damage does not matter to it."""

MEMORY = 6 * 2**30
"""Bytes of data that the process may hold: what an absurd grid must not exceed."""


SHOWN = 3
"""Faults of one signature that are printed."""


class Case(NamedTuple):
    """A case that was run. faults: what must never be."""

    kind: str
    outcome: str
    faults: tuple[str, ...]
    seconds: float


class Fuzz:
    """Runs cases below a folder of its own, by number: a case depends on the seed and its number alone."""

    def __init__(self, folder: Path, seed: int, *, grids: bool = True, files: bool = True) -> None:
        from dumb_bench import cli
        from dumb_bench.catalogue import Catalogue, DataPlace

        self.folder, self.seed = folder, seed
        self.kinds = [kind for kind, wanted in (*[("grid", grids)] * 3, ("files", files)) if wanted]
        self.writes = Writes()
        self.bases: Bases | None = build(folder / "bases") if files else None
        self.truth = _rows(self.bases.folders["segments"] / "tiny") if self.bases else {}
        shared = Catalogue(data=DataPlace((folder / "data").absolute()))
        self._patch = mock.patch.object(cli, "catalogue_of", lambda *given, **named: shared)

    def run(self, number: int) -> Case:
        """Run one case; its files stay in the folder `case` until the next."""
        chance = random.Random(f"{self.seed} {number}")
        place = self.folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        kind = self.kinds[number % len(self.kinds)]
        with self._patch, self.writes.watch():
            return self._grid(place, chance) if kind == "grid" else self._files(place, chance)

    def _grid(self, place: Path, chance: random.Random) -> Case:
        data, how = mutated_grid(chance)
        grid = place / "grid.toml"
        self.writes.watching = False
        grid.write_bytes(data)
        self.writes.watching = True
        ended = command(
            "plan", grid, *(["--json"] if chance.random() < 0.5 else []), "--max-tests", 20_000, codes=(0, 2)
        )
        faults = [ended.fault] if ended.fault else []
        faults += [f"plan wrote {path}" for path in self.writes.outside(())]
        outcome = "planned" if ended.code == 0 else "refused" if ended.code == 2 else "fault"
        return Case(f"grid, {how}", outcome, tuple(faults), ended.seconds)

    def _files(self, place: Path, chance: random.Random) -> Case:
        assert self.bases is not None
        self.writes.watching = False
        outside, root = place / "outside", place / "runs"
        outside.mkdir()
        (outside / "kept.txt").write_text("kept")
        results = self.bases.copied(chance, root)
        how = damage(root, outside, chance)
        before = _bytes_below(outside)
        self.writes.watching = True
        faults: list[str] = []
        endings: list[str] = []
        seconds = 0.0
        trusted = not {"resealed", "reseated"}.intersection(how)
        for name, ended in self._commands(results, place, chance, trusted):
            faults += [f"{name}: {ended.fault}"] if ended.fault else []
            endings.append(str(ended.code))
            seconds += ended.seconds
        faults += [f"wrote {path}" for path in self.writes.outside((root, place / "report"))]
        if _bytes_below(outside) != before:
            faults.append("files outside the store were changed")
        outcome = "fault" if faults else "refused" if "2" in endings else "damage told" if "3" in endings else "read"
        return Case(f"files, {how[0] if len(how) == 1 else 'several'}", outcome, tuple(faults), seconds)

    def _commands(
        self, results: Path, place: Path, chance: random.Random, trusted: bool
    ) -> Iterator[tuple[str, Ended]]:
        names = ["status", "check", "compact", "load"]
        chance.shuffle(names)
        if chance.random() < REPORT_SHARE:
            names.insert(0, "report")
        for name in names[: chance.choice((2, 3, 5))]:
            match name:
                case "status":
                    more = ["--json"] if chance.random() < 0.5 else []
                    yield name, command("status", results, *more, codes=(0, 2))
                case "check":
                    yield name, command("check", "results", results, codes=(0, 2, 3))
                case "compact":
                    yield name, command("compact", results, codes=(0, 2))
                case "report":
                    yield name, command("report", results, "--out", place / "report", codes=(0, 2))
                case _:
                    yield name, called(lambda: self._load(results, trusted), (0, 2), PATIENCE)

    def _load(self, results: Path, trusted: bool) -> int:
        """Load the tables; a refusal with a documented error is an ending with code 2.

        trusted: no valid seal was forged, so that whatever is read must be true.
        """
        from dumb_bench.errors import DamagedFileError, InputError, SchemaError

        try:
            rows = _rows(results)
        except (InputError, DamagedFileError, SchemaError, OSError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 2
        assert not trusted or rows.items() <= self.truth.items(), "rows that were never written"
        return 0


def signature(fault: str) -> str:
    """Return a traceback's last place in the package and its last line; of other faults, the first line."""
    places = re.findall(r'File ".*/(dumb_bench/.*?)", line (\d+), in (\S+)', fault)
    where = ":".join(places[-1]) if places else ""
    return f"{where} {fault.strip().splitlines()[-1 if places else 0][:300]}"


def _rows(results: Path) -> dict[str, Any]:
    import dumb_bench

    tests = dumb_bench.load(results).tests
    return dict(zip(tests["test_id"], tests["n_success"], strict=True))


def _bytes_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in files_of(folder) if path.is_file()}


def main() -> int:
    """Run the cases, and print what became of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases to run again")
    parser.add_argument("--kind", choices=("both", "grids", "files"), default="both")
    parser.add_argument("--keep", type=Path, help="a folder for the case's files, kept at the end")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    memory = Path("/dev/shm")
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    started, spent = time.perf_counter(), time.process_time()
    fuzz = Fuzz(folder, asked.seed, grids=asked.kind != "files", files=asked.kind != "grids")
    print(f"bases built in {time.perf_counter() - started:.0f} s", flush=True)
    counts: Counter[tuple[str, str]] = Counter()
    seen: Counter[str] = Counter()
    slowest: list[tuple[float, int]] = []
    faults = 0
    for number in asked.only or range(asked.cases):
        if time.perf_counter() - started > asked.seconds:
            break
        case = fuzz.run(number)
        counts[case.kind, case.outcome if not case.faults else "fault"] += 1
        slowest = sorted([*slowest, (case.seconds, number)])[-5:]
        for fault in case.faults:
            faults += 1
            sort = signature(fault)
            seen[sort] += 1
            if seen[sort] <= SHOWN:
                print(f"--- case {number} ({case.kind}): {sort}\n{fault[-1500:] if asked.only else ''}", flush=True)
    for (kind, outcome), number in sorted(counts.items()):
        print(f"{number:7,}  {kind}: {outcome}")
    print(f"{counts.total():,} cases, seed {asked.seed}: {faults} faults; "
          f"{time.perf_counter() - started:.0f} s, {time.process_time() - spent:.0f} s of CPU")  # fmt: skip
    print("slowest:", ", ".join(f"case {number} {seconds:.1f} s" for seconds, number in reversed(slowest)))
    if asked.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
