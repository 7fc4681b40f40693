"""Names for groups of tests: which attack, at which strength, in which population, in which role.

A *label* names an attack with the parameters in which its variants differ, a *setting* a label's strength as text
(`tuned` where the strength was chosen per surrogate), a *population* what else must not be mixed in one mean (defences,
posteriors, deliveries, tasks, ...): only the keys that vary in the grid are spelt out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.design import distinct

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

POPULATION = (
    "task", "delivery", "defence_known",
    *(f"surrogate_{key}" for key in ("defence", "posterior", "samples", "aggregation", "modifier", "init", "subset")),
    "surrogate_balance_mode", "surrogate_recipe",
    *(f"victim_{key}" for key in ("defence", "posterior", "samples", "init", "subset", "balance_mode", "recipe")),
)  # fmt: skip
"""Columns of `tests` whose values are never mixed in one mean."""

_PLAIN = {"delivery": "uint8", "posterior": "point", "aggregation": "mean_logits", "init": "random", "subset": "all"}
CONTROLS = {"identity": "identity", "sign_noise": "noise", "delta_swap": "swap"}


def strength_text(strength: float | None, norm: str | None) -> str:
    """Return a strength as people write it: a short decimal, or `8/255` for a whole number of levels."""
    if strength is None or strength != strength:
        return ""
    levels, text = strength * 255, f"{strength:.6g}"
    if norm == "linf" and 0 < levels < 255 and abs(levels - round(levels)) < 1e-6 and len(text) > 5:
        return f"{round(levels)}/255"
    return text


def parse_primary(text: str | None) -> tuple[str, float | None]:
    """Return attack and strength of a declared contrast such as `pgd@8/255`; strength None for `tuned` or none."""
    from dumb_bench.grid import strength_of

    name, _, value = (text or "").partition("@")
    try:
        return name.strip(), strength_of(value) if value.strip() not in ("", "tuned") else None
    except ValueError:
        return name.strip(), None


def _params(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def variant_labels(variants: list[tuple[str, str, bool]]) -> dict[tuple[str, str, bool], str]:
    """Return each (attack, params as JSON, targeted) a label: the name and the parameters that differ.

    A parameter that is null is left out where labels stay distinct: `pgd` stands beside `pgd (eot=5)`.
    """
    labels: dict[tuple[str, str, bool], str] = {}
    for attack in {variant[0] for variant in variants}:
        own = sorted(variant for variant in variants if variant[0] == attack)
        params = [_params(variant[1]) for variant in own]
        texts = [{key: json.dumps(value, sort_keys=True) for key, value in entry.items()} for entry in params]
        keys = sorted({key for entry in texts for key in entry if len({other.get(key) for other in texts}) > 1})
        set_only = [{key: value for key, value in entry.items() if value is not None} for entry in params]
        for entries in (set_only, params):
            found = [_label(variant, entry, keys) for variant, entry in zip(own, entries, strict=True)]
            if len(set(found)) == len(found):
                break
        labels.update(zip(own, found, strict=True))
    return labels


def _label(variant: tuple[str, str, bool], params: dict[str, Any], keys: list[str]) -> str:
    """Return a variant's label, with those of `keys` that `params` has."""
    differs = ", ".join(f"{key}={params[key]}" for key in keys if key in params)
    return variant[0] + (f" ({differs})" if differs else "") + (" targeted" if variant[2] else "")


def _named(tests: pd.DataFrame) -> pd.DataFrame:
    """Add `role` (attack, identity, noise, swap), `label` and, for delta_swap, the label of its `base`."""
    import pandas as pd

    key = tests[["attack", "attack_params", "targeted"]].copy()
    key["targeted"] = key["targeted"].fillna(False).astype(bool)
    key["attack_params"] = key["attack_params"].fillna("{}")
    first, code = distinct(key, list(key.columns))
    variants = key.iloc[np.sort(first)]
    control = tests["control"].fillna(False).astype(bool)
    named = set(tests.loc[control, "attack"])
    plain = [tuple(row) for row in variants.itertuples(index=False) if row[0] not in named]
    labels = variant_labels(plain)
    compact = {
        (name, json.dumps(_params(text), sort_keys=True), aimed): label for (name, text, aimed), label in labels.items()
    }
    bases: dict[tuple[str, str, bool], str] = {}
    for name, text, aimed in variants.itertuples(index=False):
        if (name, text, aimed) in labels:
            continue
        params = _params(text)
        of = str(params.pop("of", ""))
        exact = compact.get((of, json.dumps(params, sort_keys=True), aimed))
        loose = [label for (attack, _, target), label in sorted(labels.items()) if attack == of and target == aimed]
        bases[name, text, aimed] = exact or (loose[0] if loose else of)
        labels[name, text, aimed] = f"{name} of {bases[name, text, aimed]}" if name == "delta_swap" else name
    rows = list(key.iloc[first].itertuples(index=False, name=None))
    tests["role"] = np.where(control, tests["attack"].map(CONTROLS).fillna("noise"), "attack")
    tests["label"] = pd.Series([labels[row] for row in rows]).array.take(code)
    tests["base"] = pd.Series([bases.get(row, "") if row[0] == "delta_swap" else "" for row in rows]).array.take(code)
    return tests


