"""How the samples of a surrogate become one: known answers on hand-made networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.attacks.craft import craft
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.surrogate import Cost, LockedSurrogate

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(5) % 3


def member(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 3))


def gradient(surrogate: LockedSurrogate) -> Tensor:
    point = IMAGES.clone().requires_grad_()
    loss = nn.functional.cross_entropy(surrogate(point), LABELS)
    (found,) = torch.autograd.grad(loss, point)
    return found


@pytest.mark.parametrize("aggregation", ["mean_logits", "cycle"])
@pytest.mark.parametrize("copies", [2, 4])
def test_identical_members_are_one_network_bit_for_bit(aggregation: str, copies: int) -> None:
    alone = LockedSurrogate([member(0)], 3)
    many = LockedSurrogate([member(0) for _ in range(copies)], 3, aggregation)
    assert torch.equal(many(IMAGES), alone(IMAGES))
    assert torch.equal(gradient(many), gradient(alone))


def test_identical_members_give_one_networks_probabilities() -> None:
    alone = LockedSurrogate([member(0)], 3)
    many = LockedSurrogate([member(0) for _ in range(3)], 3, "mean_probs")
    assert torch.allclose(many(IMAGES).softmax(1), alone(IMAGES).softmax(1), atol=1e-7)
    assert torch.allclose(gradient(many), gradient(alone), atol=1e-7)


def test_mean_probs_is_the_mean_of_the_probabilities() -> None:
    surrogate = LockedSurrogate([member(0), member(1), member(2)], 3, "mean_probs")
    wanted = torch.stack([member(seed)(IMAGES).softmax(1) for seed in range(3)]).mean(0)
    assert torch.allclose(surrogate(IMAGES).softmax(1), wanted, atol=1e-6)
    assert torch.allclose(surrogate(IMAGES), wanted.log(), atol=1e-5)


def test_mean_probs_lives_where_probabilities_underflow() -> None:
    confident = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.no_grad():
        confident[1].weight.mul_(2_000)
    point = IMAGES.clone().requires_grad_()
    logits = LockedSurrogate([confident, member(0)], 3, "mean_probs")(point)
    assert torch.isfinite(logits).all()


def test_cycle_asks_one_network_a_pass_each_as_often_and_begins_again() -> None:
    members = [member(seed) for seed in range(4)]
    surrogate = LockedSurrogate(members, 3, "cycle", seed=7)
    answers = [surrogate(IMAGES) for _ in range(8)]
    assert all(torch.equal(answers[turn], answers[turn + 4]) for turn in range(4))
    own = [network(IMAGES) for network in members]
    order = [next(k for k, each in enumerate(own) if torch.equal(each, answer)) for answer in answers[:4]]
    assert sorted(order) == [0, 1, 2, 3]
    assert surrogate.cost == Cost(8 * len(IMAGES), 0)
    surrogate.restart()
    assert torch.equal(surrogate(IMAGES), answers[0])
    orders = {tuple(LockedSurrogate(members, 3, "cycle", seed=seed)._order) for seed in range(20)}
    assert len(orders) > 5


def test_every_network_of_an_ensemble_counts() -> None:
    surrogate = LockedSurrogate([member(0), member(1), member(2)], 3)
    gradient(surrogate)
    assert surrogate.cost == Cost(15, 15)


def test_chunks_do_not_shift_the_turns_of_cycle() -> None:
    """Every call of an attack begins with the same sample, so an image's result does not depend on its chunk."""
    entry = Catalogue().get("attacks", "mifgsm")
    made = [
        next(
            iter(
                craft(
                    entry,
                    LockedSurrogate([member(seed) for seed in range(3)], 3, "cycle"),
                    IMAGES,
                    LABELS,
                    [0.1],
                    params={"steps": 4},
                    chunk=chunk,
                    seed_key=("cycle",),
                )
            )
        ).images
        for chunk in (5, 2)
    ]
    assert torch.allclose(made[0], made[1], atol=1e-6)


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(InputError, match="unknown aggregation 'mean'"):
        LockedSurrogate([member(0)], 3, "mean")


def test_memory_is_all_weights_and_what_backward_needs_of_the_networks_asked() -> None:
    weights, tanh = 4 * (192 * 16 + 16 + 16 * 3 + 3), 4 * 16  # frozen linear layers keep no activation, tanh its output
    first, second = member(0), member(1)
    state = torch.get_rng_state()
    expected = {
        LockedSurrogate([first], 3): weights + 5 * tanh,
        LockedSurrogate([first, second], 3): 2 * weights + 5 * 2 * tanh,
        LockedSurrogate([first, second], 3, "mean_probs"): 2 * weights + 5 * 2 * tanh,
        LockedSurrogate([first, second], 3, "cycle"): 2 * weights + 5 * tanh,
        LockedSurrogate([first, first], 3): weights + 5 * 2 * tanh,
    }
    for surrogate, memory in expected.items():
        assert surrogate.memory_bytes(IMAGES[:1], 5) == memory
        assert surrogate.cost == Cost(0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_arrive_contiguous_whatever_the_layout_of_the_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    network(images)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        point = images.clone().requires_grad_(True)
        surrogate = LockedSurrogate([network.to(memory_format=layout)], 3)
        (gradient,) = torch.autograd.grad(surrogate(point).sum(), point)
        assert gradient.is_contiguous()
        found.append(gradient)
    assert torch.allclose(found[0], found[1], atol=1e-6) and found[0].abs().max() > 0
