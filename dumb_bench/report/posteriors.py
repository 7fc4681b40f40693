"""Surrogates of every posterior as *configurations* (posterior, recipe, samples, aggregation): success and costs.

A configuration pools architectures, sources, balances, seeds and draws. Draws of one seed share networks: they are
averaged before anything else. White-box tests and shared weights are left out, as everywhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.groups import POPULATION, prepared
from dumb_bench.report.paired import Panel, positions

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

CONFIGURATION = ["posterior", "recipe", "samples", "aggregation"]
PLACE = ["population", "label", "setting"]
"""Attack, strength and what else is never mixed."""

RELATIONS = {
    "C1": "same architecture, same source", "C2": "same architecture, same source",
    "C3": "other architecture, same source", "C4": "other architecture, same source",
    "C5": "same architecture, other source", "C6": "same architecture, other source",
    "C7": "other architecture, other source", "C8": "other architecture, other source",
}  # fmt: skip
"""Case -> how surrogate and victim are related; the balance is pooled."""

TRAINING = ("epochs", "gradients", "seconds", "weights_bytes")
CRAFTING = ("backwards", "memory_bytes")

_HELD = ["source", "subset", "architecture", "init", "balance", "balance_mode", "defence", "modifier"]
"""What of a surrogate is the same in two configurations that are compared."""
_MODEL = ["task", *_HELD[:7], "posterior", "samples", "draw", "recipe", "seed"]
_COMPARED = tuple(f"surrogate_{key}" for key in CONFIGURATION)

COLUMNS = (
    *PLACE, "reference", "primary", "largest", "step", "steps", "relation", *CONFIGURATION, "rate", "low", "high",
    "reason", "n_tests", "n_images", "n_surrogates", "n_victims", "n_draws", *TRAINING, *CRAFTING,
)  # fmt: skip


def has_posteriors(tests: pd.DataFrame) -> bool:
    """Return whether a surrogate is not `point`, or aggregated otherwise than by `mean_logits`."""
    other = tests["surrogate_posterior"].fillna("point") != "point"
    return bool((other | (tests["surrogate_aggregation"].fillna("mean_logits") != "mean_logits")).any())


def observations(results: Results) -> pd.DataFrame:
    """Return one row a (surrogate, attack, strength, step, image source, victim) of the counted tests of attacks.

    Columns of `groups.prepared` (its `population` leaves out what makes a configuration), and: `CONFIGURATION`,
    relation, step (NaN: the final image), match (code of what two configurations must share to be compared), n_draws,
    `TRAINING` of the surrogate's model (null where it is no single stored model) and `CRAFTING` (backwards: an image).
    asr is the mean over draws. A recorded step that is the last is left out: it is the final image. A single network
    has one aggregation, whatever the grid says.
    """
    tests = prepared(results, apart=tuple(key for key in POPULATION if key not in _COMPARED), iterates=True)
    kept = tests["counted"] & ~tests["copied"] & (tests["role"] == "attack")
    ended = tests["step"].astype(float) == tests["attack_params"].map(steps_of).astype(float)
    rows = tests[kept & ~ended].reset_index(drop=True)
    rows["surrogate_draw"] = rows["surrogate_draw"].astype(float).fillna(0.0)
    rows["relation"] = rows["case"].map(RELATIONS)
    for key in CONFIGURATION:
        rows[key] = rows[f"surrogate_{key}"]
    rows = _training(rows, results.models)
    rows = _crafting(rows, results.attacks)
    rows = one_aggregation(rows)
    held = [f"surrogate_{key}" for key in _HELD]
    at = [*PLACE, "step", "relation", "image_source", "victim_id"]
    same = [*at, *held, *CONFIGURATION, "surrogate_seed"]
    averaged = rows.groupby(same, dropna=False)[["asr", *TRAINING, *CRAFTING]].transform("mean")
    count = rows.groupby(same, dropna=False)["asr"].transform("size")
    rows = rows.assign(n_draws=count, **{str(name): averaged[name] for name in averaged}).drop_duplicates(same)
    return rows.assign(match=rows.groupby(["image_source", "victim_id", *held], dropna=False).ngroup()).reset_index(
        drop=True
    )


def is_single(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are of one network."""
    single: pd.Series = (rows["posterior"] == "point") & (rows["samples"] == 1)
    return single


