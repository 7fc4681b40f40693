from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dumb_bench.errors import InputError
from dumb_bench.evaluation import count, logits_of, margins_of
from dumb_bench.surrogate import LockedSurrogate, mean_logits


def test_counts_of_a_hand_made_test() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    raw = np.array([0, 0, 1, 1, 1, 1])
    clean = np.array([0, 0, 1, 1, 1, 0])  # under the delivery the last image is wrong already
    delivered = np.array([1, 0, 0, 0, 1, 1])
    found = count(labels, raw, clean, delivered, 2)
    assert found.n_images == 6
    assert found.n_victim_correct_raw == 5
    assert found.n_victim_correct == 4
    assert found.n_success == 2  # images 0 and 3; image 2 was wrong before, image 5 too
    assert found.class_images == [3, 3]
    assert found.class_victim_correct == [2, 2]
    assert found.class_success == [1, 1]


def test_an_image_that_was_wrong_before_is_no_success() -> None:
    labels = np.array([0, 1])
    wrong = np.array([1, 0])
    assert count(labels, wrong, wrong, wrong, 2).n_success == 0


def test_margin_is_the_true_logit_minus_the_best_other() -> None:
    logits = torch.tensor([[2.0, 5.0, 1.0], [3.0, 0.0, 2.5]])
    assert margins_of(logits, torch.tensor([0, 0])).tolist() == [-3.0, 0.5]


def test_batches_do_not_change_the_order() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images = torch.rand(300, 1, 2, 2)
    assert torch.allclose(logits_of(network, images), network(images).detach(), atol=1e-6)


@pytest.mark.parametrize("members", [1, 2, 4, 8])
def test_identical_members_equal_one_bit_for_bit(members: int) -> None:
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(members))
    assert torch.equal(mean_logits([logits.clone() for _ in range(members)]), logits)


def test_mean_of_odd_members() -> None:
    assert mean_logits([torch.tensor([[3.0]]), torch.tensor([[6.0]]), torch.tensor([[0.0]])]).item() == 3.0


def test_a_surrogate_is_locked_and_counts_its_passes() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2))
    surrogate = LockedSurrogate([network], 2)
    surrogate.train()
    assert not any(module.training for module in surrogate.modules())
    images = torch.rand(5, 3, 2, 2).requires_grad_()
    surrogate(images).sum().backward()
    surrogate(images.detach())
    assert surrogate.cost == (10, 5)
    assert all(weight.grad is None for weight in surrogate.parameters())


def test_a_surrogate_refuses_what_it_cannot_do() -> None:
    with pytest.raises(InputError, match="unknown aggregation 'median'"):
        LockedSurrogate([nn.Identity()], 2, "median")
    with pytest.raises(InputError, match="at least one network"):
        LockedSurrogate([], 2)
