"""What a configuration gains over the single network, on the same cells, victims and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dumb_bench.report.effects import Interval, holm
from dumb_bench.report.paired import Difference, Panel, positions
from dumb_bench.report.posteriors import CONFIGURATION, PLACE, is_single

if TYPE_CHECKING:
    import pandas as pd

NEAR = 0.1
"""How far, as a share of its epochs, the single network's training may be from a configuration's to be equal."""
EQUAL_EPOCHS, SAME_RECIPE = "equal epochs", "same recipe"
LEVEL = 0.05

COLUMNS = (
    *PLACE, "reference", "primary", "largest", "relation", *CONFIGURATION, "against", "single_recipe", "epochs",
    "single_epochs", "epochs_ratio", "rate", "single_rate", "gain", "low", "high", "df", "p", "p_holm", "family",
    "resolved", "few", "n_tests", "n_single_tests", "n_images", "n_surrogates", "n_victims", "reason",
)  # fmt: skip


class Single(NamedTuple):
    """The single network that a configuration is compared with; `recipe` is None where there is none."""

    recipe: str | None
    epochs: float
    reason: str = ""


def nearest(epochs: float, singles: dict[str, float]) -> Single:
    """Return the single network trained for the same epochs: recipe -> mean epochs, the nearest within `NEAR`."""
    known = {recipe: value for recipe, value in singles.items() if value == value}
    if not known or epochs != epochs:
        return Single(None, float("nan"), "epochs are not stored" if singles else "no single network")
    recipe = min(known, key=lambda name: (abs(known[name] - epochs), name))
    if abs(known[recipe] - epochs) <= NEAR * epochs:
        return Single(recipe, known[recipe])
    return Single(None, known[recipe], "no single network was trained for as many epochs")


def same(recipe: str, singles: dict[str, float]) -> Single:
    """Return the single network of the same recipe."""
    if recipe in singles:
        return Single(recipe, singles[recipe])
    return Single(None, float("nan"), "no single network has this recipe" if singles else "no single network")


def gains(observed: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (attack, strength, relation, configuration, single network compared with): columns `COLUMNS`.

    gain = rate - single_rate, each a mean over the tests whose cell (all but posterior, recipe, samples, seed), victim
    and images both have. Intervals: `effects`, with surrogates of two configurations as different surrogates; where
    both hold one network (a deep ensemble and its first member) they are wider than need be. p_holm: over all gains of
    one attack, strength and population (`family` of them; a single network that is both comparisons counts once).
    resolved: the interval excludes 0 and p_holm < .05; never where fewer than 20 images were fooled, or resisted, or
    where seeds are too few (`few`: why; `seeds.too_few_seeds`).
    epochs_ratio: to the single network's, the nearest one's where none is compared.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    final = observed[observed["step"].isna()]
    for place, group in final.groupby(PLACE, sort=True):
        epochs = _epochs(final[final["population"] == place[0]])
        head = {
            **dict(zip(PLACE, place, strict=True)),
            **{name: bool(group[name].iloc[0]) for name in ("reference", "primary", "largest")},
        }
        rows += [{**head, **row} for row in _family(group.reset_index(drop=True), epochs)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _epochs(rows: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Return the mean epochs of each configuration of a population over its surrogates."""
    surrogate = [*CONFIGURATION, "surrogate_source", "surrogate_architecture", "surrogate_balance", "surrogate_seed"]
    mean = rows.drop_duplicates(surrogate).groupby(CONFIGURATION)["epochs"].mean()
    return dict(zip(mean.index, mean.to_numpy(dtype=float), strict=True))


def _family(group: pd.DataFrame, epochs: dict[tuple[Any, ...], float]) -> list[dict[str, Any]]:
    panel = Panel.of(group)
    everywhere = positions(group, CONFIGURATION)
    single = group[is_single(group)]
    names = {row[1]: tuple(row) for row in single[CONFIGURATION].drop_duplicates().itertuples(index=False)}
    singles = {recipe: epochs[key] for recipe, key in names.items()}
    rows: list[dict[str, Any]] = []
    for (relation, *key), here in positions(group, ["relation", *CONFIGURATION]).items():
        if tuple(key) in names.values():
            continue
        own = epochs[tuple(key)]
        for against, chosen in ((EQUAL_EPOCHS, nearest(own, singles)), (SAME_RECIPE, same(str(key[1]), singles))):
            row: dict[str, Any] = {
                "relation": relation, **dict(zip(CONFIGURATION, key, strict=True)), "against": against,
                "single_recipe": chosen.recipe, "epochs": own, "single_epochs": chosen.epochs,
                "epochs_ratio": own / chosen.epochs, "reason": chosen.reason, "resolved": False,
            }  # fmt: skip
            if chosen.recipe is not None:
                context = np.concatenate([everywhere[tuple(key)], everywhere[names[chosen.recipe]]])
                other = everywhere[names[chosen.recipe]]
                other = other[(group["relation"].to_numpy()[other] == relation)]
                row |= _gain(panel.difference(np.sort(context), here, other), panel)
            rows.append(row)
    return _adjusted(rows)


def _gain(found: Difference, panel: Panel) -> dict[str, Any]:
    if not len(found.plus):
        return {"reason": found.interval.reason}
    return {
        "rate": found.first, "single_rate": found.second, **named(found.interval), "n_tests": len(found.plus),
        "few": panel.too_few_seeds(found), "n_single_tests": len(found.minus),
        "n_images": float(np.median(panel.right[found.plus])),
        "n_surrogates": len(np.unique(panel.plan.surrogate[found.plus])),
    }  # fmt: skip


def named(found: Interval) -> dict[str, Any]:
    """Return the columns of a difference: gain, low, high, df, p, n_victims, reason."""
    return {
        "gain": found.estimate, "low": found.low, "high": found.high, "df": found.df, "p": found.p,
        "n_victims": found.n_victims, "reason": found.reason,
    }  # fmt: skip


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add p_holm, family and resolved; a comparison that is both kinds counts once."""
    distinct: dict[tuple[Any, ...], float] = {}
    for row in rows:
        if row.get("p", float("nan")) == row.get("p", float("nan")):
            distinct[_contrast(row)] = row["p"]
    adjusted = dict(zip(distinct, holm(list(distinct.values())), strict=True))
    for row in rows:
        row["p_holm"] = adjusted.get(_contrast(row), float("nan"))
        row["family"] = len(distinct)
        clear = row["p_holm"] < LEVEL and (row["low"] > 0 or row["high"] < 0)
        row["resolved"] = bool(clear) and not row.get("few", "")
    return rows


def _contrast(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("relation", *CONFIGURATION, "single_recipe"))
