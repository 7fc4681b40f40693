"""Success by case with its intervals, the noise control beside it, and what differs from C1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.case import CASES
from dumb_bench.report.design import DESIGN, Design, combined, design, take
from dumb_bench.report.effects import Interval, holm, interval, within_strata
from dumb_bench.report.rates import equal_weights
from dumb_bench.report.seeds import too_few_seeds

if TYPE_CHECKING:
    import pandas as pd

WHITE_BOX = "WB"
"""The pseudo-case of tests whose victim is the surrogate itself."""

COLUMNS = (
    "population", "reference", "label", "setting", "strength", "norm", "primary", "largest", "case", "rate", "low",
    "high", "df", "reason", "n_tests", "n_images", "n_surrogates", "n_victims", "noise", "noise_n", "excess",
    "excess_low", "excess_high", "excess_p", "excess_reason", "swap", "swap_n", "minus_c1", "minus_c1_low",
    "minus_c1_high", "minus_c1_p", "minus_c1_holm", "minus_c1_reason", "few",
    "own_source_images", "other_source_images",
)  # fmt: skip

_MATCH = ["surrogate_id", "victim_id", "image_source", "delivery", "defence_known", "population", "norm", "strength"]

USED = tuple(dict.fromkeys((
    *DESIGN, *_MATCH, "role", "base", "case", "asr", "counted", "white_box", "n_victim_correct", "reference", "primary",
    "largest",
)))  # fmt: skip
"""Columns of `groups.prepared` that `summary` looks at."""

Rows = NDArray[np.int64]


def _weights(rows: Rows, sources: Rows, size: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(rows, weights=equal_weights(sources[rows]), minlength=size), dtype=np.float64)


def noise_rows(tests: pd.DataFrame) -> Rows:
    """Return each test's noise control: a row of the same victim, images, norm and strength; -1 without."""
    import pandas as pd

    is_noise = (tests["role"] == "noise").to_numpy(dtype=bool)
    if not is_noise.any():
        return np.full(len(tests), -1, dtype=np.int64)
    code = np.zeros(len(tests), dtype=np.int64)
    for name in _MATCH:
        code = combined(code, pd.factorize(tests[name], use_na_sentinel=False)[0])
    found = np.full(int(code.max()) + 1, -1, dtype=np.int64)
    places = np.flatnonzero(is_noise)[::-1]
    found[code[places]] = places  # the first of several stands last
    return np.where(is_noise | tests["norm"].isna().to_numpy(dtype=bool), -1, found[code])


def _mean(rates: NDArray[np.float64], rows: Rows, sources: Rows) -> float:
    return float(equal_weights(sources[rows]) @ rates[rows]) if len(rows) else float("nan")


def summary(tests: pd.DataFrame, plan: Design | None = None) -> pd.DataFrame:
    """Return one row a (population, label, setting, case): columns `COLUMNS`. `tests`: `groups.prepared`;
    plan: their design, where it is known.

    rate: mean success of the case's tests. Denominator of a test: the images that its victim gets right when clean;
    equal weight for image sources, and for tests within one. White-box tests are the case `WB`, without an interval.
    noise: the same mean over the noise controls of the same victims, images, norm and strength (null where the attack
    has no norm); excess = rate - noise over the tests that have such a control. swap: the mean of the `delta_swap`
    control. minus_c1: rate - rate of C1, with p values adjusted by Holm over the seven cases. Intervals: `effects`.
    few: why too few seeds stand behind the row for a claim (`seeds.too_few_seeds`), else empty.
    own_source_images, other_source_images: the rate by whose test images were attacked.
    """
    import pandas as pd

    if tests.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    tests = tests[[name for name in USED if name in tests]].reset_index(drop=True)
    plan, columns = plan or design(tests), _Columns.of(tests)
    noise = noise_rows(tests)
    swaps = tests[tests["role"] == "swap"]
    swap_groups = {key: group.index.to_numpy() for key, group in swaps.groupby(["population", "base", "setting"])}
    shown = tests["role"].isin(["attack", "swap"]) | ((tests["role"] == "noise") & (tests["label"] == "sign_noise"))
    rows: list[dict[str, Any]] = []
    for members in groups(tests, ["population", "label", "norm", "setting"], np.flatnonzero(shown)):
        first = tests.iloc[members[0]]
        population, label, norm, setting = (first[name] for name in ("population", "label", "norm", "setting"))
        head = {
            "population": population, "label": label, "setting": setting, "norm": norm, "reference": first["reference"],
            "strength": first["strength"] if setting != "tuned" else np.nan, "primary": first["primary"],
            "largest": first["largest"],
        }  # fmt: skip
        swap = swap_groups.get((population, label, setting), np.zeros(0, dtype=np.int64))
        rows += [{**head, **row} for row in _cases(columns, plan, members, noise, swap)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def groups(frame: pd.DataFrame, by: list[str], rows: Rows) -> list[Rows]:
    """Return the positions of each combination of `by` among `rows`, in the order of `by`; null is a value."""
    if not len(rows):
        return []
    number = frame[by].iloc[rows].groupby(by, sort=True, dropna=False).ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))[:-1]
    return np.split(rows[order], ends)


