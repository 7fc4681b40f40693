"""Frames for figures, made by hand: tests with a known rate, sets, tunings; and what a drawing must keep to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dumb_bench.case import case_of

FREE = ("box_blur", "gaussian_noise")
Rate = Callable[[dict[str, Any]], float]


def models(
    sources: Sequence[str], architectures: Sequence[str], balances: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the product as models; what no test varies is plain."""
    plain = {"init": "random", "subset": "all", "defence": "none", "posterior": "point", "recipe": "small"}
    plain |= {"samples": 1, "balance_mode": "paper", "params": "{}"}
    found = []
    for source, architecture, balance, seed in itertools.product(sources, architectures, balances, seeds):
        key = {"source": source, "architecture": architecture, "balance": balance, "seed": seed}
        found.append({**plain, **key, "id": f"{source}|{architecture}|{balance}|{seed}"})
    return found


def grid_frame(
    attacks: Sequence[str] = ("pgd",),
    *,
    sources: Sequence[str] = ("a", "b"),
    architectures: Sequence[str] = ("x", "y"),
    balances: Sequence[str] = ("50/50", "20/80"),
    seeds: Sequence[int] = (0, 1),
    strengths: Sequence[float] = (0.1,),
    rate: Rate = lambda test: 0.5,
    noise: float | None = 0.1,
    surrogates: int | None = None,
) -> pd.DataFrame:
    """Return tests as `groups.prepared` does: every surrogate against every victim, images of the surrogate's source.

    The first attack at the largest strength is primary. rate: success of a test. noise: success of sign noise at every
    strength, None without. surrogates: how many of the models attack.
    """
    pool = models(sources, architectures, balances, seeds)
    kinds = [(name, "attack") for name in attacks] + ([("sign_noise", "noise")] if noise is not None else [])
    rows = []
    pairs = itertools.product(pool[:surrogates], pool)
    for (surrogate, victim), (name, role), strength in itertools.product(pairs, kinds, strengths):
        differs = {f"{key}_differs": surrogate[key] != victim[key] for key in ("source", "architecture", "balance")}
        white, free, largest = surrogate["id"] == victim["id"], name in FREE, strength == max(strengths)
        row: dict[str, Any] = {
            **{f"surrogate_{key}": value for key, value in surrogate.items()},
            **{f"victim_{key}": value for key, value in victim.items()},
            "attack": name, "label": name, "base": "", "role": role, "setting": f"{strength:g}", "strength": strength,
            "norm": None if free else "linf", "strength_rule": "grid", "case": case_of(**differs), "white_box": white,
            "counted": not white, "copied": free or role == "noise", "population": "", "reference": True,
            "primary": name == attacks[0] and largest, "largest": largest, "own_success": 0.9,
            "image_source": surrogate["source"], "delivery": "uint8", "defence_known": False, "task": "digits",
            "surrogate_aggregation": "mean_logits", "surrogate_modifier": "none", "n_victim_correct": 100,
            "attack_id": f"{name}|{strength}|{surrogate['id']}",
        }  # fmt: skip
        rows.append(row | {"asr": noise if role == "noise" else rate(row)})
    return pd.DataFrame(rows)


def sets_frame(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the adversarial sets of some tests: SSIM = 1 - strength, L2 = 10 strength, 10 gradients an image."""
    sets = tests[["attack_id", "delivery", "attack", "strength"]].drop_duplicates()
    free = sets["attack"].isin([*FREE, "sign_noise"])
    return sets.assign(
        n_images=20, mean_ssim=1 - sets["strength"], mean_l2_delivered=10 * sets["strength"],
        mean_linf_delivered=sets["strength"], backwards=(~free) * 200, forwards=(~free) * 220, seconds=2.0,
        hardware="a CPU",
    )  # fmt: skip


def tunings_frame(
    attacks: Sequence[str],
    surrogates: int = 3,
    chosen: float | None = 0.2,
    strengths: Sequence[float] = (0.1, 0.2, 0.3),
) -> pd.DataFrame:
    """Return choices of a strength from a curve of three, for every attack and surrogate."""
    return pd.DataFrame(
        {
            "tuning_id": f"{name}|{number}", "surrogate_id": f"m{number}", "attack": name, "attack_params": "{}",
            "image_source": "a", "n_surrogate_correct": 20, "ssim_above": 0.4, "strengths": list(strengths),
            "mean_ssim": [0.8, 0.5, 0.3], "n_fooled": [4, 10 + number, 20], "strength": chosen,
            "feasible": chosen is not None,
        }
        for name in attacks
        for number in range(surrogates)
    )  # fmt: skip


def assert_clear(canvas: Figure) -> None:
    """Fail where tick labels or entries of the legend overlap, or any text leaves the canvas; no axes may be empty."""
    agg = FigureCanvasAgg(canvas)
    agg.draw()
    renderer = agg.get_renderer()
    ticks = [
        tick.label1
        for axes in canvas.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis._update_ticks()  # those drawn; the public list holds others beyond the ends
        if tick.label1.get_visible() and tick.label1.get_text()
    ]
    entries = [text for legend in canvas.legends for text in legend.get_texts()]
    titles = [
        title for axes in canvas.axes for title in (axes.title, axes._left_title, axes.xaxis.label) if title.get_text()
    ]
    width, height = agg.get_width_height()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in [*ticks, *entries]]
    for text, box in [*boxes, *((title.get_text(), title.get_window_extent(renderer)) for title in titles)]:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{text!r} leaves the canvas: {box} of {width} x {height}"
    for (first, one), (second, other) in itertools.combinations(boxes, 2):
        apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
        assert apart, f"{first!r} and {second!r} overlap"
    for axes in canvas.axes:
        assert axes.has_data(), "an empty panel"
