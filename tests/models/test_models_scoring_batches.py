"""How many images a pass takes, by the side at which a network works."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.evaluation import BATCH
from dumb_bench.models import half_scoring
from dumb_bench.models.half_scoring import HalfNetwork, pays
from dumb_bench.models.scoring_batches import batch_for, side_inside


def behind(side: int | None) -> Preprocessed:
    return Preprocessed(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), mean=(0.0,), std=(1.0,), side=side)


def images(height: int, width: int) -> torch.Tensor:
    return torch.zeros(2, 1, height, width)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((32, 32), None, 32), ((32, 48), None, 48), ((32, 32), 224, 224), ((300, 300), 224, 224)],
)
def test_the_side_inside_is_that_of_the_images_or_what_they_are_resized_to(
    shape: tuple[int, int], side: int | None, expected: int
) -> None:
    assert side_inside(images(*shape), [behind(side)]) == expected


def test_the_largest_of_several_networks_counts_however_deep_it_is_wrapped() -> None:
    assert side_inside(images(32, 32), [behind(64), nn.Sequential(behind(224))]) == 224
    assert (
        side_inside(images(224, 224), [behind(64), behind(None)])
        == side_inside(images(224, 224), [nn.Flatten()])
        == 224
    )
    network = behind(224)
    network(images(32, 32))
    assert side_inside(images(32, 32), [HalfNetwork(network)]) == 224


@pytest.mark.parametrize(("shape", "side", "expected"), [(32, None, 64), (128, 32, 64), (32, 224, 16), (224, None, 16)])
def test_networks_that_enlarge_take_the_batch_of_large_images(shape: int, side: int | None, expected: int) -> None:
    assert batch_for(images(shape, shape), "fast", [behind(side)]) == expected
    assert batch_for(images(shape, shape), "exact", [behind(side)]) == BATCH


def test_bfloat16_pays_from_a_number_of_pixels_inside() -> None:
    few = torch.zeros(100, 1, 32, 32)
    assert half_scoring.LEAST_PIXELS["cpu"] == 2**18
    assert not pays(few, 32) and pays(few, 64) and not pays(few[:5], 224) and pays(few[:6], 224)
