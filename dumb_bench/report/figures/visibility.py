"""Success against what one sees of the attack: SSIM, and the size of the perturbation as delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import GREY, NothingToShowError, figure, percent_axis
from dumb_bench.report.figures.shown import MAX_SERIES, denominator, look, ranked_series, spread, tenth_above
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PANELS = {"mean_ssim": "mean SSIM", "mean_l2_delivered": "mean L2 norm"}
NOISE_NAME = "random signs"


@figure(
    "visibility",
    section="strength",
    order=20,
    table="visibility",
    title="Success against visibility",
    panel=(4.4, 3.0),
    needs={"label", "setting", "role", "rate", "n_tests", "n_sets", *PANELS},
)
class Visibility:
    """Every attack at every strength; a line joins an attack's strengths; random signs dashed."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, label, setting), attacks by their highest success."""
        import pandas as pd

        rows = frame[frame["role"].isin(["attack", "noise"])]
        rows = rows[(rows["role"] == "attack") | (rows["label"] == "sign_noise")]
        if not (rows["role"] == "attack").any():
            raise NothingToShowError("Success against visibility is not drawn: no test of an attack has a case.")
        data = ranked_series(rows)
        parts = [
            data[data[name].notna()].assign(panel=panel, x=data[name].astype(float)) for name, panel in PANELS.items()
        ]
        found = pd.concat([part for part in parts if (part["role"] == "attack").any()] or [data.iloc[:0]])
        if found.empty:
            raise NothingToShowError("Success against visibility is not drawn: neither SSIM nor norms are stored.")
        columns = ["panel", "line", "style", "label", "setting", "role", "norm", "strength", "x", "rate"]
        columns += ["n_tests", "n_images", "n_sets"]
        found = found.sort_values(["style", "norm", "strength", "x"], kind="stable").sort_values(
            "panel", kind="stable", ascending=False
        )
        return found[columns].assign(axis_top=tenth_above(found, ["rate"])).reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Visible is on the right in both panels."""
        for style, line in frame[["style", "line"]].drop_duplicates().itertuples(index=False, name=None):
            part = frame[frame["style"] == style]
            if style >= MAX_SERIES:
                continue
            if style < 0:
                for number, (_, one) in enumerate(part.groupby("norm", dropna=False, sort=True)):
                    label = NOISE_NAME if number == 0 else None
                    axes.plot(
                        one["x"],
                        one["rate"],
                        "_",
                        ls=(0, (3, 1.5)),
                        color=GREY,
                        ms=7,
                        mew=1.6,
                        lw=1.2,
                        label=label,
                        zorder=1.8,
                    )
                continue
            axes.plot(part["x"], part["rate"], label=str(line), ms=4.6, lw=1.1, **look(int(style)))
        axes.set_ylabel("success")
        if frame["panel"].iloc[0] == PANELS["mean_ssim"]:
            axes.set_xlabel("mean SSIM with the clean image (visible to the right)")
            span = max(0.1, 1.0 - float(frame["x"].min()))
            axes.set_xlim(1.0 + 0.03 * span, 1.0 - 1.05 * span)
        else:
            axes.set_xlabel("mean L2 norm as delivered, [0, 1] pixel units")
            axes.set_xlim(left=-0.02 * float(frame["x"].max()))
        percent_axis(axes, top=float(frame["axis_top"].iloc[0]))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the measures, the denominator and n."""
        attacks = frame[frame["role"] == "attack"]
        lines = attacks["style"].nunique()
        noise = " Grey dashes: random signs of a given norm." if (frame["role"] == "noise").any() else ""
        cut = f" Drawn: the {MAX_SERIES} with the highest success; the CSV has all." if lines > MAX_SERIES else ""
        return (
            f"{count_text(lines, 'attack')}, a point a strength (a tuned one: its mean over surrogates), "
            "a line joins an attack's "
            f"strengths. Success: mean over tests of {denominator(attacks['n_images'])}, all cases pooled, white box "
            f"left out. SSIM and norm: mean over {spread(attacks['n_sets'])} adversarial sets of the mean over all "
            f"images, as delivered.{noise} Tests behind a point: "
            f"{spread(attacks['n_tests'])}. No intervals: a description.{cut}"
        )
