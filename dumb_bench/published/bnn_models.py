"""Surrogates and victims of Gubri et al. (UAI 2022) as this package's grid of the study names them."""

from __future__ import annotations

import re
from typing import Any

from dumb_bench.published.bnn_files import Result
from dumb_bench.published.records import published
from dumb_bench.published.studies import NUMERICS
from dumb_bench.spec import NONE, ModelSpec, Plugin, SurrogateSpec

_ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "PreResNet110": ("preresnet", {}),
    "PreResNet164": ("preresnet", {"depth": 164}),
    "VGG16BN": ("vgg_cifar", {}),
    "VGG19BN": ("vgg_cifar", {"depth": 19}),
    "WideResNet28x10": ("wide_resnet", {}),
}
_POSTERIORS = {
    "swag": "swag", "vi": "vi", "bnn": "vi", "sse": "snapshot", "snapshot": "snapshot", "fge": "fge",
    "kfac": "laplace", "laplace": "laplace", "dropout": "mc_dropout", "mcdropout": "mc_dropout",
    "mc_dropout": "mc_dropout", "hmc": "hmc", "sgld": "sgld", "lgv": "lgv",
}  # fmt: skip
_CHAIN = {"cycle_epochs": 50, "momentum": 0.0, "reference": True}
"""Of the chain on CIFAR-10; its five cycles of three samples are the posterior's defaults."""
SAMPLES_PER_CYCLE, CIFAR_EPOCHS, IMAGENET_CYCLE = 3, 250, 45
POOL = 15
_VICTIM_SEEDS = 100


def _base(dataset: str, architecture: str) -> dict[str, Any]:
    name, params = _ARCHITECTURES.get(architecture, (architecture, {}))
    source = dataset.lower()
    balance = "/".join(["10"] * 10) if source == "cifar10" else "balanced"
    return {
        "task": source, "source": published(source), "architecture": published(name, **params), "balance": balance,
    }  # fmt: skip


def _recipe(dataset: str, kind: str) -> Plugin:
    return published(f"gubri_{dataset.lower()}_{kind}")


def surrogate_of(dataset: str, row: Result) -> SurrogateSpec:
    """Return what the attacker holds. `cycle`: fewer samples an iteration than it holds; else `mean_logits`."""
    size, kind = row.surrogate_size_ensembles, row.surrogate_type.lower()
    recipe = _recipe(dataset, "csgld")
    if kind == "dnn":
        recipe = _recipe(dataset, "dnn")
        posterior = published("deep_ensemble", members=max(POOL, size)) if size > 1 else published("point")
    elif kind == "csgld":
        posterior = published("csgld", **(_CHAIN if dataset.lower() == "cifar10" else {}))
    else:
        posterior = published(_POSTERIORS.get(kind, kind))
    model = ModelSpec(
        **_base(dataset, row.surrogate_archs), recipe=recipe, seed=0, posterior=posterior, samples=size
    )  # fmt: skip
    aggregation = "cycle" if row.n_ensemble < size else "mean_logits"
    return SurrogateSpec((model,), aggregation, published("ghost") if row.ghost else NONE)


def victim_of(dataset: str, row: Result) -> ModelSpec:
    """Return the victim. Its seed is 100 + the number in its file's name, so that it is no surrogate's."""
    numbers = re.findall(r"seed([0-9]{1,6})", row.model_target)
    seed = _VICTIM_SEEDS + (int(numbers[-1]) if numbers else 0)
    recipe = Plugin(_recipe(dataset, "dnn").name, (), f"{NUMERICS} {row.model_target}")
    return ModelSpec(**_base(dataset, row.arch_target), recipe=recipe, seed=seed)


def epochs_of(dataset: str, row: Result) -> int | None:
    """Return how long what the surrogate holds was trained, in epochs, where the paper says so."""
    size, kind = row.surrogate_size_ensembles, row.surrogate_type.lower()
    cycles = row.limit_cycles or -(-size // (row.limit_samples_cycle or SAMPLES_PER_CYCLE))
    if dataset.lower() == "cifar10":
        return {"dnn": CIFAR_EPOCHS * size, "csgld": CIFAR_EPOCHS // 5 * cycles}.get(kind)
    if dataset.lower() in ("imagenet", "ilsvrc2012") and kind == "csgld":
        return IMAGENET_CYCLE * cycles
    return None
