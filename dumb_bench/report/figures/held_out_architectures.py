"""Success of every surrogate configuration on each victim architecture: the table of held-out architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dumb_bench.report.figures.base import NothingToShowError, figure, shorten
from dumb_bench.report.figures.rows import completed, cut, cut_note, name_rows, panel_size
from dumb_bench.report.figures.series import RELATION_ORDER, configuration_names, configuration_places
from dumb_bench.report.groups import POPULATION
from dumb_bench.report.posteriors import CONFIGURATION, RELATIONS, is_single, one_aggregation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SURROGATE = [f"surrogate_{key}" for key in CONFIGURATION]
_HELD = [key for key in POPULATION if key not in _SURROGATE]
_USED = {
    *_SURROGATE, *_HELD, "victim_architecture", "case", "asr", "image_source", "reference", "label", "setting",
    "n_victim_correct", "surrogate_id", "victim_id",
}  # fmt: skip


@figure(
    "held_out_architectures",
    section="posteriors",
    order=50,
    table="tests",
    title="Held-out architectures",
    panel=None,
    needs={*_SURROGATE, "surrogate_seed", "victim_architecture", "case", "counted", "copied", "asr", "image_source"}
    | {"primary", "reference", "label", "setting", "n_victim_correct", "surrogate_id", "victim_id"},
)
class HeldOutArchitectures:
    """Mean success of a configuration (row) on the victims of an architecture (column), a panel a relation."""

    shared_rows = True
    title_letters = 14
    most_columns = 4

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the primary contrast, all configurations; one row a (relation, configuration, victim architecture)."""
        shown = frame["primary"].astype(bool) & frame["counted"].astype(bool) & ~frame["copied"].astype(bool)
        rows = frame.loc[shown, [name for name in frame if name in _USED]]
        rows = rows.rename(columns=dict(zip(_SURROGATE, CONFIGURATION, strict=True)))
        if rows.empty or bool(is_single(rows).all()):
            raise NothingToShowError("Held-out architectures are not drawn: every surrogate is a single network.")
        rows = one_aggregation(_beside_the_reference(rows))
        rows = rows.assign(relation=rows["case"].map(RELATIONS))
        keys = ["relation", *CONFIGURATION, "victim_architecture"]
        means = rows.groupby([*keys, "image_source"], dropna=False)["asr"].mean().groupby(keys, dropna=False).mean()
        found = rows.groupby(keys, dropna=False).agg(
            n_tests=("asr", "size"), n_images=("n_victim_correct", "median"), n_surrogates=("surrogate_id", "nunique"),
            n_victims=("victim_id", "nunique"), label=("label", "first"), setting=("setting", "first"),
        )  # fmt: skip
        found = found.assign(rate=means).reset_index()
        rank = found["relation"].map({name: index for index, name in enumerate(RELATION_ORDER)})
        found = found.assign(
            panel=found["relation"].str.replace("architecture", "arch."), row=configuration_names(found), rank=rank
        )
        found = found.assign(place=configuration_places(found))
        top = max(0.1, float(np.ceil(10 * found["rate"].max()) / 10))
        found = found.sort_values(["rank", "place", "victim_architecture"], kind="stable").drop(columns="rank")
        return completed(found.assign(victims=found["victim_architecture"].nunique())).assign(axis_to=top)

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return width and height of a panel in inches."""
        longest = max(len(shorten(str(name), 24)) for name in frame["victim_architecture"].dropna())
        victims, most = int(frame["victims"].max()), self.most_columns
        plot, least = max(1.1, 0.36 * victims), max(1.0, 0.33 * victims)
        return panel_size(frame, plot=plot, least=least, extra=0.75 + 0.06 * longest, most=most)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Dark is high success; the numbers are percentages."""
        rows = cut(frame)
        top, there = float(frame["axis_to"].iloc[0]), rows[rows["rate"].notna()]
        names = sorted(there["victim_architecture"].astype(str).unique())
        column = there["victim_architecture"].astype(str).map({name: index for index, name in enumerate(names)})
        values = np.full((int(rows["place"].max()) + 1, len(names)), np.nan)
        values[there["place"], column] = there["rate"]
        axes.imshow(np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=top, aspect="auto")
        for x, y, rate in zip(column, there["place"], there["rate"], strict=True):
            colour = "white" if rate > 0.6 * top else "black"
            axes.text(x, y, f"{100 * rate:.1f}", ha="center", va="center", fontsize=6.5, color=colour)
        name_rows(axes, rows)
        axes.grid(visible=False)
        axes.set_xticks(range(len(names)), [shorten(name, 24) for name in names], rotation=90, fontsize=6.5)
        axes.tick_params(length=0)
        axes.set_xlabel("victim")
        axes.spines["bottom"].set_visible(False)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the attack, the denominator and n."""
        place = f"{frame['label'].iloc[0]} @ {frame['setting'].iloc[0]}".removesuffix(" @ ")
        n = frame.loc[frame["n_tests"] > 0, "n_tests"]
        counts = f"{n.min():.0f}" + (f" to {n.max():.0f}" if n.max() > n.min() else "")
        return (
            f"{place}. Percent, a row a surrogate configuration (posterior, samples, aggregation), a column the "
            "architecture of the victims; held out where the surrogate's is another. Mean over image sources of the "
            "mean over tests of: images misclassified by the victim / images it gets right when clean (median "
            f"{frame['n_images'].median():.0f}); {counts} tests a cell, white box and shared weights left out, the "
            f"balance pooled. No intervals: descriptive.{cut_note(frame)}"
        )


def _beside_the_reference(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep what differs from the reference population in nothing but the configuration."""
    if not rows["reference"].any():
        return rows
    plain = rows[rows["reference"].astype(bool)].iloc[0]
    for key in (key for key in _HELD if key in rows):
        same = rows[key].isna() if plain[key] is None or plain[key] != plain[key] else rows[key] == plain[key]
        rows = rows[same]
    return rows
