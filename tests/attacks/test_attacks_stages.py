"""The gradient stages: what is left of them in degenerate settings, the points they ask about, their formulas."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from linear_model import STAGES, Linear, grey, made, noisy, small_network
from torch import Tensor, nn

from dumb_bench.attacks.gra import DecayIndicator
from dumb_bench.seeding import derive_seed


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 2.0)])
@pytest.mark.parametrize("name, params, base", [
    ("vmifgsm", {"neighbours": 0}, "mifgsm"), ("vmifgsm", {"neighbours": 2, "beta": 0.0}, "mifgsm"),
    ("vnifgsm", {"neighbours": 0}, "nifgsm"),
    ("emifgsm", {"radius": 0.0}, "mifgsm"), ("emifgsm", {"samples": 1}, "mifgsm"),
    ("gra", {"neighbours": 2, "beta": 0.0, "eta": 1.0}, "mifgsm"),
    ("pgn", {"neighbours": 2, "zeta": 0.0, "balance": 0.0}, "mifgsm"),
    ("rap", {"steps": 10, "relative_step": 0.1, "late_start": 1.0}, "mifgsm"),
    ("rap", {"steps": 10, "relative_step": 0.1, "late_start": 0.0, "inner_radius": 0.0}, "mifgsm"),
])  # fmt: skip
def test_where_nothing_is_left_of_a_stage_its_base_remains(
    name: str, params: dict[str, object], base: str, norm: str, eps: float
) -> None:
    network, (images, labels) = small_network().double(), noisy()
    found = made(name, network, images, labels, eps, norm=norm, **params)
    assert float((found.images - made(base, network, images, labels, eps, norm=norm).images).abs().max()) < 1e-9


@pytest.mark.parametrize("name", [name for name in STAGES if name != "mifgsm"])
def test_a_stage_is_not_its_base(name: str) -> None:
    network, (images, labels) = small_network().double(), noisy()
    found = made(name, network, images, labels, 0.1, **STAGES[name]).images
    assert float((found - made("mifgsm", network, images, labels, 0.1).images).abs().max()) > 0.01


class Recorder(Linear):
    """Keeps the images that it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().double())
        return super().forward(images)


def looked_at(name: str, **params: object) -> tuple[list[Tensor], Tensor]:
    """Return the points asked about, less the image, and the gradient of mean absolute value 1 there."""
    network = Recorder()
    images, labels = grey(2)
    made(name, network, images, labels, 0.1, **params)
    gradient = (network.optimum(images, labels, "l2", 1.0) - images).double()
    return [seen - images for seen in network.seen], gradient / gradient[0].abs().mean()


def near(left: Tensor, right: Tensor) -> bool:
    return float((left - right).abs().max()) < 1e-6


@pytest.mark.parametrize("norm, share", [("linf", 1.0), ("l2", 3072**-0.5)])
def test_a_look_ahead_lies_a_step_along_the_momentum(norm: str, share: float) -> None:
    seen, gradient = looked_at("nifgsm", norm=norm, steps=2, decay=0.5)
    move = 0.05 * (gradient.sign() if norm == "linf" else gradient / gradient[0].norm())
    assert near(seen[0], torch.zeros(())) and near(seen[1], move + 0.5 * 0.05 * share * gradient)


def test_emi_samples_evenly_along_the_gradient_before() -> None:
    seen, gradient = looked_at("emifgsm", steps=2, samples=5, radius=4.0)
    assert all(near(point, torch.zeros(())) for point in seen[:5])
    expected = [0.05 * gradient.sign() + place * 0.05 * gradient for place in (-4, -2, 0, 2, 4)]
    assert all(near(point, place) for point, place in zip(seen[5:], expected, strict=True))


