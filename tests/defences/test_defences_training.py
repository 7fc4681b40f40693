"""Adversarial trainings against what they are made of: the attack, hand computations, and who made the examples."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from dumb_bench.attacks.fgsm import fgsm
from dumb_bench.attacks.pgd import pgd
from dumb_bench.defences.adversarial import evaluating
from dumb_bench.defences.base import Course
from dumb_bench.defences.curriculum_at import curriculum_at
from dumb_bench.defences.ensemble_at import ensemble_at
from dumb_bench.defences.fgsm_at import fgsm_at
from dumb_bench.defences.noise_training import noise_training
from dumb_bench.defences.pgd_at import pgd_at
from dumb_bench.defences.trades import trades
from dumb_bench.spec import ModelSpec, Plugin
from dumb_bench.surrogate import LockedSurrogate

SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_vgg"), "50/50", Plugin("small"), 7)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Small(nn.Module):
    """Has BatchNorm and dropout, and notes what it was shown in which mode."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                nn.Linear(4 * 36, 3),
            )  # fmt: skip
        self.seen = []

    def forward(self, images):
        self.seen.append((images.detach().clone(), self.training))
        return self.body(images)

    @property
    def outer(self):
        """The images of the passes in train mode."""
        return [images for images, training in self.seen if training]


def scene(count=5, seed=3):
    generator = seeded(seed)
    return torch.rand(count, 1, 6, 6, generator=generator), torch.arange(count) % 3


def warmed(network):
    """Give BatchNorm statistics of its own, so that eval and train mode differ."""
    images, _ = scene(64, 9)
    for _ in range(20):
        network(images)
    network.seen.clear()
    return network


@pytest.mark.parametrize(
    ("defence", "params"),
    [
        (pgd_at(), {"eps": 8 / 255, "steps": 7, "relative_step": 0.25}),
        (pgd_at(eps=0.2, steps=3, relative_step=0.4, random_start=False),
         {"eps": 0.2, "steps": 3, "relative_step": 0.4, "random_start": False}),
        (fgsm_at(eps=0.1), {"eps": 0.1, "steps": 1, "relative_step": 1.25}),
    ],
)  # fmt: skip
def test_the_inner_maximiser_is_the_attack_bit_for_bit(defence, params):
    images, labels = scene()
    network = warmed(Small())
    eps = params.pop("eps")
    surrogate = LockedSurrogate([warmed(Small())], 3)
    expected = pgd(surrogate, images, labels, eps, generator=seeded(), **params)
    assert not torch.equal(expected, images)
    defence.loss(network, images, labels, seeded())
    (shown,) = network.outer
    assert torch.equal(shown, expected)
    assert network.training and all(child.training for child in network.modules())


def test_the_attack_leaves_statistics_gradients_and_frozen_layers_alone():
    images, labels = scene()
    network = warmed(Small())
    network.body[1].eval()  # a layer that whoever trains keeps frozen
    before = {name: value.clone() for name, value in network.state_dict().items()}
    loss = pgd_at(steps=2).loss(network, images, labels, seeded())
    assert not network.body[1].training and network.body[3].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    loss.backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_the_loss_is_that_of_the_examples_in_train_mode():
    images, labels = scene()
    network, twin = warmed(Small()), warmed(Small())
    torch.manual_seed(1)
    loss = pgd_at(steps=2).loss(network, images, labels, seeded())
    torch.manual_seed(1)
    assert torch.equal(loss, functional.cross_entropy(twin(network.outer[0]), labels))


def test_fgsm_at_s_step_reaches_further_than_the_ball_and_is_cut():
    """Wong et al., algorithm 3: clip(u + 1.25 eps sign, -eps, eps), u uniform in the ball, on a linear model."""
    images, labels = torch.full((4, 1, 6, 6), 0.5), torch.zeros(4, dtype=torch.int64)
    network = Linear()
    eps = 0.1
    start = torch.empty_like(images).uniform_(-eps, eps, generator=seeded())
    slope = (network.weight[1] - network.weight[0]).view(1, 1, 6, 6).sign()
    fgsm_at(eps=eps).loss(network, images, labels, seeded())
    torch.testing.assert_close(
        network.seen[-1], images + (start + 1.25 * eps * slope).clamp(-eps, eps), atol=1e-6, rtol=0
    )


