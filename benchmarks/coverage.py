"""Coverage and width of the intervals for the cost of an axis, on simulated grids whose truth is known.

    uv run python benchmarks/coverage.py --grids 2000 --seeds 1,2,3,5,10
    uv run python benchmarks/coverage.py --quick

The model (nothing in it was chosen by looking at the coverage):

    logit E[y_ij] = mu(cell of i, cell of j) + a_i + b_j + c_i(source of j) + d_j(source of i) + e_ij
    y_ij ~ binomial(120, .) / 120                                        surrogate i, victim j

2 sources x 3 architectures x 2 balances = 12 cells a role, S seeds a cell. mu is fixed and not additive: a wave over
the pairs of cells, minus a cost of the source (20 points at one half), of the architecture (12), of the balance (4). a
and b are crossed effects of models (4 points), c and d their interactions with the other's source (4 points), e that of
the pair (2 points). Roles `shared`: one pool, the white-box tests left out; a_i and b_i of one network are independent.
`missing`: every test is dropped with probability .2. `low`, `near 0` and `near 1`: about 15, 3 and 97 % instead of one
half, models three times as different in the logit.

Truth: the same weighted sum of E[y_ij | cells], new seeds in the same cells, by Gauss-Hermite quadrature. Beside the
crossed interval of `dumb_bench.report.effects`: `naive`, tests as independent (variance within a case, normal
quantile), and `bootstrap`, surrogates and victims each resampled as a whole, percentiles of 400.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from dumb_bench.case import case_of
from dumb_bench.report.axis_weights import AXES, axis_contrast, case_codes
from dumb_bench.report.design import Design, design
from dumb_bench.report.effects import crossed
from dumb_bench.report.rates import wilson

Reals = NDArray[np.float64]

IMAGES = 120
RESAMPLES = 400
SLOPE = 0.25
"""d rate / d logit at one half: points at one half are logits times this."""
LEVELS = {"near 0": 0.03, "low": 0.15, "middle": 0.5, "near 1": 0.97}
INTERVALS = ("crossed", "naive", "bootstrap")
MISSING = 0.2


class Scenario(NamedTuple):
    """What is simulated."""

    shared: bool
    interactions: bool
    level: str = "middle"
    missing: bool = False

    @property
    def name(self) -> str:
        """A name for tables."""
        roles = "shared" if self.shared else "apart"
        more = ["with interactions" if self.interactions else "no interactions"]
        return ", ".join([f"roles {roles}", self.level, *more, *(["missing tests"] if self.missing else [])])


class Measured(NamedTuple):
    """Of one effect and interval: grids with an interval, those that hold the truth, mean width."""

    grids: int
    covered: int
    width: float


def scenarios() -> list[Scenario]:
    """Return all scenarios."""
    variants = [("middle", False), ("middle", True), ("low", False), ("near 0", False), ("near 1", False)]
    return [
        Scenario(shared, interactions, level, missing)
        for (level, missing), shared, interactions in itertools.product(variants, (False, True), (True, False))
    ]


def pairs_of(scenario: Scenario, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return the tests of one grid: roles' columns, case, and the cells i, j and seeds s, v."""
    cells = list(itertools.product("ab", "xyz", ("50/50", "20/80")))
    keys = ("source", "architecture", "balance")
    rows = []
    for (i, s), (j, v) in itertools.product(itertools.product(range(len(cells)), range(seeds)), repeat=2):
        if scenario.shared and (i, s) == (j, v):
            continue
        own = {f"surrogate_{key}": value for key, value in zip(keys, cells[i], strict=True)}
        theirs = {f"victim_{key}": value for key, value in zip(keys, cells[j], strict=True)}
        case = case_of(**{f"{key}_differs": a != b for key, a, b in zip(keys, cells[i], cells[j], strict=True)})
        seed = {"surrogate_seed": s, "victim_seed": v if scenario.shared else 100 + v}
        rows.append({**own, **theirs, **seed, "case": case, "i": i, "j": j, "s": s, "v": v})
    frame = pd.DataFrame(rows)
    if scenario.missing:
        frame = frame[rng.random(len(frame)) >= MISSING].reset_index(drop=True)
    return frame


