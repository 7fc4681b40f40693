"""The losses of targeted attacks: closed forms, gradients, invariances; and the two attacks that are built on them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import craft
from dumb_bench.attacks.gradients import LOSSES, Objective
from dumb_bench.attacks.iterative import iterate
from dumb_bench.attacks.logit import summed
from dumb_bench.attacks.views.ti import kernel_line, smoothed
from dumb_bench.catalogue import Catalogue, check_params
from dumb_bench.perturbation import linf
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()
LOGITS = torch.tensor([[3.0, 1.0, -1.0], [0.0, 2.0, 2.5]], dtype=torch.float64)
LABELS, TARGETS = torch.tensor([0, 1]), torch.tensor([2, 0])


def slope(name: str, logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    point = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(LOSSES[name](point, labels, targets).sum(), point)
    return found


def test_the_logit_loss_is_the_targets_logit_or_minus_the_labels() -> None:
    assert LOSSES["logit"](LOGITS, LABELS, TARGETS).tolist() == [-1.0, 0.0]
    assert LOSSES["logit"](LOGITS, LABELS, None).tolist() == [-3.0, -2.0]
    assert slope("logit", LOGITS, LABELS, TARGETS).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert slope("logit", LOGITS, LABELS, None).tolist() == [[-1, 0, 0], [0, -1, 0]]


def test_the_margin_loss_is_the_cross_entropy_of_logits_over_their_margin() -> None:
    first = math.log(math.exp(1.5) + math.exp(0.5) + math.exp(-0.5))  # margin 2
    second = math.log(math.exp(0) + math.exp(4) + math.exp(5))  # margin 0.5
    aimed = LOSSES["logit_margin"](LOGITS, LABELS, TARGETS)
    away = LOSSES["logit_margin"](LOGITS, LABELS, None)
    assert aimed.tolist() == pytest.approx([-0.5 - first, 0 - second])
    assert away.tolist() == pytest.approx([first - 1.5, second - 4])
    shares = torch.softmax(LOGITS / torch.tensor([[2.0], [0.5]]), 1)
    wanted = (torch.eye(3, dtype=torch.float64)[TARGETS] - shares) / torch.tensor([[2.0], [0.5]])
    assert torch.allclose(slope("logit_margin", LOGITS, LABELS, TARGETS), wanted)
    wanted = (shares - torch.eye(3, dtype=torch.float64)[LABELS]) / torch.tensor([[2.0], [0.5]])
    assert torch.allclose(slope("logit_margin", LOGITS, LABELS, None), wanted)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 30.0, 1e6])
@pytest.mark.parametrize("targets", [TARGETS, None])
def test_the_margin_loss_does_not_see_the_scale_of_the_logits(scale: float, targets: Tensor | None) -> None:
    whole = LOSSES["logit_margin"](LOGITS, LABELS, targets)
    assert torch.allclose(LOSSES["logit_margin"](scale * LOGITS, LABELS, targets), whole)
    found = scale * slope("logit_margin", scale * LOGITS, LABELS, targets)
    assert torch.allclose(found, slope("logit_margin", LOGITS, LABELS, targets))
    if scale >= 30:
        assert not torch.allclose(
            LOSSES["cross_entropy"](scale * LOGITS, LABELS, targets), LOSSES["cross_entropy"](LOGITS, LABELS, targets)
        )


def test_the_gradients_stay_alive_where_that_of_the_cross_entropy_is_lost() -> None:
    """A target that has won by 2000: softmax - one-hot is exactly 0 in float64; the other two losses still pull."""
    sure = torch.tensor([[2000.0, 0.0, -10.0]], dtype=torch.float64)
    won = torch.tensor([0])
    assert slope("cross_entropy", sure, won, won).abs().max() == 0
    for name in ("logit", "logit_margin"):
        assert slope(name, sure, won, won)[0, 0] > 0


@pytest.mark.parametrize("logits", [[[1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
def test_a_tie_is_not_divided_by_zero(logits: list[list[float]]) -> None:
    tied = torch.tensor(logits, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.int64)
    assert torch.equal(LOSSES["logit_margin"](tied, zero, None), LOSSES["cross_entropy"](tied, zero, None))
    assert torch.isfinite(slope("logit_margin", tied, zero, zero)).all()
    near = torch.tensor([[1.0, 1.0 - 1e-16 * 2, -300.0]], dtype=torch.float64)
    assert torch.isfinite(slope("logit_margin", near, zero, zero + 2)).all()


def network(scale: float = 1.0) -> nn.Module:
    """A smooth network whose five logits are centred on `IMAGES`, and `scale` times as large as at scale 1."""
    torch.manual_seed(3)
    head = nn.Linear(72, 5)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Softplus(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), head)
    with torch.no_grad():
        head.bias -= layers(IMAGES).mean(0)
        head.weight *= scale
        head.bias *= scale
    return layers.eval()


IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def pictures() -> tuple[Tensor, Tensor, Tensor]:
    labels = network()(IMAGES).argmax(1)
    return IMAGES, labels, (labels + 1 + torch.arange(5) % 4) % 5


def made(name: str, model: nn.Module, targets: Tensor | None, eps: float = 16 / 255, **params: Any) -> Tensor:
    images, labels, _ = pictures()
    (found,) = craft(
        CATALOGUE.get("attacks", name), LockedSurrogate([model], 5), images, labels, [eps],
        params=params, chunk=64, seed_key=(name,), targets=targets,
    )  # fmt: skip
    return found.images


@pytest.mark.parametrize("name", ["logit", "logit_margin"])
def test_a_targeted_attack_raises_its_target_and_an_untargeted_one_lowers_the_label(name: str) -> None:
    images, labels, targets = pictures()
    model = network()

    def lead(adversarial: Tensor, wanted: Tensor) -> Tensor:
        logits = model(adversarial)
        return logits.gather(1, wanted[:, None])[:, 0] - (logits.mean(1) if name == "logit_margin" else 0)

    aimed, away = (made(name, model, each, 0.3, steps=30) for each in (targets, None))
    assert (lead(aimed, targets) > lead(images, targets)).all()
    assert (lead(away, labels) < lead(images, labels)).all()
    assert (model(aimed).argmax(1) == targets).float().mean() == 1
    for found in (aimed, away):
        assert (linf(found, images) - 0.3).abs().max() < 1e-6


def test_the_margin_attack_is_the_same_on_a_network_of_another_scale() -> None:
    _, _, targets = pictures()
    once, larger = (made("logit_margin", network(scale), targets, steps=20) for scale in (1.0, 8.0))
    assert float(((once - larger).abs() < 1e-6).double().mean()) > 0.999  # a sign near 0 may turn in the last bit
    assert not torch.equal(*(made("mifgsm", network(scale), targets, loss="cross_entropy") for scale in (1.0, 8.0)))


@pytest.mark.parametrize("name, decay", [("logit", 1.0), ("logit", 0.3), ("logit_margin", 1.0), ("logit_margin", 0.3)])
def test_the_attack_is_the_authors_loop_written_plainly(name: str, decay: float) -> None:
    """On 48 pixels, where the kernel that fits has 9 pixels and theirs 5."""
    images = torch.rand(5, 3, 48, 48, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    model, labels, targets = network(20.0).double(), torch.zeros(5, dtype=torch.int64), torch.arange(5)
    found = CATALOGUE.get("attacks", name).call(
        LockedSurrogate([model], 5), images, labels, 0.2,
        generator=torch.Generator(), targets=targets, steps=12, decay=decay, inputs=("ti",),
    )  # fmt: skip
    adversarial, momentum = images.clone(), torch.zeros_like(images)
    for _ in range(12):
        point = adversarial.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(LOSSES[name](model(point), labels, targets).sum(), point)
        gradient = smoothed(gradient, kernel_line("gaussian", 5))
        if name == "logit_margin":
            gradient = gradient / gradient.abs().mean((1, 2, 3), keepdim=True)
        momentum = gradient + decay * momentum
        adversarial = adversarial + 0.025 * momentum.sign()
        adversarial = (images + (adversarial - images).clamp(-0.2, 0.2)).clamp(0, 1)
    assert float((found - adversarial).abs().max()) < 1e-9


def test_the_momentum_of_the_logit_attack_sums_raw_gradients() -> None:
    """Of gradients 4, -1, -1, -1 the sum stays positive, the sum of the normalised 1, -1, -1, -1 does not."""
    clean, parts = torch.full((1, 1, 1, 1), 0.5), [4.0, -1.0, -1.0, -1.0]

    def run(**options: Any) -> float:
        left = iter(parts)
        return float(
            iterate(
                clean, 1.0, gradient=lambda images: torch.full_like(images, next(left), dtype=torch.float64),
                generator=torch.Generator(), steps=4, step=0.1, **options,
            )
        )  # fmt: skip

    assert run(estimate=summed(1.0), decay=0) == pytest.approx(0.9)
    assert run(decay=1) == pytest.approx(0.5 + 0.1 + 0 - 0.1 - 0.1)
    assert run(estimate=summed(0.0), decay=0) == pytest.approx(0.5 + 0.1 - 0.3)


def test_the_budget_is_reached_at_every_eps_because_the_step_follows_it() -> None:
    images, _, targets = pictures()
    for eps in (2 / 255, 0.05, 0.3):
        for name in ("logit", "logit_margin"):
            found = made(name, network(), targets, eps, steps=9)
            assert float((linf(found, images) - eps).abs().max()) < 1e-6
    quarter = made("logit", network(), targets, 0.1, steps=2)
    assert float(linf(quarter, images).max()) == pytest.approx(0.025, abs=1e-6)


def test_a_loss_can_be_named_in_any_attack_and_no_other_name_is_taken() -> None:
    entry = CATALOGUE.get("attacks", "sifgsm")
    assert check_params(entry, {"loss": "logit"}) == {"loss": "logit"}
    with pytest.raises(Exception, match=r"cross_entropy.*logit.*logit_margin"):
        check_params(entry, {"loss": "hinge"})
    images, labels, targets = pictures()
    objective = Objective(LockedSurrogate([network()], 5), labels, targets, "logit")
    wanted = images.clone().requires_grad_()
    (by_hand,) = torch.autograd.grad(network()(wanted).gather(1, targets[:, None]).sum(), wanted)
    assert torch.allclose(objective.gradient(images).float(), by_hand)
