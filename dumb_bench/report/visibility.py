"""How visible an attack is and what it costs, beside how often it fools: from the adversarial sets behind the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.rates import success_by

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("mean_ssim", "mean_l2_delivered", "mean_linf_delivered")
COSTS = ("backwards", "forwards", "seconds")
COLUMNS = (
    "label", "setting", "role", "norm", "strength", "primary", "largest", "rate", *MEASURES, *COSTS, "n_tests",
    "n_images", "n_surrogates", "n_victims", "n_sets", "hardware",
)  # fmt: skip
_KEYS = ["label", "setting", "role", "norm"]
_SET = ["attack_id", "delivery"]


def visibility(tests: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (label, setting): columns `COLUMNS`; attacks, sign noise and `delta_swap`, without identity.

    tests: `groups.prepared`; those counted in a case, of the reference population. attacks: one row an adversarial set.
    rate: their mean success, all cases pooled; denominator of a test: the images that its victim gets right when
    clean. mean_ssim, mean_l2_delivered, mean_linf_delivered: means over the sets behind the tests of the sets' means
    over images (norms in [0, 1] pixel units, as delivered). backwards, forwards: images passed back and forth through
    the surrogate, for each attacked image; seconds: wall time for each attacked image. What several strengths share is
    stored at the first one made, so a label's costs are the largest of its strengths. strength: null where tuned.
    """
    import pandas as pd

    kept = tests["reference"].astype(bool) & tests["counted"].astype(bool) & (tests["role"] != "identity")
    rows = tests[kept]
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    rates = success_by(rows, _KEYS)
    used = rows[[*_KEYS, *_SET]].drop_duplicates()
    per_image = attacks["n_images"].where(attacks["n_images"] > 0).astype(float)
    sets = attacks[[*_SET, *MEASURES, "hardware"]].assign(
        **{name: attacks[name].astype(float) / per_image for name in COSTS}
    )
    joined = used.merge(sets.drop_duplicates(_SET), on=_SET, how="left")
    groups = joined.groupby(_KEYS, dropna=False, sort=True)
    means = groups[[*MEASURES, *COSTS]].mean().astype(float)
    means["n_sets"] = groups.size()
    means["hardware"] = groups["hardware"].agg(lambda values: ", ".join(sorted(set(values.dropna().astype(str)))))
    first = rows.groupby(_KEYS, dropna=False, sort=True)[["strength", "primary", "largest"]].first()
    found = rates.merge(means.reset_index(), on=_KEYS).merge(first.reset_index(), on=_KEYS)
    found["strength"] = found["strength"].astype(float).where(found["setting"] != "tuned", np.nan)
    for name in COSTS:
        found[name] = found.groupby("label")[name].transform("max")
    return found.sort_values(["role", "label", "norm", "strength", "setting"], kind="stable")[
        list(COLUMNS)
    ].reset_index(drop=True)
