"""What each axis costs in success: source, architecture, balance and the victim's defence, with crossed intervals.

The effect of an axis is the mean over the combinations of the other two, as far as there are tests on both sides, of
[mean success where surrogate and victim differ in it - mean success where they are the same]; combinations weigh the
same, as do image sources within one. That of a defence is [victims with it - undefended victims] against the same
surrogates on the same images, over the combinations of all three. Counted tests of attacks alone: white box, shared
weights and repeated rows are left out. The estimand is that weighted sum at the tests there are: levels of the axes are
fixed, seeds are new (`effects`).

The posterior is no axis here. It changes what the attacker holds, not how surrogate and victim are related: its gain
is over a single network of the same recipe or of as many epochs, cell by cell, after averaging draws that share
networks. `gains` does that, with columns of the same meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.power import detectable
from dumb_bench.report.axis_estimates import Estimate, estimates, for_new_images
from dumb_bench.report.axis_weights import AXES, Contrast, axis_contrast, case_codes
from dumb_bench.report.contrasts import groups, noise_rows
from dumb_bench.report.design import Design, combined, design, take
from dumb_bench.report.effects import holm
from dumb_bench.report.groups import POPULATION
from dumb_bench.report.image_term import ImageBlocks, image_terms
from dumb_bench.report.seeds import fewest_seeds, too_few_seeds

if TYPE_CHECKING:
    import pandas as pd

    PerImage = Callable[[pd.DataFrame], ImageBlocks]

Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

PRIMARY, EXPLORATORY = "primary", "exploratory"
SIGNIFICANT = 0.05

COLUMNS = (
    "population", "reference", "primary", "largest", "label", "setting", "family", "axis", "level", "effect", "low",
    "high", "df", "p", "p_holm", "resolved", "reason", "images_low", "images_high", "smallest", "excess", "excess_low",
    "excess_high", "surrogate_images", "surrogate_images_low", "surrogate_images_high", "victim_images",
    "victim_images_low", "victim_images_high", "n_tests", "n_surrogates", "n_victims", "n_images", "seeds_surrogate",
    "seeds_victim",
)  # fmt: skip

_NEEDED = (
    "population", "reference", "primary", "largest", "label", "setting", "norm", "case", "image_source",
    "surrogate_source", "victim_source",
)  # fmt: skip
_MATCH = ("surrogate_id", "victim_source", "victim_architecture", "victim_balance", "image_source")


def axis_effects(tests: pd.DataFrame, per_image: PerImage | None = None, plan: Design | None = None) -> pd.DataFrame:
    """Return one row a (population, label, setting, axis, level): columns `COLUMNS`. `tests`: `groups.prepared`.

    A row of a defence (`level`) stands under the population of the undefended victims. All effects are fractions.

    low, high, df, p: `effects`, for new seeds on the same images; p_holm: Holm over all axes and levels of one
    population, label and setting, which is the family (`primary`: the declared contrast; all else `exploratory`).
    resolved: the interval excludes 0, p_holm < .05, and every cell of both roles has `MIN_SEEDS` seeds
    (`MIN_SEEDS_NEAR_ENDS` near 0 and 1); reason: why there is no interval, or that seeds are too few. images_low,
    images_high: for new images as well (`image_term`), of the primary contrast where `per_image` is given. smallest:
    what 80 % power would detect at this standard error. excess: the same contrast of success minus its noise control,
    over the tests that have one. surrogate_images, victim_images: the effect on the test images of the surrogate's
    source alone, of the victim's source alone, over the combinations that have such tests on both sides.
    n_images: median number of images that a victim gets right; seeds_*: the fewest in a cell.

    per_image: called with the rows of `tests` in question; returns the outcomes of their images. plan: the tests'
    design, where it is known.
    """
    import pandas as pd

    kept = tests["counted"].to_numpy(dtype=bool) & ~tests["copied"].to_numpy(dtype=bool)
    kept &= (tests["role"] == "attack").to_numpy(dtype=bool)
    if not kept.any():
        return pd.DataFrame(columns=list(COLUMNS))
    noise = noise_rows(tests.reset_index(drop=True))
    used = np.unique(np.concatenate([np.flatnonzero(kept), noise[kept & (noise >= 0)]]))
    place = np.full(len(tests) + 1, -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    panel = _Panel.of(tests, used, place[noise[used]], take(plan or design(tests), used))
    held = [name for name in POPULATION if name in panel.frame and name not in ("victim_defence", "defence_known")]
    rows: list[dict[str, Any]] = []
    for places in groups(panel.frame, ["label", "norm", "setting", *held], np.flatnonzero(kept[used])):
        for members, contrasts in _families(panel.frame.iloc[places]):
            rows += _family(panel, members, contrasts, per_image)
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return _adjusted(found.sort_values(["population", "label", "setting"], kind="stable", ignore_index=True))


class _Panel(NamedTuple):
    """Attacks and their noise controls as arrays (T,), the rows `used` of all tests; `frame` has few of the columns.

    noise: the position of a test's control, -1 without.
    """

    tests: pd.DataFrame
    used: Rows
    frame: pd.DataFrame
    plan: Design
    rates: Reals
    right: Reals
    image_source: Rows
    surrogate_images: Bools
    victim_images: Bools
    noise: Rows

    @classmethod
    def of(cls, tests: pd.DataFrame, used: Rows, noise: Rows, plan: Design) -> _Panel:
        import pandas as pd

        varying = [name for name in POPULATION if name in tests and tests[name].nunique(dropna=False) > 1]
        kept = dict.fromkeys((*_NEEDED, *_MATCH, *varying))
        frame = tests[[name for name in kept if name in tests]].iloc[used].reset_index(drop=True)
        return cls(
            tests,
            used,
            frame,
            plan,
            tests["asr"].to_numpy(dtype=np.float64)[used],
            tests["n_victim_correct"].to_numpy(dtype=np.float64)[used],
            pd.factorize(frame["image_source"])[0].astype(np.int64),
            (frame["image_source"] == frame["surrogate_source"]).to_numpy(dtype=bool),
            (frame["image_source"] == frame["victim_source"]).to_numpy(dtype=bool),
            noise,
        )


def _families(group: pd.DataFrame) -> list[tuple[Rows, list[Contrast]]]:
    """Return the tests (positions in the panel) and contrasts of each population of one label and setting.

    The first list of an undefended population has the defences besides, over the tests of all victims.
    """
    import pandas as pd

    members, cases = group.index.to_numpy(), case_codes(group["case"].to_numpy(dtype=object))
    population = pd.factorize(group["population"], sort=True)[0]
    found = []
    for code in np.unique(population):
        here = np.flatnonzero(population == code)
        found.append((members[here], [axis_contrast(cases[here], axis) for axis in AXES]))
    if "victim_defence" not in group or group["victim_defence"].nunique() < 2:
        return found
    defence = group["victim_defence"].fillna("none").to_numpy(dtype=object)
    match = np.zeros(len(group), dtype=np.int64)
    for name in _MATCH:
        match = combined(match, pd.factorize(group[name], use_na_sentinel=False)[0])
    contrasts = []
    for level in sorted(set(defence) - {"none"}):
        shared = np.intersect1d(match[defence == level], match[defence == "none"])
        both = np.isin(match, shared) & ((defence == level) | (defence == "none"))
        contrasts.append(Contrast("defence", str(level), defence == level, np.where(both, cases, -1), match))
    return [*found, (members, contrasts)]


_VIEWS = ("excess", "surrogate_images", "victim_images")


def _family(
    panel: _Panel, members: Rows, contrasts: list[Contrast], per_image: PerImage | None
) -> list[dict[str, Any]]:
    """Return the rows of some contrasts over the tests `members`."""
    controls = np.unique(panel.noise[members])
    taken = np.concatenate([members, controls[controls >= 0]])
    weights = _weights(panel, members, taken, contrasts)
    small = take(panel.plan, taken)
    right = np.where(np.arange(len(taken)) < len(members), panel.right[taken], 0.0)
    found = estimates(small, panel.rates[taken], right, weights)
    rows: list[dict[str, Any]] = []
    known: list[tuple[Reals, Estimate]] = []
    for number, item in enumerate(contrasts):
        if (number, "effect") not in found:
            continue
        weight, effect = weights[number, "effect"][: len(members)], found[number, "effect"]
        row = {"axis": item.axis, "level": item.level, **_described(panel, members, weight, effect)}
        for name in _VIEWS:
            if (number, name) in found:
                other = found[number, name]
                row |= {name: other.estimate, f"{name}_low": other.low, f"{name}_high": other.high}
        rows.append(row)
        known.append((weight, effect))
    if per_image is not None and rows and rows[0]["primary"]:
        images = per_image(panel.tests.iloc[panel.used[members]])
        variances = image_terms(images, np.stack([weight for weight, _ in known]))
        for row, (_, effect), variance in zip(rows, known, variances, strict=True):
            row["images_low"], row["images_high"] = for_new_images(effect, float(variance))
    return rows


def _weights(panel: _Panel, members: Rows, taken: Rows, contrasts: list[Contrast]) -> dict[tuple[int, str], Reals]:
    """Return the weights over `taken` (the members, then their controls) of each contrast that has both sides."""
    size, sources, controls = len(members), panel.image_source[members], panel.noise[members]
    views = {
        "effect": np.ones(size, dtype=bool), "excess": controls >= 0,
        "surrogate_images": panel.surrogate_images[members], "victim_images": panel.victim_images[members],
    }  # fmt: skip
    beside = size + np.searchsorted(taken[size:], controls)
    weights = {}
    for number, item in enumerate(contrasts):
        for name, rows in views.items():
            own = item.weights(sources, rows)
            if not own.any():
                continue
            weight = np.zeros(len(taken))
            weight[:size] = own
            if name == "excess":
                np.add.at(weight, beside[rows], -own[rows])
            weights[number, name] = weight
    return weights


def _described(panel: _Panel, members: Rows, weight: Reals, found: Estimate) -> dict[str, Any]:
    """Return the columns of one contrast but for its views; `weight` over the members."""
    used = members[weight != 0]
    first = panel.frame.iloc[int(members[np.flatnonzero(weight < 0)[0]])]
    plan = take(panel.plan, members)
    seeds, few = fewest_seeds(plan, weight), too_few_seeds(plan, panel.rates[members], weight)
    return {
        **{name: first[name] for name in ("population", "reference", "primary", "largest", "label", "setting")},
        "family": PRIMARY if first["primary"] else EXPLORATORY, "effect": found.estimate, "low": found.low,
        "high": found.high, "df": found.df, "p": found.p, "reason": found.reason or few,
        "smallest": detectable(found.error, found.df) if not found.reason else np.nan,
        "images_low": np.nan, "images_high": np.nan, "n_tests": len(used),
        "n_surrogates": len(np.unique(panel.plan.surrogate[used])),
        "n_victims": len(np.unique(panel.plan.victim[used])), "n_images": float(np.median(panel.right[used])),
        "seeds_surrogate": seeds.surrogate, "seeds_victim": seeds.victim,
    }  # fmt: skip


def _adjusted(found: pd.DataFrame) -> pd.DataFrame:
    """Add p_holm and resolved."""
    families = found.groupby(["population", "label", "setting"], sort=False)["p"]
    found["p_holm"] = families.transform(lambda values: holm(list(values))).astype(np.float64)
    excludes = (found["low"] > 0) | (found["high"] < 0)
    found["resolved"] = excludes & (found["p_holm"] < SIGNIFICANT) & (found["reason"] == "")
    return found
