"""What each defence does to clean and robust accuracy, beside the undefended models of the same seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

_CELL = [
    "task", "victim_source", "victim_subset", "victim_architecture", "victim_init", "victim_balance",
    "victim_balance_mode", "victim_posterior", "victim_samples", "victim_recipe", "image_source", "delivery",
]  # fmt: skip
_MEASURE = ["measure", "attack", "attack_params", "norm", "strength"]


def defence_rows(results: Results) -> pd.DataFrame:
    """Return a row a defence, condition and measure: accuracy, and its difference to that of the undefended models.

    measure: `clean`; `white box`, the attack is made on the model itself, its input defence included; `weights known`,
    on its weights without the input defence, beside white box on the undefended; `transfer`, on undefended models of
    other seeds, the mean over them.
    Denominator of an accuracy: all images of the set; robust is what is right clean and right attacked, under the same
    delivery and defence draw. difference: mean over pairs of models of one seed, defended less undefended; low, high:
    its 95 % t interval over the pairs, null for one. It speaks about new seeds on the same images.
    """
    import pandas as pd

    rows = _measured(results.final.tests)
    keys = [*_CELL, *_MEASURE]
    each = rows.groupby([*keys, "victim_defence", "victim_seed"], dropna=False)["accuracy"].mean().reset_index()
    plain = each[each["victim_defence"] == "none"].drop(columns="victim_defence")
    plain = pd.concat([plain, plain[plain["measure"] == "white box"].assign(measure="weights known")])
    paired = each.merge(plain, on=[*keys, "victim_seed"], suffixes=("", "_undefended"))
    found = [
        {**dict(zip(["victim_defence", *keys], key, strict=True)), **_compared(group)}
        for key, group in paired.groupby(["victim_defence", *keys], sort=True, dropna=False)
    ]
    return pd.DataFrame(found)


def _measured(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of each victim in each test that is compared, with its measure."""
    import pandas as pd

    control = tests["control"].fillna(False).astype(bool)
    tests = tests[~tests["targeted"].fillna(False).astype(bool) & (tests["n_images"].fillna(0) > 0)]
    clean = tests.drop_duplicates([*_CELL, "victim_id"]).assign(measure="clean", norm=None, strength=None)
    clean = clean.assign(attack=None, attack_params=None, accuracy=clean["n_victim_correct"] / clean["n_images"])
    attacked = tests[~control.loc[tests.index] & ~tests["copied"].fillna(False).astype(bool)]
    white = attacked["white_box"].fillna(False).astype(bool)
    shared = attacked["shared_weights"].fillna(0)
    undefended = attacked["surrogate_defence"] == "none"
    other = attacked["surrogate_seed"] != attacked["victim_seed"]
    kinds = [white, ~white & undefended & (shared == 1), undefended & (shared == 0) & other]
    names = ["white box", "weights known", "transfer"]
    attacked = attacked.assign(
        measure=np.select(kinds, names, default=""),
        accuracy=(attacked["n_victim_correct"] - attacked["n_success"]) / attacked["n_images"],
    )
    return pd.concat([clean.astype({"strength": float}), attacked[attacked["measure"] != ""]], ignore_index=True)


def _compared(group: pd.DataFrame) -> dict[str, Any]:
    from scipy.stats import t

    difference = (group["accuracy"] - group["accuracy_undefended"]).to_numpy(dtype=np.float64)
    half = None
    if len(difference) > 1:
        half = float(t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference)))
    mean = float(difference.mean())
    return {
        "n_pairs": len(difference),
        "accuracy": float(group["accuracy"].mean()),
        "undefended": float(group["accuracy_undefended"].mean()),
        "difference": mean,
        "low": None if half is None else mean - half,
        "high": None if half is None else mean + half,
    }


def defended(results: Results) -> bool:
    """Whether a victim has a defence."""
    return bool((results.tests["victim_defence"].fillna("none") != "none").any())
