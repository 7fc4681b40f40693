import subprocess
import sys

import pytest
import torch
from torch import nn

from dumb_bench.posteriors import optimisers

SETTINGS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}),
    ("SGD", {"lr": 0.1}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.999), "weight_decay": 1e-3}),
]


def trained(kind, settings, steps=6):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 16, 2))
    stepper = kind(network.parameters(), **settings)
    for _ in range(steps):
        stepper.zero_grad()
        network(torch.rand(4, 1, 6, 6)).square().sum().backward()
        stepper.step()
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_the_same_bits_as_torch(name, settings):
    own = trained(getattr(optimisers, name), settings)
    assert torch.equal(own, trained(getattr(torch.optim, name), settings))
    assert not torch.equal(own, trained(getattr(optimisers, name), settings, steps=5))
    assert torch.equal(own, trained(getattr(optimisers, name), settings)), "nor after torch has wrapped its own"


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_the_weights_take_no_part_in_a_graph_after_a_step(name):
    weight = nn.Parameter(torch.ones(2))
    stepper = getattr(optimisers, name)([weight], lr=0.5)
    weight.square().sum().backward()
    stepper.step()
    assert weight.is_leaf and weight.grad_fn is None and torch.is_grad_enabled()
    assert not torch.equal(weight.detach(), torch.ones(2))


FIT = """
import sys
import torch
from torch import nn
from dumb_bench.defences.none import none
from dumb_bench.models.fitting import Images, fit
from dumb_bench.posteriors.chains import plain_sgd
from dumb_bench.recipes import Recipe
data = Images(torch.zeros(4, 1, 4, 4, dtype=torch.uint8), torch.arange(4) % 2)
for name in ("sgd", "adam"):
    recipe = Recipe(optimiser=name, lr=0.01, batch=2, epochs=1, patience=1)
    for optimiser in (None, plain_sgd(recipe, 0.9)):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), data, data, recipe, none(), len, optimiser=optimiser)
assert "torch._dynamo" not in sys.modules
torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
sys.exit(3 if "torch._dynamo" in sys.modules else 0)
"""


def test_training_does_not_import_the_compiler():
    ended = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True)
    assert ended.returncode == 3, f"torch.optim imports it, these do not: {ended.stderr}"
