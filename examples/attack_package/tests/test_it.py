"""The package's own tests: what dumb_bench checks of every attack, and a known answer."""

import torch
from my_attacks.smooth_fgsm import smooth_fgsm
from torch import nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.conformance import check_attack


def test_the_installed_attack_keeps_its_promises():
    """Found by its entry point, checked as `dumb-bench check attack smooth_fgsm` does."""
    failed = [check for check in check_attack(Catalogue(), "smooth_fgsm") if check.verdict == "failed"]
    assert failed == []


def test_on_a_linear_model_every_pixel_moves_along_the_averaged_weights():
    """Logits (-w x, w x), w = 1 but for one pixel of -2: squares of side 3 average it away, single pixels do not."""
    weights = torch.ones(1, 8, 8)
    weights[0, 4, 4] = -2.0
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False))
    model[1].weight.data = torch.stack([-weights.flatten(), weights.flatten()])
    images, labels = torch.full((1, 1, 8, 8), 0.5), torch.tensor([0])
    for side, expected in ((3, torch.ones(8, 8)), (1, weights[0].sign())):
        made = smooth_fgsm(model, images, labels, 0.1, generator=torch.Generator(), side=side)
        assert torch.allclose(made[0, 0], 0.5 + 0.1 * expected, atol=1e-6)