def test_pgn_looks_at_neighbours_and_a_step_down_from_each() -> None:
    seen, gradient = looked_at("pgn", steps=2, neighbours=2, zeta=1.5)
    for point, below in zip(seen[:4:2], seen[1:4:2], strict=True):
        assert 0.149 < float(point.abs().max()) <= 0.15
        assert near(below, point - 0.05 * gradient)


def test_neighbours_of_variance_tuning_lie_around_the_point_before_and_the_last_ones_are_not_asked_for() -> None:
    seen, gradient = looked_at("vmifgsm", steps=2, neighbours=3, beta=2.0)
    assert len(seen) == 5 and near(seen[4], 0.05 * gradient.sign())
    assert all(0.199 < float(point.abs().max()) <= 0.2 + 1e-7 for point in seen[1:4])


def test_rap_starts_late_and_then_asks_where_the_loss_is_lower() -> None:
    seen, gradient = looked_at("rap", steps=4, late_start=0.5, inner_steps=4, inner_radius=2.0)
    assert len(seen) == 2 + 2 * 5
    ascent = [float((point * gradient).sum()) for point in seen[2:7]]
    assert all(after < before for before, after in pairwise(ascent))
    at = 0.025 * gradient.sign()
    assert float(((seen[6] - at) * gradient.sign()).max()) <= 1e-6
    assert 0.199 < float((seen[6] - at).abs().max()) <= 0.2 + 1e-6


@pytest.mark.parametrize("name, params", [
    ("gra", {"neighbours": 3, "beta": 30.0}), ("pgn", {"neighbours": 3, "zeta": 30.0, "balance": 0.3}),
])  # fmt: skip
def test_one_step_in_l2_is_along_the_gradient_of_the_papers_formula(name: str, params: dict[str, object]) -> None:
    network, (images, labels) = small_network().double(), noisy()
    images, spread = images / 2 + 0.25, 3072**-0.5

    def slope(at: Tensor) -> Tensor:
        point = at.clone().requires_grad_()
        (found,) = torch.autograd.grad(nn.functional.cross_entropy(network(point), labels, reduction="sum"), point)
        return found

    torch.manual_seed(derive_seed(name, "chunk", 0))
    near = [images + torch.empty_like(images).uniform_(-15 * spread, 15 * spread) for _ in range(3)]
    slopes = [slope(point) for point in near]
    if name == "gra":
        own, mean = slope(images), sum(slopes, torch.zeros_like(images)) / 3
        share = nn.functional.cosine_similarity(own.flatten(1), mean.flatten(1)).view(-1, 1, 1, 1)
        expected = share * own + (1 - share) * mean
    else:
        sizes = [each.abs().mean((1, 2, 3), keepdim=True) for each in slopes]
        below = [
            slope(point - 0.5 * spread * each / size) for point, each, size in zip(near, slopes, sizes, strict=True)
        ]
        expected = sum((0.7 * each + 0.3 * under for each, under in zip(slopes, below, strict=True)), torch.zeros(()))
    found = made(name, network, images, labels, 0.5, norm="l2", steps=1, **params).images - images
    length = expected.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert float((found - 0.5 * expected / length).abs().max()) < 1e-8


def test_the_decay_indicator_of_gra_shrinks_a_step_where_its_sign_turns() -> None:
    towards = DecayIndicator("linf", 0.5)
    rows = [[1.0, 2.0, 0.0], [3.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]]
    steps = [towards(torch.tensor(row)).tolist() for row in rows]
    assert steps == [[1, 1, 0], [1, -0.5, 1], [-0.5, 0.25, 1], [-0.5, 0.25, -0.5]]


@pytest.mark.parametrize("name", STAGES)
def test_input_transformations_reach_the_gradient_stage(name: str) -> None:
    network, (images, labels) = small_network(), noisy(2)
    plain, smoothed = (
        made(name, network, images.float(), labels, 0.1, **{**STAGES[name], "steps": 4}, inputs=inputs).images
        for inputs in ((), ("ti",))
    )
    assert float((plain - smoothed).abs().max()) > 0.01
