"""One row a defence and measure, for a table and a figure: the strongest attack on it, all conditions together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dumb_bench.report.groups import strength_text, variant_labels

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("clean", "transfer", "weights known", "white box")
"""From what any defender has to what the strongest attacker does."""

COLUMNS = (
    "defence", "measure", "attack", "norm", "strength", "attacks", "accuracy", "undefended", "difference", "low",
    "high", "n_pairs", "conditions",
)  # fmt: skip


def defence_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (defence, measure): columns `COLUMNS`. `frame`: `defences.defence_rows`.

    The attack is the strongest on that defence under that measure: the lowest mean accuracy over the conditions (task,
    source, architecture, balance, image source, delivery, ...); of equals the first by name. attacks: how many there
    were to choose from. accuracy, undefended (the same attack on the undefended models of the same seeds) and
    difference: means over conditions, which weigh the same. low, high: the interval of `defence_rows`, where there is
    one condition; null for the mean of several. Fractions. n_pairs: pairs of models.
    """
    import pandas as pd

    frame = frame[(frame["victim_defence"] != "none") & frame["measure"].isin(MEASURES)]
    labels = _labels(frame)
    rows: list[dict[str, Any]] = []
    for (defence, measure), group in frame.groupby(["victim_defence", "measure"], sort=True):
        by_attack = group.groupby(["attack", "attack_params", "norm", "strength"], sort=True, dropna=False)
        attacks = list(by_attack)
        key, part = min(attacks, key=lambda entry: float(entry[1]["accuracy"].mean()))
        alone = len(part) == 1
        rows.append(
            {
                "defence": str(defence), "measure": str(measure), "attack": labels.get((key[0], key[1])),
                "norm": key[2] if isinstance(key[2], str) else None, "strength": key[3], "attacks": len(attacks),
                **{name: float(part[name].mean()) for name in ("accuracy", "undefended", "difference")},
                **{end: _number(part[end].iloc[0]) if alone else np.nan for end in ("low", "high")},
                "n_pairs": int(part["n_pairs"].sum()), "conditions": len(part),
            }
        )  # fmt: skip
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    rank = found["measure"].map({name: index for index, name in enumerate(MEASURES)})
    return (
        found.assign(rank=rank).sort_values(["rank", "defence"], kind="stable", ignore_index=True).drop(columns="rank")
    )


def _labels(frame: pd.DataFrame) -> dict[tuple[Any, Any], str]:
    """Return attacks and their parameters (JSON) by name, with the parameters in which variants differ."""
    attacks = frame.loc[frame["attack"].notna(), ["attack", "attack_params"]].drop_duplicates()
    found = variant_labels([(name, params, False) for name, params in attacks.itertuples(index=False, name=None)])
    return {(name, params): label for (name, params, _), label in found.items()}


def attack_text(row: Mapping[Any, Any]) -> str:
    """Return attack and strength as people write them; empty for a clean accuracy."""
    if not isinstance(row["attack"], str):
        return ""
    norm = row["norm"] if isinstance(row["norm"], str) else None
    strength = row["strength"]
    text = strength_text(None if strength is None else float(strength), norm)
    return f"{row['attack']} @ {text}".removesuffix(" @ ")


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
