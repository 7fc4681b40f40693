"""The spread of success over all tests of each attack, by what differs, the noise control's beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.contrasts import noise_rows
from dumb_bench.report.figures.base import BLUE, GREY, INK, NothingToShowError, figure
from dumb_bench.report.figures.series import RELATION_ORDER
from dumb_bench.report.figures.shown import (
    MAX_ATTACKS,
    NOISE_NAME,
    at_shown_strength,
    attack_axis,
    cut_note,
    denominator,
    in_rows,
    percent_x,
    rows_size,
    spread,
    tenth_above,
)
from dumb_bench.report.posteriors import RELATIONS
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHARES = {"low5": 0.05, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "high95": 0.95}
_KEYS = ["label", "setting", "panel"]


def spread_of(rates: pd.Series, keys: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """Return mean, quantiles (`SHARES`) and number of some rates (T,) for each combination of `keys` (T, K)."""
    import pandas as pd

    groups = rates.groupby([keys[name] for name in keys], sort=True)
    found = groups.quantile(np.array(list(SHARES.values()))).unstack().set_axis(list(SHARES), axis=1)
    found = pd.concat([groups.mean().rename("mean"), found, groups.size().rename("n_tests")], axis=1)
    return found.add_prefix(prefix)


_USED = (
    "label", "setting", "role", "case", "counted", "asr", "primary", "largest", "reference", "n_victim_correct",
    "surrogate_id", "victim_id", "image_source", "delivery", "defence_known", "population", "norm", "strength",
)  # fmt: skip


@figure(
    "overview",
    section="cases",
    order=40,
    title="How far success spreads from test to test",
    panel=None,
    needs=set(_USED),
)
class Overview:
    """A row an attack, a panel for what differs: mean, median, quarters and the middle 90 % of its tests."""

    title_letters = 20

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (panel, attack): the spread of the attack's tests and of the noise controls beside them."""
        shown = frame["reference"].astype(bool) & frame["counted"].astype(bool)
        shown &= frame["role"].isin(["attack", "noise"])
        beside = frame.loc[shown, list(_USED)].reset_index(drop=True)
        rows = at_shown_strength(beside[beside["role"] == "attack"])
        if rows.empty:
            raise NothingToShowError("The spread of success is not drawn: no test of an attack has a case.")
        keys = rows[["label", "setting"]].assign(panel=rows["case"].map(RELATIONS))
        images = rows["n_victim_correct"].groupby([keys[name] for name in _KEYS]).median().rename("n_images")
        found = spread_of(rows["asr"].astype(float), keys).join(images)
        place = noise_rows(beside)[rows.index.to_numpy()]
        if (place >= 0).any():
            noise = beside["asr"].astype(float).iloc[place[place >= 0]].reset_index(drop=True)
            found = found.join(spread_of(noise, keys[place >= 0].reset_index(drop=True), "noise_"))
        else:
            found = found.assign(**{f"noise_{name}": np.nan for name in ("mean", *SHARES, "n_tests")})
        data = found.reset_index()
        data["order"] = data["panel"].map({name: at for at, name in enumerate(RELATION_ORDER)})
        data = in_rows(data.sort_values(["order", "label", "setting"]).drop(columns="order"), "mean")
        return data.assign(axis_top=tenth_above(data, ["high95", "noise_high95", "mean"]))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        return rows_size(frame, 0.26)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Thin line: middle 90 %; box: quarters; stroke: median; diamond: mean; below it the same of noise, grey."""
        frame = frame[frame["row"] < MAX_ATTACKS]
        noise = bool(frame["noise_mean"].notna().any())
        parts = [("", BLUE, "#a9cfe8", -0.14 if noise else 0.0, 0.32)]
        parts += [("noise_", GREY, "#e4e4e4", 0.26, 0.16)] if noise else []
        for prefix, colour, pale, shift, thick in parts:
            rows = frame[frame[f"{prefix}mean"].notna()]
            y = rows["row"].to_numpy(dtype=float) + shift
            values = {name: rows[f"{prefix}{name}"].to_numpy(dtype=float) for name in ("mean", *SHARES)}
            axes.hlines(y, values["low5"], values["high95"], color=colour, lw=1.0, zorder=2)
            width = values["three_quarters"] - values["quarter"]
            name = NOISE_NAME if prefix else "attack"
            axes.barh(
                y, width, thick, values["quarter"], color=pale, edgecolor=colour, lw=0.7, zorder=3, label=name,
            )  # fmt: skip
            axes.vlines(values["median"], y - thick / 2, y + thick / 2, color=INK, lw=1.3, zorder=4)
            if not prefix:
                axes.plot(values["mean"], y, "D", ms=3.4, color=INK, mfc="white", zorder=5, label="mean")
        attack_axis(axes, frame)
        percent_x(axes, float(frame["axis_top"].iloc[0]))
        axes.set_xlabel("success in one test")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is spread, the denominator and n."""
        shown = frame[frame["mean"].notna()]
        copied = " Tests of an attack that looks at no surrogate are counted once for each surrogate."
        return (
            f"{count_text(frame['row'].nunique(), 'attack')} at one strength each, highest mean first. "
            "What is spread: success in "
            f"one test, that is {denominator(shown['n_images'])}. Box: from the first to the third quarter, with the "
            "median; line: the middle 90 %; diamond: the mean over tests. Balance pooled, white box and shared "
            f"weights left out. Tests behind a box: {spread(shown['n_tests'])}. They share models: this describes, it "
            f"is no interval.{copied}{cut_note(frame)}"
        )
