"""How strengths were tuned: success on the surrogate and SSIM at each strength, and what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.figures.base import BLUE, GREY, INK, ORANGE, NothingToShowError, figure
from dumb_bench.report.groups import variant_labels
from dumb_bench.wording import count_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MAX_LINES = 40
"""Curves that are drawn one by one; of more, the middle 90 % is shaded."""


@figure(
    "tuning_history",
    section="tuned",
    order=10,
    table="tunings",
    title="How strengths were tuned",
    panel=(3.1, 2.2),
    needs={
        "tuning_id", "surrogate_id", "attack", "attack_params", "strengths", "mean_ssim", "n_fooled",
        "n_surrogate_correct", "ssim_above", "strength", "feasible",
    },
)  # fmt: skip
class TuningHistory:
    """A panel an attack: success on the surrogate and mean SSIM against strength, a thin line a surrogate."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One row a (attack, surrogate, strength), attacks with two strengths or more."""
        if frame.empty:
            raise NothingToShowError("No strength was tuned.")
        rows = frame[["tuning_id", "surrogate_id", "attack", "image_source", "ssim_above", "feasible"]].copy()
        targeted = frame["targeted"].fillna(False).astype(bool) if "targeted" in frame else [False] * len(frame)
        variants = list(zip(frame["attack"], frame["attack_params"].fillna("{}"), targeted, strict=True))
        labels = variant_labels(list(dict.fromkeys(variants)))
        rows["panel"] = [labels[variant] for variant in variants]
        rows["chosen_strength"] = frame["strength"].astype(float)
        rows["n_surrogate_correct"] = frame["n_surrogate_correct"].astype(float)
        for name in ("strengths", "mean_ssim", "n_fooled"):
            rows[name] = [[] if value is None else list(value) for value in frame[name]]
        rows = rows[rows["strengths"].map(len) > 0].explode(["strengths", "mean_ssim", "n_fooled"], ignore_index=True)
        rows = rows.rename(columns={"strengths": "strength", "mean_ssim": "ssim"})
        rows = rows.astype({"strength": float, "ssim": float, "n_fooled": float})
        rows["success"] = rows["n_fooled"] / rows["n_surrogate_correct"].where(rows["n_surrogate_correct"] > 0)
        rows = rows[rows.groupby("panel")["strength"].transform("nunique") > 1]
        if rows.empty:
            raise NothingToShowError("How strengths were tuned is not drawn: no attack was tried at two strengths.")
        rows["chosen"] = rows["strength"] == rows["chosen_strength"]
        rows = rows.sort_values(["panel", "surrogate_id", "tuning_id", "strength"], kind="stable")
        return rows.drop(columns="chosen_strength").reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Blue: success; orange, dashed: SSIM; thick: medians; rings: chosen strengths; dotted: the threshold."""
        from matplotlib.ticker import MaxNLocator

        looks = (("success", BLUE, "-", "success on the surrogate"), ("ssim", ORANGE, (0, (4, 1.5)), "mean SSIM"))
        for column, colour, dash, label in looks:
            wide = frame.pivot_table(index="strength", columns="tuning_id", values=column, dropna=False, sort=True)
            if wide.empty:
                continue
            x = wide.index.to_numpy(dtype=float)
            if wide.shape[1] > MAX_LINES:
                low, high = wide.quantile(0.05, axis=1), wide.quantile(0.95, axis=1)
                axes.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
            else:
                for name in wide:
                    one = wide[name].dropna()
                    axes.plot(one.index, one, color=colour, ls=dash, lw=0.5, alpha=0.55)
            middle = wide.median(axis=1)
            axes.plot(x, middle, color=colour, ls=dash, lw=1.8, label=f"{label}, median")
        chosen = frame[frame["chosen"]]
        axes.plot(chosen["strength"], chosen["success"], "o", ms=4.5, mfc="none", color=INK, mew=0.8, label="chosen")
        for number, level in enumerate(sorted(frame["ssim_above"].dropna().unique())):
            named = "SSIM must lie above" if number == 0 else None
            axes.axhline(float(level), color=GREY, ls=":", lw=1.1, label=named)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.set_xlabel("strength")
        axes.set_ylabel("success, SSIM")
        axes.set_ylim(min(-0.03, float(frame["ssim"].min()) - 0.03), 1.04)
        axes.grid(axis="y")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say the denominators, n and how many chose nothing."""
        cells = frame.drop_duplicates("tuning_id")
        infeasible = int((~cells["feasible"].fillna(False).astype(bool)).sum())
        levels = ", ".join(f"{level:g}" for level in sorted(cells["ssim_above"].dropna().unique()))
        none = (
            f" In {infeasible} of {len(cells)} cells no strength keeps it there: they have no ring."
            if infeasible
            else ""
        )
        return (
            f"{count_text(cells['panel'].nunique(), 'attack')}, "
            f"{count_text(cells['surrogate_id'].nunique(), 'surrogate')}, "
            f"{count_text(len(cells), 'cell')}; a "
            f"thin line is one surrogate (of more than {MAX_LINES}: the middle 90 %), the thick one the median. Solid: "
            f"images fooled / images right when clean (median {cells['n_surrogate_correct'].median():.0f}), both on "
            "the surrogate, on the images that strengths are chosen on. Dashed: mean SSIM. Rings: the "
            f"strengths chosen among those with a mean SSIM above {levels}.{none} No intervals: a description."
        )