def is_ensemble(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are of deep ensembles, whatever their number of members."""
    found: pd.Series = rows["posterior"].astype(str).str.fullmatch(r"deep_ensemble(\(.*\))?")
    return found


def one_aggregation(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep of a single network one aggregation, `mean_logits` where there is a choice."""
    single = is_single(rows)
    names = sorted(rows.loc[single, "aggregation"].dropna().unique(), key=lambda name: (name != "mean_logits", name))
    return rows[~single | (rows["aggregation"] == names[0])].copy() if len(names) > 1 else rows


def _training(rows: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Add `TRAINING` of the surrogate's model, found by what describes it."""
    known = models[[*_MODEL, *TRAINING]].copy()
    wanted = rows[["task", *(f"surrogate_{key}" for key in _MODEL[1:])]].set_axis(_MODEL, axis=1).copy()
    for frame in (known, wanted):
        for key in ("samples", "draw", "seed"):
            frame[key] = frame[key].astype(float).fillna(0.0)
    found = wanted.merge(known.drop_duplicates(_MODEL), on=_MODEL, how="left")
    return rows.assign(**{name: found[name].astype(float).to_numpy() for name in TRAINING})


def steps_of(params: Any) -> int | None:
    """Return the iterations that an attack's parameters (JSON) ask for; None where they do not say."""
    try:
        found = json.loads(params) if isinstance(params, str) else {}
    except ValueError:
        return None
    steps = found.get("steps") if isinstance(found, dict) else None
    return steps if isinstance(steps, int) else None


def _crafting(rows: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """Add `CRAFTING`: gradients an image, and bytes.

    A strength that shares its passes with others (they are counted at the first) costs what the first does, a recorded
    step without a count of its own its share of the whole attack's.
    """
    cost = attacks.drop_duplicates("attack_id").set_index("attack_id")
    each = cost["backwards"].astype(float) / cost["n_images"].astype(float)
    own = rows["attack_id"].map(each).astype(float)
    key = [*PLACE[:2], "surrogate_id", "image_source", "delivery"]
    final = own.where(rows["step"].isna())
    whole = final.groupby([rows[name] for name in key], dropna=False).transform("max")
    whole = rows.assign(whole=whole).groupby(key, dropna=False)["whole"].transform("max")
    steps = rows["attack_params"].map(steps_of).astype(float)
    part = (rows["step"].astype(float) / steps).fillna(1.0)
    return rows.assign(
        backwards=own.where(own > 0, whole * part),
        memory_bytes=rows["attack_id"].map(cost["memory_bytes"]).astype(float),
    )


def configurations(observed: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (attack, strength, step, relation, configuration): columns `COLUMNS`.

    rate: mean success, image sources, then pairs of surrogate's cell and victim, then seeds with equal weight.
    Denominator of a test: the images that its victim gets right when clean (n_images: their median). Intervals for
    final images: `effects`. Costs are means over the configuration's surrogates; epochs, gradients, seconds and
    weights_bytes of training from scratch, backwards a crafted image.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    training = _mean_training(observed)
    for place, group in observed.groupby([*PLACE, "step"], sort=True, dropna=False):
        panel = Panel.of(group)
        crafting = group.groupby(CONFIGURATION, dropna=False)[list(CRAFTING)].mean()
        for key, here in positions(group, ["relation", *CONFIGURATION]).items():
            part = group.iloc[here]
            found = panel.interval(here, panel.weight(here), low=0.0, bare=place[-1] == place[-1])
            rows.append(
                {
                    **dict(zip([*PLACE, "step"], place, strict=True)),
                    **dict(zip(["relation", *CONFIGURATION], key, strict=True)),
                    **{name: bool(part[name].iloc[0]) for name in ("reference", "primary", "largest")},
                    "steps": steps_of(part["attack_params"].iloc[0]), "rate": found.estimate, "low": found.low,
                    "high": found.high, "reason": found.reason,
                    "n_tests": len(here), "n_images": float(part["n_victim_correct"].median()),
                    "n_surrogates": found.n_surrogates, "n_victims": found.n_victims,
                    "n_draws": float(part["n_draws"].median()),
                    **training.loc[(place[0], *key[1:])].to_dict(), **crafting.loc[key[1:]].to_dict(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _mean_training(observed: pd.DataFrame) -> pd.DataFrame:
    """Return the mean training costs of each (population, configuration) over its surrogates."""
    surrogate = ["population", *CONFIGURATION, *(f"surrogate_{key}" for key in _HELD), "surrogate_seed"]
    return observed.drop_duplicates(surrogate).groupby(["population", *CONFIGURATION])[list(TRAINING)].mean()


def not_stored(found: pd.DataFrame) -> list[str]:
    """Return which costs are null in every configuration, in words."""
    names = {
        "epochs": "training epochs", "gradients": "training gradients", "seconds": "training time",
        "weights_bytes": "bytes of weights", "backwards": "crafting gradients", "memory_bytes": "memory",
    }  # fmt: skip
    return [text for name, text in names.items() if not np.isfinite(found[name].to_numpy(dtype=float)).any()]