def simulated(
    tests: pd.DataFrame, scenario: Scenario, seeds: int, grids: int, rng: np.random.Generator
) -> tuple[Reals, Reals]:
    """Return E[y | cells] (T,) and observed rates (T, grids)."""
    i, j, s, v = (tests[key].to_numpy() for key in "ijsv")
    case = case_codes(tests["case"].to_numpy())
    scale = 1.0 if scenario.level == "middle" else 3.0
    main, pair = 0.04 / SLOPE * scale, 0.02 / SLOPE * scale
    slope = main if scenario.interactions else 0.0
    cost = sum(((case & bit) > 0) * points for bit, points in ((4, 0.20), (2, 0.12), (1, 0.04)))
    mu = logit(LEVELS[scenario.level]) + (0.08 * np.sin(5 * i + 3 * j) - cost + 0.12) / SLOPE
    own, theirs = rng.normal(0, main, (2, 12, seeds, grids))
    own_source, their_source = rng.normal(0, 1, (2, 12, seeds, 2, grids if slope else 1)) * slope
    logits = mu[:, None] + own[i, s] + theirs[j, v] + own_source[i, s, j // 6] + their_source[j, v, i // 6]
    logits += rng.normal(0, pair, (len(tests), grids))
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = np.sqrt(2 * main**2 + 2 * slope**2 + pair**2)
    truth = expit(mu[:, None] + spread * nodes) @ (weights / weights.sum())
    return truth, rng.binomial(IMAGES, expit(logits)) / IMAGES


def naive(rates: Reals, weight: Reals, case: NDArray[np.int64]) -> tuple[Reals, Reals]:
    """Return the ends of the interval that takes tests as independent."""
    variance = np.zeros(rates.shape[1])
    for number in np.unique(case[weight != 0]):
        rows = case == number
        variance += (weight[rows] ** 2).sum() * rates[rows].var(axis=0, ddof=1 if rows.sum() > 1 else 0)
    half = 1.959964 * np.sqrt(variance)
    return weight @ rates - half, weight @ rates + half


def bootstrap(
    rates: Reals, weights: Reals, plan: Design, case: NDArray[np.int64], rng: np.random.Generator
) -> list[tuple[Reals, Reals]]:
    """Return for each of the effects (T, K) the ends of the percentile interval, surrogates and victims resampled."""
    counts = []
    for models in (plan.surrogate, plan.victim):
        present, codes = np.unique(models, return_inverse=True)
        drawn = rng.multinomial(len(present), np.full(len(present), 1 / len(present)), size=RESAMPLES)
        counts.append(drawn[:, codes].astype(np.float64))
    times = counts[0] * counts[1]
    found = []
    for weight in weights.T:
        sums = np.zeros((RESAMPLES, rates.shape[1]))
        for number in np.unique(case[weight != 0]):
            rows = case == number
            of_case = times[:, rows] * weight[rows]
            with np.errstate(invalid="ignore"):
                sums += (of_case @ rates[rows]) * (weight[rows].sum() / of_case.sum(axis=1))[:, None]
        low, high = np.nanquantile(sums, (0.025, 0.975), axis=0)
        found.append((low, high))
    return found


def measure(scenario: Scenario, seeds: int, grids: int, *, others: bool = True) -> dict[tuple[str, str], Measured]:
    """Return for each (axis, interval) what `grids` simulated grids gave; `others`: naive and bootstrap too."""
    rng = np.random.default_rng([seeds, zlib.crc32(scenario.name.encode())])
    kept: dict[tuple[str, str], list[tuple[Reals, Reals]]] = {}
    size = max(20, min(250, 1_500_000 // (144 * seeds**2), grids))
    for start in range(0, grids, size):
        tests = pairs_of(scenario, seeds, rng)
        plan, case = design(tests), case_codes(tests["case"].to_numpy())
        image_source = pd.factorize(tests["surrogate_source"])[0].astype(np.int64)
        truth, rates = simulated(tests, scenario, seeds, min(size, grids - start), rng)
        everything = np.ones(len(case), dtype=bool)
        weights = np.stack([axis_contrast(case, axis).weights(image_source, everything) for axis in AXES], axis=1)
        resampled = bootstrap(rates, weights, plan, case, rng) if others else []
        for number, axis in enumerate(AXES):
            weight = weights[:, number]
            found = crossed(plan, rates, weight)
            half = stdtrit(found.df, 0.975) * np.sqrt(found.variance)
            ends = {"crossed": (found.estimate - half, found.estimate + half)}
            if others:
                ends |= {"naive": naive(rates, weight, case), "bootstrap": resampled[number]}
            for name, (low, high) in ends.items():
                kept.setdefault((axis, name), []).append((low - weight @ truth, high - weight @ truth))
    return {key: _measured(parts) for key, parts in kept.items()}


def _measured(parts: list[tuple[Reals, Reals]]) -> Measured:
    low, high = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    known = np.isfinite(low) & np.isfinite(high)
    covered = known & (low <= 0) & (high >= 0)
    width = float((high - low)[known].mean()) if known.any() else float("nan")
    return Measured(int(known.sum()), int(covered.sum()), width)


def table(results: dict[str, Any]) -> str:
    """Return the results as Markdown, one row a (seeds, scenario, axis); widths in points."""
    lines = [
        "| seeds | scenario | axis | " + " | ".join(f"{name} | width" for name in INTERVALS) + " |",
        "|" + "---|" * (3 + 2 * len(INTERVALS)),
    ]
    counts = sorted({int(key.split("|")[1]) for key in results})
    for count, scenario, axis in itertools.product(counts, scenarios(), AXES):
        keys = [f"{scenario.name}|{count}|{axis}|{name}" for name in INTERVALS]
        if keys[0] in results:
            cells = " | ".join(_cell(*results[key]) if key in results else " | " for key in keys)
            lines.append(f"| {count} | {scenario.name} | {axis} | {cells} |")
    return "\n".join(lines)


def _cell(grids: int, covered: int, width: float) -> str:
    """Return coverage with its Wilson interval, and the mean width."""
    if not grids:
        return "none | "
    low, high = wilson(covered, grids)
    return f"{covered / grids:.3f} ({low:.3f} to {high:.3f}) | {100 * width:.1f}"


def main() -> None:
    """Run the scenarios and print a table; `--out` keeps the numbers as JSON after each, to go on from there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grids", type=int, default=2000)
    parser.add_argument("--seeds", default="1,2,3,5,10")
    parser.add_argument("--quick", action="store_true", help="100 grids, 2 and 3 seeds")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    grids, seeds = (100, [2, 3]) if asked.quick else (asked.grids, [int(text) for text in asked.seeds.split(",")])
    results: dict[str, Any] = json.loads(asked.out.read_text()) if asked.out and asked.out.exists() else {}
    for count, scenario in itertools.product(seeds, scenarios()):
        if f"{scenario.name}|{count}|source|crossed" in results:
            continue
        started = time.monotonic()
        for (axis, name), found in measure(scenario, count, grids).items():
            results[f"{scenario.name}|{count}|{axis}|{name}"] = list(found)
        print(f"# {scenario.name}, {count} seeds: {time.monotonic() - started:.0f} s", flush=True)
        if asked.out:
            asked.out.write_text(json.dumps(results, indent=0))
    print(table(results))


if __name__ == "__main__":
    main()
