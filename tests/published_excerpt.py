"""Tiny result files in the formats of the two papers, with counts that are known: every number here is made up."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SOURCES, MODELS, BALANCES = ("bing", "google"), ("alexnet", "vgg"), ("20/80", "50/50")
NETWORKS = list(itertools.product(SOURCES, MODELS, BALANCES))
SWEEPS = {"BIM": (0.1, 0.2, 0.3), "BoxBlur": (0.5, 1.0, 1.5), "RandomBlackBox": (10.0, 20.0), "InvertColor": (1.0,)}
MATHS = ("BIM", "FGSM", "PGD")
Network = tuple[str, str, str]


def single(value: float) -> str:
    """A number as their scripts write what was computed in float32."""
    return f"{float(np.float32(value)):.8g}"


def write(path: Path, rows: list[dict[str, Any]], *, index: bool = True) -> None:
    """Write rows as CSV, with or without the unnamed column of row numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(([""] if index else []) + list(rows[0]))
        out.writerows(([number] if index else []) + list(row.values()) for number, row in enumerate(rows))


@dataclass
class Dumb:
    """What was planted. n: (source of the images, victim) -> images by class; k: (attack, surrogate, victim) ->
    successes by class; best: (attack, surrogate) -> the strength that the files say was used.
    """

    n: dict[tuple[str, Network], tuple[int, int]] = field(default_factory=dict)
    k: dict[tuple[str, Network, Network], tuple[int, int]] = field(default_factory=dict)
    best: dict[tuple[str, Network], float] = field(default_factory=dict)


def _rates(n: tuple[int, int], k: tuple[int, int]) -> dict[str, Any]:
    return {"asr": single(sum(k) / sum(n)), "asr_0": k[0] / n[0], "asr_1": k[1] / n[1]}


def write_dumb(
    folder: Path, *, task: str = "catDog", attacks: Iterable[str] = tuple(SWEEPS), index: bool = True, seed: int = 0
) -> Dumb:
    """Write `results/` of Alecci et al. for eight networks of one task. InvertColor on google is left over: .3, by the
    history no strength is allowed. On the first network all strengths tie.
    """
    rng = np.random.default_rng(seed)
    found = Dumb()
    root = folder / "results"
    for source, victim in itertools.product(SOURCES, NETWORKS):
        low = 130 if victim[0] == source else 150
        found.n[source, victim] = tuple(int(value) for value in rng.integers(low, 151, 2))  # type: ignore[assignment]
    best = []
    for attack in attacks:
        tested, measured = [], []
        for own in NETWORKS:
            options: list[tuple[float, int, float]] = []
            k: tuple[int, ...] = ()
            for eps in SWEEPS[attack]:
                ssim = 0.35 if attack == "InvertColor" and own[0] == "google" else 0.9 - 0.1 * SWEEPS[attack].index(eps)
                n = found.n[own[0], own]
                if own != NETWORKS[0] or not options:
                    k = tuple(int(rng.integers(0, 1 + most)) for most in n)
                measured.append(
                    {"attack": attack, "task": task, "model": own[1], "balance": own[2].replace("/", "_"),
                     "dataset": own[0], "ssim": ssim, "eps": eps, **_rates(n, k)}
                )  # fmt: skip
                if ssim > 0.4:
                    options.append((float(np.float32(sum(k) / sum(n))), len(options), eps))
            found.best[attack, own] = max(options)[2] if options else 0.3
            best.append(
                {"attack": attack, "model": own[1], "dataset": own[0], "balance": own[2].replace("/", "_"),
                 "best_eps": found.best[attack, own]}
            )  # fmt: skip
            for victim in NETWORKS:
                n = found.n[own[0], victim]
                k = tuple(int(rng.integers(0, 1 + most)) for most in n)
                found.k[attack, own, victim] = k
                tested.append(
                    {"source_dataset": own[0], "isMath": attack in MATHS, "attack": attack, "source_model": own[1],
                     "source_balancing": own[2], "target_model": victim[1], "target_dataset": victim[0],
                     "target_balancing": victim[2], **_rates(n, k)}
                )  # fmt: skip
        write(root / "attacks" / "evaluation" / task / f"evaluations_{attack}.csv", tested, index=index)
        write(root / "attacks" / "history" / task / f"{attack}.csv", measured, index=index)
    write(root / "attacks" / "history" / task / "all_eps.csv", best, index=index)
    baseline = [
        {"source_dataset": source, "target_model": victim[1], "target_dataset": victim[0],
         "target_balancing": victim[2], "baseline_f1": single(rng.uniform(0.9, 1))}
        for source, victim in itertools.product(SOURCES, NETWORKS)
    ]  # fmt: skip
    write(root / "models" / "baseline" / f"baseline_{task}.csv", baseline, index=index)
    return found


