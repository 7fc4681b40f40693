"""Success against strength, by what differs between surrogate and victim."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import GREY, INK, MARKERS, SERIES, NothingToShowError, figure, percent_axis
from dumb_bench.report.groups import strength_text
from dumb_bench.report.rates import success_by

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

GROUPS = {
    "C1": "nothing differs", "C2": "balance", "C3": "architecture", "C4": "architecture", "C5": "source",
    "C6": "source", "C7": "source + architecture", "C8": "source + architecture",
}  # fmt: skip
"""Case -> curve; cases that differ in the balance besides architecture or source share one curve."""
_CURVES = tuple(dict.fromkeys(GROUPS.values()))
NOISE, OWN, FREE = "noise of the same size", "the surrogate itself", "no surrogate used"


_USED = (
    "label", "role", "strength", "strength_rule", "case", "counted", "copied", "asr", "own_success", "reference",
    "primary", "image_source", "norm", "attack_id", "n_victim_correct", "surrogate_id", "victim_id",
)  # fmt: skip


@figure(
    "strength_curves",
    section="strength",
    order=10,
    title="Success against strength",
    needs=set(_USED),
)
class StrengthCurves:
    """Mean success at every strength, one panel an attack; the noise control dashed, the surrogate's own dotted."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (attack, curve, strength), attacks with at least two strengths, the primary one first."""
        import pandas as pd

        rows = frame.loc[frame["reference"].astype(bool) & frame["strength"].notna(), list(_USED)]
        attacks = rows[(rows["role"] == "attack") & (rows["strength_rule"] != "tuned")]
        several = attacks.groupby("label")["strength"].nunique()
        labels = sorted(
            several[several > 1].index, key=lambda name: (name not in set(frame.loc[frame["primary"], "label"]), name)
        )
        counted = attacks[attacks["counted"].astype(bool) & attacks["label"].isin(labels)]
        if counted.empty:
            raise NothingToShowError("Success against strength is not drawn: no attack was scored at two strengths.")
        noise = rows[rows["role"] == "noise"]
        curve = counted["case"].map(GROUPS).where(~counted["copied"].astype(bool), FREE)
        parts = [success_by(counted.assign(curve=curve), ["label", "curve", "strength"])]
        known = attacks[attacks["label"].isin(labels)]
        own = known[known["own_success"].notna()].drop_duplicates(["label", "attack_id"])
        own = own.groupby(["label", "strength"])["own_success"].agg(rate="mean", n_tests="size").reset_index()
        places = known[["label", "norm", "strength"]].drop_duplicates()
        beside = places.merge(success_by(noise, ["norm", "strength"]), on=["norm", "strength"]).drop(columns="norm")
        parts += [own.assign(curve=OWN), beside.assign(curve=NOISE)]
        data = pd.concat([part for part in parts if len(part)], ignore_index=True)
        data["norm"] = data["label"].map(attacks.drop_duplicates("label").set_index("label")["norm"])
        place = {curve: index for index, curve in enumerate((*_CURVES, FREE, NOISE, OWN))}
        rank = {label: index for index, label in enumerate(labels)}
        data = data.assign(panel=data["label"], a=data["label"].map(rank), b=data["curve"].map(place))
        return data.sort_values(["a", "b", "strength"]).drop(columns=["a", "b"]).reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """One line a curve, colour and marker tell them apart."""
        from matplotlib.ticker import MaxNLocator

        for curve, part in frame.groupby("curve", sort=False):
            name = str(curve)
            if name == OWN:
                axes.plot(part["strength"], part["rate"], ":", color=INK, lw=1.2, label=name)
            elif name == NOISE:
                axes.plot(part["strength"], part["rate"], "--", color=GREY, lw=1.2, label=name)
            elif name == FREE:
                axes.plot(part["strength"], part["rate"], "-", marker="P", ms=3.8, lw=1.3, color=INK, label=name)
            else:
                index = _CURVES.index(name)
                axes.plot(
                    part["strength"], part["rate"], "-", marker=MARKERS[index], ms=3.0 if index == 0 else 4.4, lw=1.3,
                    color=SERIES[index], mfc="white" if index == 1 else SERIES[index], label=name,
                    zorder=3 if index == 0 else 2,
                )  # fmt: skip
        strengths = sorted(set(frame["strength"]))
        gap = min((after - before for before, after in pairwise(strengths)), default=0.0)
        apart = gap >= 0.16 * (strengths[-1] - strengths[0])
        if len(strengths) <= 5 and apart and len(set(frame["norm"].dropna())) < 2:
            norm = next(iter(frame["norm"].dropna()), None)
            axes.set_xticks(strengths, [strength_text(value, norm) for value in strengths])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("strength")
        axes.set_ylabel("success")
        percent_axis(axes)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators and n."""
        n = frame[frame["curve"].isin(_CURVES)].groupby("curve", sort=False)["n_tests"].median()
        tests = ", ".join(f"{curve} {int(value)}" for curve, value in n.items())
        return (
            "Lines by what differs between surrogate and victim (cases that differ in balance too are pooled "
            "with C3, C5 and C7). Mean "
            f"over tests of: images misclassified by the victim / images it gets right when clean. Tests behind a "
            f"point: {tests}. "
            "An attack that looks at no surrogate has one line. Dotted: images misclassified by the surrogate / "
            "images it gets right when clean. No intervals: a description."
        )
