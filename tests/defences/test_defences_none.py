import pytest
import torch
from torch import nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.defences.none import none
from dumb_bench.spec import ModelSpec, Plugin

SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_vgg"), "50/50", Plugin("small"), 0)


def test_none_is_cross_entropy_and_the_model_itself():
    model = nn.Flatten()
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    loss = none().loss(model, logits, torch.tensor([0, 1]), generator)
    assert loss.shape == ()
    assert loss.item() == pytest.approx((torch.log1p(torch.exp(torch.tensor(-2.0))) + torch.log(torch.tensor(2.0))) / 2)
    assert torch.equal(before, generator.get_state())
    assert none().wrap(model) is model
    assert none().parents(SPEC) == ()


def test_none_is_the_spec_s_default():
    assert Catalogue().resolve("defences", "none", {}) == SPEC.defence
