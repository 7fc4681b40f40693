"""`cycle` (one sample a step) against `mean_logits` (all samples at every step) with the same samples."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.effects import holm
from dumb_bench.report.gains import LEVEL, named
from dumb_bench.report.paired import Panel, positions
from dumb_bench.report.posteriors import steps_of

if TYPE_CHECKING:
    import pandas as pd

EQUAL_STEPS, EQUAL_GRADIENTS, RECORDED = "equal steps", "equal gradients", "equal gradients, recorded steps"

COLUMNS = (
    "population", "attack", "setting", "reference", "primary", "largest", "compared", "relation", "posterior", "recipe",
    "samples", "cycle_attack", "mean_attack", "cycle_steps", "mean_steps",
    "cycle_rate", "mean_rate", "gain", "low", "high", "df", "p", "p_holm",
    "family", "resolved", "backwards_ratio", "n_tests", "n_images", "n_surrogates", "n_victims", "reason",
)  # fmt: skip

_SAME = ["posterior", "recipe", "samples"]
Rows = NDArray[np.int64]


def cycle_against_mean(observed: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (attack, strength, relation, posterior, recipe, samples, way to compare): columns `COLUMNS`.

    gain: success of `cycle` minus that of `mean_logits`, same surrogates, victims and images, with its crossed
    interval. compared: at equal steps (one attack, final images); at equal gradients, `mean_logits` after n steps
    against `cycle` after samples * n, from two entries that differ in nothing but `steps`, or from recorded steps of
    one entry. backwards_ratio: gradients that `cycle` took, over those of `mean_logits`. p_holm: over all rows of one
    attack and strength.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    kept = observed[observed["aggregation"].isin(["cycle", "mean_logits"]) & (observed["samples"] > 1)]
    if kept["aggregation"].nunique() < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    asked = kept["attack_params"].map(steps_of).astype(float)
    kept = kept.assign(
        variant=kept["attack_params"].map(_without_steps),
        entry=kept["label"],
        recorded=kept["step"].notna(),
        at=kept["step"].astype(float).fillna(asked),
        label=kept["label"] + " " + kept["step"].astype(float).map("{:g}".format),
    )
    place = ["population", "attack", "variant", "targeted", "setting"]
    for key, group in kept.groupby(place, sort=True, dropna=False):
        entries = sorted(group["entry"].unique())
        head = {
            "population": key[0], "attack": " / ".join(entries), "setting": key[-1],
            **{name: bool(group[name].any()) for name in ("reference", "primary", "largest")},
        }  # fmt: skip
        rows += [{**head, **row} for row in _compared(group.reset_index(drop=True))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _without_steps(params: Any) -> str:
    try:
        found = json.loads(params) if isinstance(params, str) else {}
    except ValueError:
        return str(params)
    return json.dumps({name: value for name, value in found.items() if name != "steps"}, sort_keys=True)


def _compared(group: pd.DataFrame) -> list[dict[str, Any]]:
    panel = Panel.of(group)
    everywhere = positions(group, _SAME)
    cost = group["backwards"].where(group["backwards"] > 0).to_numpy(dtype=float)
    rows: list[dict[str, Any]] = []
    for (relation, *key), here in positions(group, ["relation", *_SAME]).items():
        for compared, cycle, mean in _pairs(group.iloc[here].assign(row=here), int(key[2])):
            found = panel.difference(everywhere[tuple(key)], cycle, mean)
            plus, minus = found.plus, found.minus
            if not len(plus):
                continue
            first, second = (panel.weight(part)[part] @ cost[part] for part in (plus, minus))
            rows.append(
                {
                    "compared": compared, "relation": relation, **dict(zip(_SAME, key, strict=True)),
                    "cycle_attack": group["entry"].iloc[plus[0]], "mean_attack": group["entry"].iloc[minus[0]],
                    "cycle_steps": group["at"].iloc[plus[0]], "mean_steps": group["at"].iloc[minus[0]],
                    "cycle_rate": found.first, "mean_rate": found.second, **named(found.interval),
                    "backwards_ratio": first / second, "n_tests": len(plus),
                    "n_images": float(np.median(panel.right[plus])), "n_surrogates": found.interval.n_surrogates,
                }
            )  # fmt: skip
    adjusted = holm([row["p"] for row in rows])
    family = sum(value == value for value in adjusted)
    return [
        {**row, "p_holm": p, "family": family, "resolved": bool(p < LEVEL and (row["low"] > 0 or row["high"] < 0))}
        for row, p in zip(rows, adjusted, strict=True)
    ]


def _pairs(rows: pd.DataFrame, samples: int) -> list[tuple[str, Rows, Rows]]:
    """Return (way to compare, rows of cycle, rows of mean_logits) for one posterior, relation and number of samples."""
    found: dict[str, dict[tuple[str, float, bool], Rows]] = {"cycle": {}, "mean_logits": {}}
    keys = rows.assign(at=rows["at"].fillna(-1.0))
    for (aggregation, *key), here in positions(keys, ["aggregation", "entry", "at", "recorded"]).items():
        found[aggregation][str(key[0]), float(key[1]), bool(key[2])] = rows["row"].to_numpy(dtype=np.int64)[here]
    pairs = []
    for (entry, at, recorded), mean in sorted(found["mean_logits"].items(), key=lambda item: str(item[0])):
        for (other, other_at, other_recorded), cycle in sorted(found["cycle"].items(), key=lambda item: str(item[0])):
            final = not recorded and not other_recorded
            if final and entry == other:
                pairs.append((EQUAL_STEPS, cycle, mean))
            elif final and at > 0 and other_at == samples * at:
                pairs.append((EQUAL_GRADIENTS, cycle, mean))
            elif recorded and entry == other and at > 0 and other_at == samples * at:
                pairs.append((RECORDED, cycle, mean))
    return pairs
