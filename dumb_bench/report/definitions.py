"""Success under every definition in use, test by test and by case, each with its denominator.

The same labels give other rates under other definitions; a number is comparable with a paper's only under the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.case import CASES
from dumb_bench.report.contrasts import WHITE_BOX
from dumb_bench.report.design import CONDITIONS, MODEL, design, distinct, take
from dumb_bench.report.per_image import ImageReader
from dumb_bench.report.replicated import means

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results
    from dumb_bench.report.per_image import PerImage

Rows = NDArray[np.int64]
Reals = NDArray[np.float64]

DEFINITIONS = {
    "all_images": "images that the victim takes for another class when attacked / all images; clean errors count too",
    "victim_correct": "of the images that the victim gets right clean, those it gets wrong attacked (the standard)",
    "both_correct": "of the images that victim and surrogate get right clean, those the victim gets wrong attacked",
    "surrogate_fooled": "of the images that both get right clean and that fool the surrogate, those fooling the victim",
    "targeted": "of the images that the victim gets right clean, those it takes for the target attacked",
    "common_correct": "of the images that every compared victim gets right clean, those the victim gets wrong attacked",
}
"""Name of a definition -> what is counted / among which images: the numerator and the denominator of a test's rate."""

COLUMNS = (
    "population", "reference", "primary", "label", "setting", "case", "definition", "rate", "low", "high", "reason",
    "n_tests", "n_images", "known",
)  # fmt: skip

_GROUP = ("population", "label", "norm", "setting")
_NEEDED = {
    *_GROUP, "reference", "primary", "largest", "test_id", "scored_as", "attack_id", "task", "delivery", "n_images",
    "n_victim_correct", "n_success", "n_target_success", "case", "counted", "white_box", "copied", "strength_rule",
    "surrogate_id", "victim_id", *CONDITIONS, *(f"{role}_{key}" for role in ("surrogate", "victim")
    for key in (*MODEL, "params", "seed")),
}  # fmt: skip
"""The columns that are used here: the others of a million tests would take memory for nothing."""
WHITE_BOX_APART = "white box: shown apart"
NO_IMAGE = "no test has such an image"
NO_SURROGATE = "no surrogate takes part"
NOT_STORED = "the labels of the images are not stored"


class Rates(NamedTuple):
    """Numerators and denominators of tests, (T, D): a column a definition; NaN where it cannot be computed."""

    hits: Reals
    images: Reals

    @property
    def rates(self) -> Reals:
        """Hits / images, NaN where either is unknown or there is no such image."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.images > 0, self.hits / self.images, np.nan)


def shown(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests that `success_by_case` shows, the primary contrast's of every population, numbered anew.

    tests: `groups.prepared`. Attacks of the reference population at the primary strength, or else at their largest;
    tests that enter a case, and white-box ones.
    """
    import pandas as pd

    primary = tests["primary"].to_numpy(dtype=bool)
    own = tests["label"].isin(tests.loc[primary, "label"]).to_numpy()
    chosen = np.where(own, primary, tests["largest"].to_numpy(dtype=bool)) & tests["reference"].to_numpy(dtype=bool)
    kept = tests["counted"].to_numpy(dtype=bool) | tests["white_box"].to_numpy(dtype=bool)
    rows = np.flatnonzero((tests["role"] == "attack").to_numpy() & (chosen | primary) & kept)
    return pd.DataFrame({name: _compact(tests[name], rows) for name in tests if name in _NEEDED})


def _compact(column: pd.Series, rows: Rows) -> Any:
    """Return some rows of a column, text as categories: a tenth of the memory."""
    import pandas as pd

    values = column.array.take(rows)
    if not pd.api.types.is_string_dtype(column.dtype) or column.name in ("test_id", "scored_as"):
        return values
    return pd.Categorical(values)


def rates_of(results: Results, tests: pd.DataFrame) -> Rates:
    """Return numerators and denominators of tests under `DEFINITIONS`; `tests`: `shown`, or part of it.

    The compared victims of `common_correct` are those of one population, label, setting, image source and delivery.
    `victim_correct` and `targeted` are the counts of `tests`, known without `predictions`.
    """
    names = list(DEFINITIONS)
    hits, images = (np.full((len(tests), len(names)), np.nan) for _ in range(2))
    right = tests["n_victim_correct"].to_numpy(dtype=np.float64)
    for name, counts in (("victim_correct", "n_success"), ("targeted", "n_target_success")):
        hits[:, names.index(name)] = tests[counts].to_numpy(dtype=np.float64)
        images[:, names.index(name)] = right
    reader = ImageReader(results, tests)
    common, group = _common(reader, tests)
    for block in reader.blocks():
        for name, (hit, among, known) in _counted(block, common[group[block.rows]]).items():
            some = known.any(axis=1)
            column, rows = names.index(name), block.rows[some]
            hits[rows, column] = (hit & among).sum(axis=1)[some]
            images[rows, column] = among.sum(axis=1)[some]
    return Rates(hits, images)


