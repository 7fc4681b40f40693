"""From weight samples to networks that can be attacked and scored."""

from __future__ import annotations

import torch
from torch import nn

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.defences.composition import defence_of
from dumb_bench.errors import InputError
from dumb_bench.models.networks import blank_network
from dumb_bench.posteriors.base import WeightSamples
from dumb_bench.posteriors.mc_dropout import insert_dropout
from dumb_bench.posteriors.vi import GaussianNetwork
from dumb_bench.recipes import recipe_of
from dumb_bench.spec import ModelSpec


def networks(
    spec: ModelSpec, catalogue: Catalogue, samples: WeightSamples, *, device: str = "cpu"
) -> tuple[nn.Module, ...]:
    """Return the spec's first `spec.samples` networks, each inside the defence: eval mode, frozen.

    Each maps images (N, C, H, W) in [0, 1] to logits (N, K). Samples of kind `dropout` or `gaussian` give
    one network `spec.samples` times, whose passes differ: it draws from PyTorch's global generator, in eval mode too.
    The weights lie in memory as the recipe says (`channels_last`), so that they are executed as they were trained.

    Raises:
        InputError: an unknown name in the spec, fewer samples than the spec says, `gaussian` without deviations, or
            `dropout` of a posterior that has no parameter `rate`.
    """
    name = spec.posterior.name
    if samples.kind == "gaussian" and len(samples.states) != 2:
        raise InputError(f"posterior {name!r}: samples of kind 'gaussian' are means and deviations")
    defence = defence_of(spec.defence, catalogue)
    found = []
    stochastic = samples.kind != "samples"
    channels_last = not spec.checkpoint and recipe_of(spec.recipe).channels_last
    for state in samples.states[:1] if stochastic else samples.prefix(spec.samples).states:
        network = blank_network(spec, catalogue)
        if samples.kind == "dropout":
            insert_dropout(network, _rate(spec, catalogue), always=True)
        network.load_state_dict(dict(state))
        if samples.kind == "gaussian":
            network = GaussianNetwork(network, samples.states[1])
        network = defence.wrap(network).to(torch.device(device)).eval().requires_grad_(False)
        found.append(network.to(memory_format=torch.channels_last) if channels_last else network)
    return tuple(found) * (spec.samples if stochastic else 1)


def _rate(spec: ModelSpec, catalogue: Catalogue) -> float:
    settings = all_params(catalogue.get("posteriors", spec.posterior.name), spec.posterior.as_dict())
    if "rate" not in settings:
        raise InputError(f"posterior {spec.posterior.name!r}: samples of kind 'dropout' need a parameter 'rate'")
    return float(settings["rate"])
