"""T-DEE of every configuration against every deep-ensemble curve of the results, with its interval."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import take
from dumb_bench.report.effects import NO_VARIATION, crossed
from dumb_bench.report.paired import TOO_FEW, Panel, positions
from dumb_bench.report.posteriors import CONFIGURATION, PLACE, is_ensemble, is_single
from dumb_bench.report.tdee import deep_ensemble_equivalent, interpolation, inverted, sizes

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *PLACE, "reference", "primary", "largest", "relation", "ensemble_recipe", "members", "curve", *CONFIGURATION,
    "rate", "tdee", "tdee_text", "low", "low_text", "high", "high_text", "n_tests", "n_ensemble_tests", "n_surrogates",
    "n_draws", "n_victims", "reason",
)  # fmt: skip

Rows = NDArray[np.int64]


def equivalents(observed: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (attack, strength, relation, deep-ensemble recipe, configuration): columns `COLUMNS`.

    The curve F: mean success of deep ensembles of k members of one recipe and of the configuration's aggregation, over
    draws (subsets of the pool), then seeds; F(1) is the single network of the recipe where no ensemble of one is there.
    Rate and curve are means over the same cells, victims and images. tdee: `tdee.deep_ensemble_equivalent`, null where
    `tdee_text` says below or above. low, high: the sizes k at which the crossed 95 % interval of rate - F(k) contains
    0; ensembles of one pool share networks, so they count as one surrogate, whatever their size.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for place, group in observed[observed["step"].isna()].groupby(PLACE, sort=True):
        head = {
            **dict(zip(PLACE, place, strict=True)),
            **{name: bool(group[name].iloc[0]) for name in ("reference", "primary", "largest")},
        }
        rows += [{**head, **row} for row in _of_attack(group.reset_index(drop=True))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def curves(rows: pd.DataFrame) -> dict[tuple[str, str], dict[int, Rows]]:
    """Return (recipe, aggregation) -> members -> positions in `rows`, for every curve of at least two sizes."""
    ensemble, single = is_ensemble(rows).to_numpy(), is_single(rows).to_numpy()
    recipe, samples = rows["recipe"].to_numpy(), rows["samples"].to_numpy()
    found: dict[tuple[str, str], dict[int, Rows]] = {}
    for key, here in positions(rows.assign(ensemble=ensemble), ["ensemble", "recipe", "aggregation"]).items():
        if not key[0]:
            continue
        curve = {int(size): here[samples[here] == size] for size in np.unique(samples[here])}
        alone = np.flatnonzero(single & (recipe == key[1]))
        if 1 not in curve and len(alone):
            curve = {1: alone, **curve}
        if len(curve) > 1:
            found[key[1], key[2]] = curve
    return found


def _lineage(group: pd.DataFrame) -> pd.DataFrame:
    """Return the group with every deep ensemble named as its first network, of which all its prefixes are kin."""
    ensemble = is_ensemble(group)
    plain = {text: _as_point(text) for text in group["surrogate_params"].unique()}
    return group.assign(
        label=group["posterior"].astype(str) + " " + group["samples"].astype(str),
        surrogate_posterior=group["surrogate_posterior"].where(~ensemble, "point"),
        surrogate_samples=group["surrogate_samples"].where(~ensemble, 1),
        surrogate_params=group["surrogate_params"].where(~ensemble, group["surrogate_params"].map(plain)),
    )


def _as_point(params: Any) -> Any:
    try:
        found = json.loads(params) if isinstance(params, str) else None
    except ValueError:
        return params
    if not isinstance(found, dict) or "posterior" not in found:
        return params
    return json.dumps({**found, "posterior": {}}, sort_keys=True, separators=(",", ":"))


def _of_attack(group: pd.DataFrame) -> list[dict[str, Any]]:
    all_curves, everywhere = curves(group), positions(group, CONFIGURATION)
    if not all_curves:
        return []
    panel = Panel.of(_lineage(group))
    relations = group["relation"].to_numpy()
    draws = group["n_draws"].to_numpy(dtype=float)
    on_curve = (is_ensemble(group) | is_single(group)).to_numpy()
    rows: list[dict[str, Any]] = []
    for (relation, *key), here in positions(group, ["relation", *CONFIGURATION]).items():
        single = bool(is_single(group.iloc[here[:1]]).iloc[0])
        for (recipe, aggregation), curve in sorted(all_curves.items()):
            if (on_curve[here[0]] and key[1] == recipe) or (key[3] != aggregation and not single):
                continue
            parts = [part[relations[part] == relation] for part in curve.values()]
            context = np.unique(np.concatenate([everywhere[(*key,)], *curve.values()]))
            found = _equivalent(panel, context, here, parts, list(curve))
            if found is not None:
                named = dict(zip(CONFIGURATION, (*key[:3], aggregation), strict=True))
                pooled = np.concatenate(parts)
                count = {"n_ensemble_tests": len(pooled), "n_draws": float(np.max(draws[pooled]))}
                rows.append({"relation": relation, "ensemble_recipe": recipe, **named, **count, **found})
    return rows


def _equivalent(
    panel: Panel, context: Rows, here: Rows, parts: list[Rows], members: list[int]
) -> dict[str, Any] | None:
    """Return rate, curve, T-DEE and its interval of one configuration; None without a test in common.

    context: the configuration's and the curve's rows in all relations, to borrow from.
    """
    from scipy.special import stdtrit

    here, *parts = panel.shared(here, *parts)
    if not len(here):
        return None
    own = panel.weight(here)
    knots = np.stack([panel.weight(part) for part in parts], axis=1)
    rate, curve = float(own @ panel.rates), knots.T @ panel.rates
    found = deep_ensemble_equivalent(members, list(curve), rate)
    at = sizes(members)
    weights = own[context, None] - knots[context] @ interpolation(members, at)
    contrast = crossed(take(panel.plan, context), panel.rates[context][:, None], weights)
    row: dict[str, Any] = {
        "members": ", ".join(map(str, members)), "curve": ", ".join(f"{value:.4g}" for value in curve), "rate": rate,
        "tdee": found.value, "tdee_text": found.text, "n_tests": len(here),
        "n_surrogates": len(np.unique(panel.plan.surrogate[here])),
        "n_victims": len(np.unique(panel.plan.victim[here])), "reason": contrast.reason,
    }  # fmt: skip
    if contrast.reason or panel.few(np.concatenate([here, *parts])):
        return {**row, "reason": contrast.reason or TOO_FEW}
    if not (contrast.variance > 1e-24).any():
        return {**row, "reason": NO_VARIATION}
    half = stdtrit(contrast.df, 0.975) * np.sqrt(contrast.variance)
    span = inverted(members, at, np.abs(contrast.estimate) <= half + 1e-12, found)
    return {
        **row, "low": span.low.value, "low_text": span.low.text, "high": span.high.value, "high_text": span.high.text,
    }  # fmt: skip