VICTIM = "models_target/CIFAR10/{}/single_model/model_Adam_seed1.pth"
N_ADV, RIGHT = 1000, 930


def result(success: int, **given: Any) -> dict[str, Any]:
    """One row of `results_*.csv` of Gubri et al., with `success` of 1,000 images."""
    row: dict[str, Any] = {
        "model_target": VICTIM.format(given.get("arch_target", "PreResNet110")), "arch_target": "PreResNet110",
        "surrogate_type": "dnn", "surrogate_archs": "PreResNet110", "surrogate_size_ensembles": 1, "norm_type": "inf",
        "norm_max": 0.01568, "norm_step": 0.001568, "n_iter": 50, "n_ensemble": 1, "n_random_init": 0, "momentum": "",
        "shuffle": True, "ghost": False, "input_diversity": False, "translation_invariant": False,
        "adv_fail_rate": 1 - success / N_ADV, "adv_sucess_rate": success / N_ADV, "adv_norm_mean": 0.01568,
        "adv_norm_min": 0.01568, "adv_norm_max": 0.01568, "limit_samples_cycle": "", "limit_cycles": "",
        "surrogate_acc_original_ex": 0.98, "surrogate_acc_adv_ex": 0.01, "target_acc_original_ex": RIGHT / N_ADV,
        "acc_original_ex": 0.98, "nb_adv": N_ADV, "time": 400.5,
    }  # fmt: skip
    return row | given


CURVE = {1: 700, 2: 800, 5: 860, 15: 900}
"""Networks -> successes of I-FGSM light, Linf."""


def bnn_rows() -> list[dict[str, Any]]:
    """The rows of `results_same_arch.csv`: the chain reaches the curve at 2.8 networks, light."""
    light = [result(success, surrogate_size_ensembles=size) for size, success in CURVE.items()]
    full = [
        result(success + 10, surrogate_size_ensembles=size, n_ensemble=size)
        for size, success in CURVE.items()
        if size > 1
    ]
    chain = {"surrogate_type": "cSGLD", "surrogate_size_ensembles": 15}
    l2 = {"norm_type": "2", "norm_max": 0.5, "norm_step": 0.05, "adv_norm_mean": 0.4}
    return [
        result(832, **chain), result(880, **chain, n_ensemble=15), result(820, **chain, **l2), *light, *full,
        result(710),  # the same experiment again
        result(400, **l2), result(500, **l2, momentum=0.9), result(550, **l2, n_random_init=5),
        result(300, n_iter=1, norm_step=0.01568), result(610, input_diversity=True), result(620, ghost=True),
        result(630, translation_invariant=True),
        result(650, **chain, arch_target="VGG16BN"),
    ]  # fmt: skip


def write_bnn(folder: Path, rows: list[dict[str, Any]] | None = None) -> None:
    """Write `X_adv/` of Gubri et al.; the second file holds the single network of the curve once more."""
    place = folder / "X_adv" / "CIFAR10" / "PreResNet110"
    write(place / "results_same_arch.csv", bnn_rows() if rows is None else rows, index=False)
    write(place / "results_dee.csv", [result(700, time=1.0), result(840, surrogate_size_ensembles=3)], index=False)
