"""Clean images as they arrive: encoded once a delivery, and bit for bit what the delivery gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dumb_bench.catalogue import Catalogue
from dumb_bench.runner.arrivals import Arrivals

LEVELS = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
CLEAN = LEVELS.float() / 255


class Counted:
    """A catalogue's deliveries, and which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, images: Tensor, delivery: str) -> Tensor:
        self.asked.append(delivery)
        delivered: Tensor = Catalogue().get("deliveries", delivery).call(images)
        return delivered


@pytest.mark.parametrize("delivery", ["float32", "uint8"])
def test_what_arrives_unchanged_is_the_very_tensor(delivery: str) -> None:
    arrivals = Arrivals(Counted())
    assert arrivals.of(CLEAN, delivery) is CLEAN
    assert arrivals.of(CLEAN, delivery) is CLEAN


@pytest.mark.parametrize("delivery", ["jpeg75", "half", "dark"])
def test_what_arrives_changed_is_what_the_delivery_gives_and_is_made_once(delivery: str) -> None:
    made = {"half": CLEAN[:, :, ::2, ::2], "dark": CLEAN * 0.3}  # of 8 bits but smaller; not of 8 bits
    deliver = Counted()
    given = made[delivery] if delivery in made else Catalogue().get("deliveries", delivery).call(CLEAN)
    arrivals = Arrivals(lambda images, name: (deliver.asked.append(name), given)[1])
    for _ in range(3):
        assert torch.equal(arrivals.of(CLEAN, delivery), given)
    assert deliver.asked == [delivery]


def test_two_lists_of_images_are_told_apart() -> None:
    arrivals, other = Arrivals(Counted()), CLEAN.flip(0)
    jpeg = Catalogue().get("deliveries", "jpeg75").call
    assert torch.equal(arrivals.of(CLEAN, "jpeg75"), jpeg(CLEAN))
    assert torch.equal(arrivals.of(other, "jpeg75"), jpeg(other))
