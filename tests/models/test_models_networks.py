"""Networks whose weights are drawn, and those whose weights are yet to be loaded."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.networks import blank_network, fresh_network
from dumb_bench.plugin_file import PluginFile
from dumb_bench.spec import ModelSpec, Plugin

SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_resnet"), "50/50", Plugin("small"), seed=0)

OWN = """
import torch
from torch import nn
from dumb_bench.architectures.base import architecture

class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.linear = nn.Linear(4, classes)
        nn.init.constant_(self.linear.weight, 5.0)
        nn.init.normal_(tensor=self.linear.bias)
        self.register_buffer("kept", torch.zeros(2))
        self.register_buffer("apart", torch.zeros(2), persistent=False)
        nn.init.constant_(self.kept, 3.0)
        nn.init.constant_(self.apart, 2.0)

    def forward(self, images):
        return self.linear(images.flatten(1)[:, :4])

@architecture("own")
def own(num_classes, image_shape): return Network(num_classes)
"""


def test_parameters_are_0_and_buffers_are_filled() -> None:
    catalogue = Catalogue((PluginFile("own.py", OWN),))
    spec = dataclasses.replace(SPEC, architecture=Plugin("own"))
    blank, fresh = blank_network(spec, catalogue), fresh_network(spec, catalogue, seed=0)
    assert blank.linear.weight.eq(0.0).all() and blank.linear.bias.eq(0.0).all() and fresh.linear.weight.eq(5.0).all()
    for network in (blank, fresh):
        assert network.kept.eq(3.0).all() and network.apart.eq(2.0).all()


@pytest.mark.parametrize("name", ["small_alexnet", "small_resnet", "small_vgg", "resnet18", "torchvision.vit_b_16"])
def test_a_blank_network_that_is_loaded_is_the_network(name: str) -> None:
    params = (("side", 32),) if name == "resnet18" else ()
    spec = dataclasses.replace(SPEC, architecture=Plugin(name, params))
    before = torch.get_rng_state()
    blank, fresh = blank_network(spec, Catalogue()).eval(), fresh_network(spec, Catalogue(), seed=1).eval()
    assert torch.equal(torch.get_rng_state(), before)
    blank.load_state_dict(fresh.state_dict())
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(blank(images), fresh(images))


def test_a_blank_network_is_refused_for_what_a_drawn_one_is() -> None:
    spec = dataclasses.replace(SPEC, architecture=Plugin("nothing"))
    with pytest.raises(InputError, match="nothing"):
        blank_network(spec, Catalogue())