def _cases(columns: _Columns, plan: Design, members: Rows, noise: Rows, swap: Rows) -> list[dict[str, Any]]:
    """Return the rows of one label at one setting, C1 to C8 and `WB`; `members`, `swap`: positions of tests."""
    rates, sources, counted, case_of_test = columns.rates, columns.sources, columns.counted, columns.case
    kept = members[counted[members]]
    controls = noise[kept]
    taken = np.concatenate([kept, np.unique(controls[controls >= 0])])
    small = take(plan, taken)
    place = np.full(len(rates), -1, dtype=np.int64)
    place[taken] = np.arange(len(taken))
    size = len(taken)
    own = rates[taken]
    centred = within_strata(small, own[:, None])
    rows: list[dict[str, Any]] = []
    first = np.zeros(size)
    cases = case_of_test[kept]
    for number, case in enumerate(CASES):
        here = np.flatnonzero(cases == number)
        if not len(here):
            continue
        weight = _weights(here, sources[taken], size)
        found = interval(small, own, weight, low=0.0, centred=centred)
        row = _described(columns, kept[here], noise, swap[counted[swap] & (case_of_test[swap] == number)])
        row["few"] = too_few_seeds(small, own, weight - first)
        row |= {"case": case, "low": found.low, "high": found.high, "df": found.df, "reason": found.reason}
        matched = here[controls[here] >= 0]
        if len(matched):
            beside = place[controls[matched]]
            both = _weights(matched, sources[taken], size) - _weights(beside, sources[taken], size)
            row |= _named("excess", interval(small, own, both, centred=centred))
        if case == "C1":
            first = weight
        elif first.any():
            row |= _named("minus_c1", interval(small, own, weight - first, centred=centred))
        rows.append(row)
    adjusted = holm([row.get("minus_c1_p", float("nan")) for row in rows])
    rows = [{**row, "minus_c1_holm": value} for row, value in zip(rows, adjusted, strict=True)]
    white = members[columns.white_box[members]]
    if len(white):
        row = _described(columns, white, noise, swap[columns.white_box[swap]])
        rows.append({**row, "case": WHITE_BOX, "reason": "white box: shown apart"})
    return rows


class _Columns(NamedTuple):
    """What is used of `tests`, as arrays (T,)."""

    rates: NDArray[np.float64]
    sources: Rows
    own: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    white_box: NDArray[np.bool_]
    case: Rows
    right: NDArray[np.float64]
    surrogate: Rows
    victim: Rows

    @classmethod
    def of(cls, tests: pd.DataFrame) -> _Columns:
        """Take the columns out of the frame."""
        import pandas as pd

        return cls(
            tests["asr"].to_numpy(dtype=np.float64),
            pd.factorize(tests["image_source"], use_na_sentinel=False)[0].astype(np.int64),
            (tests["image_source"] == tests["surrogate_source"]).to_numpy(dtype=bool),
            tests["counted"].to_numpy(dtype=bool),
            tests["white_box"].to_numpy(dtype=bool),
            pd.Categorical(tests["case"], categories=CASES).codes.astype(np.int64),
            tests["n_victim_correct"].to_numpy(dtype=np.float64),
            pd.factorize(tests["surrogate_id"])[0].astype(np.int64),
            pd.factorize(tests["victim_id"])[0].astype(np.int64),
        )


def _described(columns: _Columns, here: Rows, noise: Rows, swap: Rows) -> dict[str, Any]:
    """Return the plain means of some tests, of their noise controls and of their delta_swap controls, with counts."""
    rates, sources, own = columns.rates, columns.sources, columns.own[here]
    beside = noise[here][noise[here] >= 0]
    return {
        "rate": _mean(rates, here, sources),
        "n_tests": len(here),
        "n_images": float(np.median(columns.right[here])),
        "n_surrogates": np.count_nonzero(np.bincount(columns.surrogate[here] + 1)),
        "n_victims": np.count_nonzero(np.bincount(columns.victim[here] + 1)),
        "noise": _mean(rates, beside, sources),
        "noise_n": len(beside),
        "swap": _mean(rates, swap, sources),
        "swap_n": len(swap),
        "own_source_images": _mean(rates, here[own], sources),
        "other_source_images": _mean(rates, here[~own], sources),
    }


def _named(name: str, found: Interval) -> dict[str, Any]:
    return {
        name: found.estimate,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_p": found.p,
        f"{name}_reason": found.reason,
    }
