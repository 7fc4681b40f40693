"""Every posterior, trained in the layout that graphics cards and large convolutions like best."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.models.predictor import networks
from dumb_bench.models.training import train_model
from dumb_bench.spec import ModelSpec, Plugin

CATALOGUE = Catalogue()
RECIPE = Plugin("small", (("channels_last", True), ("epochs", 1)))
SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_alexnet"), "50/50", RECIPE, seed=0)
SHORT: dict[str, dict[str, Any]] = {
    "point": {}, "mc_dropout": {}, "deep_ensemble": {"members": 2}, "laplace": {"samples": 2}, "vi": {"samples": 2},
    "swag": {"epochs": 1, "samples": 2}, "lgv": {"epochs": 1, "samples_per_epoch": 2},
    "fge": {"cycles": 1, "cycle_epochs": 2}, "snapshot": {"cycles": 2, "cycle_epochs": 1},
    "csgld": {"cycles": 1, "cycle_epochs": 2, "noise_epochs": 1, "samples_per_cycle": 1},
}  # fmt: skip


def test_no_posterior_is_left_out() -> None:
    assert set(SHORT) == set(CATALOGUE.names("posteriors"))


@pytest.mark.parametrize("name", SHORT)
def test_samples_are_stored_in_one_layout_and_used_in_that_of_the_training(name: str) -> None:
    spec = dataclasses.replace(SPEC, posterior=CATALOGUE.resolve("posteriors", name, SHORT[name]))
    samples = train_model(spec, CATALOGUE).samples
    for state in samples.states:
        assert all(tensor.is_contiguous() and tensor.isfinite().all() for tensor in state.values())
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for network in networks(spec, CATALOGUE, samples):
        assert network(images).isfinite().all()
        weights = [weight for weight in network.parameters() if weight.ndim == 4 and min(weight.shape[1:3]) > 1]
        assert weights and not any(weight.is_contiguous() for weight in weights)