class Linear(nn.Module):
    """Two classes, linear in the pixels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 36, generator=seeded(5)))
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach().clone())
        return images.flatten(1) @ self.weight.T


def test_trades_on_a_linear_model_is_the_hand_computation():
    """Two classes: the divergence depends on the margin m alone; its maximum moves m by +-eps |w|_1."""
    images, labels = torch.full((1, 1, 6, 6), 0.5), torch.tensor([1])
    network = Linear()
    eps, beta = 0.01, 3.0
    loss = trades(beta=beta, eps=eps, steps=10, relative_step=0.5).loss(network, images, labels, seeded())
    with torch.no_grad():
        way = (network.weight[1] - network.weight[0]).double()
        margin = float(way.sum() * 0.5)
        moved = float((network.seen[-1].double() - images).flatten() @ way) + margin
    reach = eps * float(way.abs().sum())
    assert abs(moved - margin) == pytest.approx(reach, rel=1e-5)  # the corner of the ball that the noise chose
    p, q = (1 / (1 + math.exp(-value)) for value in (margin, moved))
    divergence = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert loss.item() == pytest.approx(-math.log(p) + beta * divergence, rel=1e-5)
    loss.backward()
    clean, far = images.flatten().double(), network.seen[-1].flatten().double()
    by_margin = (p - 1) + beta * p * (1 - p) * (margin - moved)  # d CE + beta d KL by the clean margin
    expected = by_margin * clean + beta * (q - p) * far
    torch.testing.assert_close(network.weight.grad[1].double(), expected, rtol=1e-4, atol=1e-6)


def test_trades_starts_from_small_noise_and_attacks_in_eval_mode():
    images, labels = scene()
    network = warmed(Small())
    trades(steps=2).loss(network, images, labels, seeded())
    noise = torch.randn(images.shape, generator=seeded())
    assert torch.equal(network.seen[0][0], images)
    assert torch.equal(network.seen[1][0], (images + 0.001 * noise).double().float())
    assert [training for _, training in network.seen] == [False, False, False, True, True]


def test_ensemble_at_s_examples_come_from_the_parents_only():
    images, labels = scene()
    parents = [warmed(Small(seed)).eval().requires_grad_(False) for seed in (1, 2)]
    for parent in parents:
        parent.seen.clear()
    expected = [fgsm(parent, images, labels, 0.1, generator=seeded()) for parent in parents]
    assert not torch.equal(*expected)
    network = warmed(Small())
    drawn = set()
    for seed in range(8):
        network.seen.clear()
        ensemble_at(eps=0.1).loss(network, images, labels, seeded(seed), Course(0.0, tuple(parents)))
        assert all(training for _, training in network.seen)  # it is never attacked
        clean, adversarial = network.outer
        assert torch.equal(clean, images)
        drawn |= {place for place in (0, 1) if torch.equal(adversarial, expected[place])}
        assert any(torch.equal(adversarial, each) for each in expected)
    assert drawn == {0, 1}
    assert ensemble_at().loss(network, images, labels, seeded(), Course(0.0, (parents[0],))).shape == ()


def test_ensemble_at_can_draw_from_the_network_itself():
    images, labels = scene()
    network = warmed(Small())
    ensemble_at(eps=0.1, own=True).loss(network, images, labels, seeded(), Course())
    assert network.seen[0][1] is False


def test_ensemble_at_s_parents_are_undefended_and_have_seeds_of_their_own():
    alike = ensemble_at(members=2).parents(SPEC)
    assert [parent.architecture.name for parent in alike] == ["small_vgg", "small_vgg"]
    assert {parent.defence.name for parent in alike} == {"none"}
    assert len({parent.seed for parent in alike} | {SPEC.seed}) == 3
    other = ensemble_at(members=1, architectures=("small_resnet", "small_alexnet")).parents(SPEC)
    assert [parent.architecture.name for parent in other] == ["small_resnet", "small_alexnet"]
    assert {parent.source for parent in other} == {SPEC.source}


def test_the_curriculum_grows_from_clean_to_full_strength():
    by_steps, by_eps = curriculum_at(steps=3, ramp=0.5, eps=0.2), curriculum_at(grows="eps", ramp=0.5, eps=0.2, steps=3)
    assert [by_steps.lesson(share).steps for share in (0, 0.124, 0.125, 0.25, 0.375, 0.5, 0.99)] == [
        0,
        0,
        1,
        2,
        3,
        3,
        3,
    ]
    assert [by_eps.lesson(share).eps for share in (0, 0.25, 0.5, 0.9)] == [0, 0.1, 0.2, 0.2]
    assert by_steps.lesson(0).eps == 0.2 and by_eps.lesson(0).steps == 3
    images, labels = scene()
    for defence in (by_steps, by_eps):
        shown = {}
        for share in (0.0, 0.3, 0.99):
            network = warmed(Small())
            defence.loss(network, images, labels, seeded(), Course(share))
            shown[share] = network.outer[0]
        network = warmed(Small())
        pgd_at(eps=0.2, steps=3).loss(network, images, labels, seeded())
        assert torch.equal(shown[0.0], images)
        assert not torch.equal(shown[0.3], images) and not torch.equal(shown[0.3], shown[0.99])
        assert torch.equal(shown[0.99], network.outer[0])


def test_noise_training_adds_noise_of_its_sigma_and_does_not_clip():
    images, labels = scene(200)
    network = Small()
    noise_training(sigma=0.5).loss(network, images, labels, seeded())
    added = network.outer[0] - images
    assert float(added.std()) == pytest.approx(0.5, rel=0.03) and float(added.mean()) == pytest.approx(0, abs=0.02)
    assert float(network.outer[0].max()) > 1


def test_modes_are_put_back_after_an_error():
    network = Small()
    with pytest.raises(RuntimeError), evaluating(network):
        assert not network.training
        raise RuntimeError
    assert all(child.training for child in network.modules())
