"""The checks of defences: whether the white-box attack that a defence resists is the strongest in the results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from dumb_bench.report.gates import Gate, Status
from dumb_bench.report.rates import Bounds, wilson

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

GRADIENT_FREE = frozenset({"square", "torchattacks.Square", "art.SquareAttack"})
"""Norm-bounded attacks that ask the victim and take no gradient."""
MASKED = 0.10
"""A rival that surely beats white-box PGD by this share of images fails the check; by less it warns."""
OVERFITTED, SUSPECT = 0.25, 0.10
"""Robust accuracy that FGSM leaves and PGD surely takes: beyond the first the check fails, beyond the second warns."""
SHOWN = 12

_KEY = ["task", "victim_id", "image_source", "delivery", "norm", "strength"]


class _Difference(NamedTuple):
    """How much more a rival fools than an attack, shares of the images that victims get right. bounds: 95 %."""

    rival: float
    attack: float
    images: int

    @property
    def value(self) -> float:
        return self.rival - self.attack

    @property
    def bounds(self) -> Bounds:
        """Newcombe's interval (1998, method 10) of the difference of two rates over as many images each.

        It speaks about images like these on these models, and takes the two rates as independent, which is cautious
        where the same images are hard for both.
        """
        high, low = (wilson(round(rate * self.images), self.images) for rate in (self.rival, self.attack))
        below = math.hypot(self.rival - high.low, low.high - self.attack)
        above = math.hypot(high.high - self.rival, self.attack - low.low)
        return Bounds(self.value - below, self.value + above)

    @property
    def text(self) -> str:
        bounds = self.bounds
        return (
            f"{self.rival:.3f} against {self.attack:.3f}, difference {self.value:+.3f} "
            f"[{bounds.low:+.3f}, {bounds.high:+.3f}], {self.images} images"
        )


def defence_gates(results: Results) -> list[Gate]:
    """Return the checks of defences, in the order shown. Intermediate iterates are left out."""
    tests = results.final.tests
    return [gradient_masking(tests), catastrophic_overfitting(tests)]


def gradient_masking(tests: pd.DataFrame) -> Gate:
    """No attack without the victim's gradients beats white-box PGD on a defended model.

    Compared on the same victim, images, delivery, norm and strength: untargeted white-box `pgd`, of several kinds the
    strongest on each, with every attack made on another surrogate (the victim's weights without its input defence
    count as one; an ensemble that holds the victim does not), with gradient-free attacks on the victim itself, and with
    noise. A rate's denominator: the images that the victim gets right when clean; rates are means over the pairs
    compared. What is bounded in no norm (`random_black_box`) has no budget in common with PGD and is not compared.
    """
    name = "Gradient masking"
    rows = _comparable(tests)
    white = rows["white_box"].fillna(False).astype(bool)
    reached = _strongest(rows[white & (rows["attack"] == "pgd")])
    inside = (rows["shared_weights"].fillna(0) > 0) & rows["defence_known"].fillna(False).astype(bool)
    outside = ~white & ~inside & (rows["attack"] != "delta_swap")
    rivals = rows[outside | (white & rows["attack"].isin(GRADIENT_FREE))]
    found = rivals.merge(reached, on=_KEY)
    if found.empty:
        return Gate(
            name, "not applicable",
            "No defended model is attacked by white-box pgd and, at the same strength, by something else.",
        )  # fmt: skip
    found["kind"] = [
        "on the victim itself" if own else "noise" if attack == "sign_noise" else f"made on surrogates of {defence}"
        for own, attack, defence in zip(
            found["white_box"].fillna(False).astype(bool), found["attack"], found["surrogate_defence"], strict=True
        )
    ]
    by = ["victim_defence", "attack", "kind", "norm", "strength", "delivery"]
    stronger: list[tuple[_Difference, str]] = []
    groups = 0
    for key, group in found.groupby(by, sort=True, dropna=False):
        groups += 1
        images = int(group.drop_duplicates(_KEY)["n_victim_correct"].sum())
        difference = _Difference(float(group["asr"].mean()), float(group["reached"].mean()), images)
        if difference.bounds.low > 0:
            defence, attack, kind, norm, strength, delivery = key
            label = f"{defence}: {attack} ({kind}, {norm} {strength:.4g}, {delivery})"
            stronger.append((difference, label))
    if not stronger:
        text = f"Nothing beats white-box PGD by more than its interval in {groups} comparisons on defended models."
        return Gate(name, "pass", text)
    stronger.sort(key=lambda item: (-item[0].bounds.low, item[1]))
    status: Status = "fail" if stronger[0][0].bounds.low > MASKED else "warn"
    text = (
        f"In {len(stronger)} of {groups} comparisons an attack without the victim's gradients beats white-box PGD, "
        f"most on {stronger[0][1]}: what PGD says of that defence's robustness is too high."
    )
    return Gate(name, status, text, tuple(f"{label}: {item.text}." for item, label in stronger[:SHOWN]))


def catastrophic_overfitting(tests: pd.DataFrame) -> Gate:
    """A model that was trained on single steps stands many steps, too (Wong, Rice, Kolter, ICLR 2020).

    Compared on each model trained by `fgsm_at`: success of white-box `pgd` and of white-box `fgsm` at the same norm and
    strength on the same images; success is 1 less robust accuracy, over the images that the model gets right clean.
    """
    name = "Catastrophic overfitting"
    rows = _comparable(tests)
    fast = rows["victim_defence"].str.split(r"[+(]").str[0] == "fgsm_at"
    rows = rows[fast & rows["white_box"].fillna(False).astype(bool)]
    many, single = (rows[rows["attack"] == attack] for attack in ("pgd", "fgsm"))
    found = many.merge(_strongest(single), on=_KEY)
    if found.empty:
        return Gate(name, "not applicable", "No model trained by fgsm_at is attacked by white-box fgsm and pgd alike.")
    worst: list[tuple[_Difference, str]] = []
    for row in found.to_dict("records"):
        difference = _Difference(float(row["asr"]), float(row["reached"]), int(row["n_victim_correct"]))
        worst.append((difference, f"{row['victim_id']} ({row['norm']} {row['strength']:.4g}, {row['image_source']})"))
    worst.sort(key=lambda item: (-item[0].bounds.low, item[1]))
    lowest = worst[0][0].bounds.low
    models = found["victim_id"].nunique()
    bad = [(item, label) for item, label in worst if item.bounds.low > SUSPECT]
    if not bad:
        most = 100 * max(item.value for item, _ in worst)
        text = f"On {models} models trained by fgsm_at, PGD fools at most {most:.1f} points more than FGSM."
        return Gate(name, "pass", text)
    status: Status = "fail" if lowest > OVERFITTED else "warn"
    text = f"{len(bad)} of {len(worst)} tests of models trained by fgsm_at: they stand FGSM and fall to PGD."
    return Gate(name, status, text, tuple(f"{label}: PGD {item.text}." for item, label in bad[:SHOWN]))


def _comparable(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the untargeted tests of defended victims that have a budget and a rate, repeated rows once."""
    kept = (
        (tests["victim_defence"].fillna("none") != "none")
        & tests["norm"].notna()
        & tests["strength"].notna()
        & tests["asr"].notna()
        & ~tests["targeted"].fillna(False).astype(bool)
        & (tests["attack"] != "identity")
    )
    return tests[kept].drop_duplicates(["attack_id", "victim_id"])


def _strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the highest rate of each victim, images, delivery, norm and strength as the column `reached`."""
    return rows.groupby(_KEY, dropna=False)["asr"].max().rename("reached").reset_index()