def _populations(tests: pd.DataFrame, apart: tuple[str, ...]) -> pd.DataFrame:
    """Add `population` (text, empty when there is only one) and `reference`: the plainest, trained as victims."""
    varying = [name for name in apart if name in tests and tests[name].nunique(dropna=False) > 1]
    if not varying:
        return tests.assign(population="", reference=True)
    victims = set(tests["victim_recipe"]) if "victim_recipe" in tests else set()
    distinct = tests[varying].drop_duplicates()
    texts, plainness = [], []
    for row in distinct.itertuples(index=False):
        shown = [
            (name, value) for name, value in zip(varying, row, strict=True) if value == value and value is not None
        ]
        texts.append(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown))
        plain = sum(str(value) == _PLAIN.get(name.split("_", 1)[-1], "none") for name, value in shown)
        plainness.append(plain + (dict(shown).get("surrogate_recipe") in victims))
    distinct = distinct.assign(population=texts, plain=plainness)
    best = distinct.sort_values(["plain", "population"], ascending=[False, True])["population"].iloc[0]
    merged = tests.merge(distinct.drop(columns="plain"), on=varying, how="left")
    return merged.assign(reference=merged["population"] == best)


def _own_success(tests: pd.DataFrame, attacks: pd.DataFrame) -> pd.Series:
    """Return the success on the surrogate itself: fooled / right when clean, both on the surrogate; NaN without one."""
    known = attacks[attacks["n_surrogate_correct"].fillna(0) > 0].drop_duplicates("attack_id").set_index("attack_id")
    rate = (known["n_surrogate_fooled"] / known["n_surrogate_correct"]).astype(float)
    return tests["attack_id"].map(rate).astype(float)


def prepared(results: Results, *, apart: tuple[str, ...] = POPULATION, iterates: bool = False) -> pd.DataFrame:
    """Return the scored tests with what groups them.

    apart: columns whose values are never mixed. iterates: whether intermediate iterates (`step`) stay. Left out: tests
    whose victim gets no clean image right (`asr` null). Added: role, label, base, setting, population, reference,
    counted (a case is known and no weights are shared: the rows that enter C1..C8), own_success, largest (the label's
    largest strength), primary (the declared contrast, of several variants the plainest; or else the first gradient-like
    attack at its largest strength).
    """
    results = results if iterates else results.final
    tests = results.tests[results.tests["asr"].notna()].reset_index(drop=True)
    tests["copied"] = tests["copied"].fillna(False).astype(bool)
    tests["copied"] |= tests["attack_id"].isin(tests.loc[tests["copied"], "attack_id"])
    tests["white_box"] = tests["white_box"].fillna(False).astype(bool)
    tests = _populations(_named(tests), apart)
    shared = tests["shared_weights"].fillna(0) > 0
    tests["counted"] = tests["case"].notna() & ~shared & ~tests["white_box"]
    tests["own_success"] = _own_success(tests, results.attacks)
    tuned = (tests["strength_rule"] == "tuned") & (tests["role"] != "noise")
    first, code = distinct(tests, ["strength", "norm"])
    texts = [strength_text(s, n) for s, n in tests.iloc[first][["strength", "norm"]].itertuples(index=False)]
    tests["setting"] = np.where(tuned, "tuned", np.array(texts, dtype=object)[code])
    order = np.where(tuned, -np.inf, tests["strength"].fillna(0.0))  # a fixed strength stands before a chosen one
    tests["largest"] = order == tests.assign(order=order).groupby("label")["order"].transform("max")
    return tests.assign(primary=_primary(tests, results.meta.primary))


def _primary(tests: pd.DataFrame, declared: str | None) -> pd.Series:
    attack = tests["role"] == "attack"
    name, strength = parse_primary(declared)
    wanted = attack & (tests["attack"] == name)
    if wanted.any():
        tuned = tests["setting"] == "tuned"
        if (declared or "").endswith("@tuned") and (wanted & tuned).any():
            return _plainest(tests, wanted & tuned)
        wanted &= ~tuned if (wanted & ~tuned).any() else True
        exact = wanted & np.isclose(
            tests["strength"].astype(float).fillna(-1.0), -2.0 if strength is None else strength
        )
        return _plainest(tests, exact) if exact.any() else _plainest(tests, wanted) & tests["largest"]
    bounded = attack & tests["norm"].notna() & ~tests["copied"]
    pool = bounded if bounded.any() else attack
    if not pool.any():
        return pool
    first: pd.Series = pool & tests["largest"] & (tests["label"] == tests.loc[pool, "label"].min())
    return first


def _plainest(tests: pd.DataFrame, wanted: pd.Series) -> pd.Series:
    """Return the wanted tests of one label: untargeted before targeted, fewest parameters that are not null, by name.

    `attack@strength` names no parameters, and one contrast was declared, not one for each variant.
    """
    found = tests.loc[wanted, ["label", "attack_params", "targeted"]].drop_duplicates()
    ranks = [
        (target is True or target == 1, sum(value is not None for value in _params(text).values()), label)
        for label, text, target in found.itertuples(index=False, name=None)
    ]
    plainest: pd.Series = wanted & (tests["label"] == min(ranks)[-1])
    return plainest