def _counted(block: PerImage, common: NDArray[np.bool_]) -> dict[str, tuple[NDArray[np.bool_], ...]]:
    """Return for a definition which images are hits, which are counted, and for which both are known, (T, N) each."""
    both = block.surrogate_known & block.correct & block.surrogate_correct
    return {
        "all_images": (block.wrong, block.answered, block.answered),
        "both_correct": (block.wrong, both, block.surrogate_known),
        "surrogate_fooled": (block.wrong, both & block.surrogate_fooled, block.surrogate_known),
        "common_correct": (block.wrong, block.known & common, block.known & common),
    }


def _common(reader: ImageReader, tests: pd.DataFrame) -> tuple[NDArray[np.bool_], Rows]:
    """Return which images all victims of a comparison get right clean, (G, N), and each test's comparison (T,)."""
    first, group = distinct(tests, (*_GROUP, "task", "image_source", "delivery", "n_images"))
    common = np.ones((len(first), reader.width), dtype=bool)
    pairs = np.unique(np.stack([group, reader.clean.victim_row]), axis=1, return_index=True)[1]
    for row in pairs.tolist():
        common[group[row]] &= reader.right_clean(row)
    return common, group


def definitions(results: Results, tests: pd.DataFrame) -> pd.DataFrame:
    """Return success by case under every definition: columns `COLUMNS`, one row a definition. `tests`: `prepared`.

    rate: the mean over image sources of the mean over tests of hits / images as `DEFINITIONS` states them; tests
    without such an image, or whose labels are not stored, are left out. low, high: the crossed interval of `effects`,
    NaN with a `reason`. n_images: the median denominator. known: the share of the case's tests for which the definition
    can be computed. `targeted` only where an attack has targets; `WB`: white-box tests, without an interval.
    """
    import pandas as pd

    chosen = shown(tests)
    if chosen.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    found = rates_of(results, chosen)
    names = list(DEFINITIONS)
    rows: list[dict[str, Any]] = []
    for head, case, cell in by_case(chosen, found.rates):
        with_targets = np.isfinite(found.hits[cell.rows, names.index("targeted")]).any()
        for place, name in enumerate(names):
            if name == "targeted" and not with_targets:
                continue
            known = cell.rows[np.isfinite(found.rates[cell.rows, place])]
            reason = cell.reason[place] if len(known) else _unknown(name, chosen, found.images[cell.rows, place], cell)
            rows.append(
                {
                    **head, "case": case, "definition": name, "rate": cell.rate[place], "low": cell.low[place],
                    "high": cell.high[place], "reason": reason, "n_tests": len(known),
                    "n_images": float(np.median(found.images[known, place])) if len(known) else np.nan,
                    "known": len(known) / len(cell.rows),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _unknown(definition: str, tests: pd.DataFrame, images: Reals, cell: Cell) -> str:
    """Return why no test of a case has a rate. images: their denominators, NaN where unknown."""
    if np.isfinite(images).any():
        return NO_IMAGE
    free = definition in ("both_correct", "surrogate_fooled") and tests["copied"].to_numpy(dtype=bool)[cell.rows].all()
    return NO_SURROGATE if free else NOT_STORED


class Cell(NamedTuple):
    """The tests of a case (positions), and the means of their rates with intervals, one entry a rate (R,)."""

    rows: Rows
    rate: Reals
    low: Reals
    high: Reals
    reason: list[str]


def by_case(tests: pd.DataFrame, rates: Reals) -> Iterator[tuple[dict[str, Any], str, Cell]]:
    """Yield what names a group, its cases and `WB`, and the means of rates (T, R) there. `tests`: `shown`."""
    plan = design(tests)
    sources = tests["image_source"].to_numpy(dtype=object)
    counted, white = (tests[name].to_numpy(dtype=bool) for name in ("counted", "white_box"))
    case_of_test = tests["case"].to_numpy(dtype=object)
    groups = tests.groupby(list(_GROUP), sort=True, dropna=False).indices
    for members in groups.values():
        members = np.sort(np.asarray(members, dtype=np.int64))
        first = tests.iloc[members[0]]
        head = {name: first[name] for name in ("population", "reference", "primary", "largest", "label", "setting")}
        kept = members[counted[members]]
        small = take(plan, kept)
        for case in CASES:
            here = np.flatnonzero(case_of_test[kept] == case)
            if len(here):
                found = means(small, rates[kept], sources[kept], here)
                yield head, case, Cell(kept[here], *found[:4])
        own = members[white[members]]
        if len(own):
            everyone = np.arange(len(own), dtype=np.int64)
            found = means(take(plan, own), rates[own], sources[own], everyone, bare=WHITE_BOX_APART)
            yield head, WHITE_BOX, Cell(own, *found[:4])
