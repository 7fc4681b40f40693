"""Labels from bfloat16 passes: where another label is possible, float32 is asked."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.models import half_scoring
from dumb_bench.models.half_scoring import SAFETY, HalfNetwork, Halves, ask, errors, half_of, tolerance_of

IMAGES = torch.arange(4.0).view(4, 1, 1, 1)
"""Their only value is their number."""


def table(logits: list[list[float]]) -> tuple[half_scoring.Ask, list[list[int]]]:
    """What answers an image by its number, and the numbers it was asked for."""
    asked: list[list[int]] = []

    def answer(images: Tensor) -> Tensor:
        numbers = images.flatten().long().tolist()
        asked.append(numbers)
        return torch.tensor([logits[number] for number in numbers])

    return answer, asked


def test_images_within_the_tolerance_are_asked_again_and_no_others() -> None:
    half, _ = table([[2.0, 0.0], [0.3, 0.0], [0.0, 0.5], [0.0, 9.0]])
    full, asked = table([[9.0, 0.0], [-0.1, 0.0], [0.0, 0.4], [9.0, 0.0]])
    found = ask(IMAGES, half, full, tolerance=0.9)
    assert asked == [[1, 2]] and found.rescored == 2
    assert torch.equal(found.logits, torch.tensor([[2.0, 0.0], [-0.1, 0.0], [0.0, 0.4], [0.0, 9.0]]))


def test_an_error_above_half_the_tolerance_asks_all_again() -> None:
    half, _ = table([[2.0, 0.0], [0.3, 0.0], [0.0, 0.5], [0.0, 9.0]])
    full, asked = table([[1.0, 0.0], [-0.16, 0.0], [0.0, 0.5], [0.0, 9.0]])  # .46 away, of .9
    found = ask(IMAGES, half, full, tolerance=0.9)
    assert asked == [[1, 2], [0, 1, 2, 3]] and found.rescored == 4
    assert found.logits[0].tolist() == [1.0, 0.0]


def test_what_is_not_finite_is_asked_again() -> None:
    half, _ = table([[float("nan"), 0.0], [5.0, 0.0], [float("inf"), float("inf")], [0.0, 5.0]])
    full, asked = table([[1.0, 0.0]] * 4)
    assert ask(IMAGES, half, full, tolerance=0.0).logits[0].tolist() == [1.0, 0.0]
    assert 0 in asked[0] and 2 in asked[0]


def test_errors_are_those_of_the_distances_to_the_largest_logit() -> None:
    half = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]])
    full = torch.tensor([[4.0, 1.5, 1.0], [0.0, 2.0, 4.5]])  # all up by one is no error
    assert errors(half, full).tolist() == [0.5, 0.5]
    assert tolerance_of(half, full) == SAFETY * 0.5
    assert tolerance_of(torch.full((1, 2), float("nan")), torch.zeros(1, 2)) == float("inf")


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_labels_are_those_of_float32_as_long_as_no_error_exceeds_the_tolerance(data: st.DataObject) -> None:
    images, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 5))
    seed, scale = data.draw(st.integers(0, 2**31)), data.draw(st.sampled_from([0.0, 1e-3, 0.1, 3.0]))
    generator = torch.Generator().manual_seed(seed)
    full = torch.randn(images, classes, generator=generator).round(decimals=1)  # ties, too
    half = full + scale * torch.randn(full.shape, generator=generator)
    tolerance = float(errors(half, full).max())
    numbers = torch.arange(images).view(images, 1, 1, 1)
    found = ask(numbers, lambda _: half, lambda asked: full[asked.flatten()], tolerance)
    assert torch.equal(found.logits.argmax(1), full.argmax(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 2))
    return Preprocessed(nn.Sequential(*layers), mean=(0.5,) * 3, std=(0.01,) * 3).eval().requires_grad_(False)


def test_preprocessing_stays_in_float32() -> None:
    whole, images = network(), 0.5 + 0.002 * torch.rand(6, 3, 8, 8)
    near = HalfNetwork(whole)(images)
    assert near.dtype == torch.float32 and not torch.equal(near, whole(images))
    assert torch.allclose(near, whole(images), rtol=0.02, atol=0.002)
    rounded = whole(images.bfloat16().float())  # what the images in bfloat16 would have given
    assert (near - whole(images)).abs().max() < (rounded - whole(images)).abs().max() / 5


def test_small_networks_are_kept_as_long_as_the_network_is_large_ones_are_not(monkeypatch) -> None:
    halves, whole, image = Halves(), network(), torch.rand(1, 3, 8, 8)
    first = halves.of(whole, image)
    assert first is not None and halves.of(whole, image) is first
    monkeypatch.setattr(half_scoring, "KEPT_BYTES", 100)
    other = network()
    assert halves.of(other, image) is not halves.of(other, image)
    del whole
    assert len(halves._kept) == 0


def test_a_network_without_bfloat16_has_no_half() -> None:
    class Only32(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if images.dtype != torch.float32:
                raise RuntimeError("not implemented for BFloat16")
            return images.mean((2, 3))

    assert half_of(Only32(), torch.rand(1, 3, 8, 8)) is None
