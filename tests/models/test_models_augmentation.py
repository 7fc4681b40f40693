"""Random crops and mirrored images, drawn by a seed; learning rates in steps; the recipes of CIFAR-10."""

from __future__ import annotations

import chain_problem
import numpy as np
import pytest
import torch
from torch.nn import functional

from dumb_bench.defences.none import none
from dumb_bench.errors import InputError
from dumb_bench.models.augmentation import crop_and_flip
from dumb_bench.models.fitting import Images, Inputs, fit, noisy
from dumb_bench.posteriors.base import stepwise
from dumb_bench.recipes import RECIPES, Recipe, resolve_recipe
from dumb_bench.spec import Plugin

COUNT, SIDE = 4000, 6


def drawn(images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return crop_and_flip(images, torch.Generator().manual_seed(seed))


def numbered(count: int = COUNT) -> torch.Tensor:
    """Images (count, 2, 6, 6) whose pixels all differ and are never 0; the second channel is 100 more."""
    base = torch.arange(1, SIDE**2 + 1, dtype=torch.uint8).view(1, 1, SIDE, SIDE)
    return torch.cat([base, base + 100], dim=1).expand(count, -1, -1, -1).contiguous()


def windows(image: torch.Tensor) -> dict[bytes, tuple[int, int, bool]]:
    """Every outcome that there is: 9 x 9 windows of the image in a frame of 4 zeros, as it is and mirrored."""
    padded = functional.pad(image, (4, 4, 4, 4))
    found = {}
    for top in range(9):
        for left in range(9):
            window = padded[:, top : top + SIDE, left : left + SIDE]
            found[window.numpy().tobytes()] = (top, left, False)
            found[window.flip(-1).contiguous().numpy().tobytes()] = (top, left, True)
    return found


def test_every_image_is_a_window_of_its_frame_and_all_windows_are_equally_likely() -> None:
    images = numbered()
    outcomes = windows(images[0])
    found = [outcomes[image.numpy().tobytes()] for image in drawn(images)]
    tops, lefts, mirrored = (np.array(values) for values in zip(*found, strict=True))
    for shifts in (tops, lefts):
        counts = np.bincount(shifts, minlength=9)
        assert len(counts) == 9
        assert float(((counts - COUNT / 9) ** 2 / (COUNT / 9)).sum()) < 26.1  # chi-squared, 8 df: p = .001
    assert abs(mirrored.mean() - 0.5) < 3.3 * 0.5 / COUNT**0.5
    for one, two in ((tops, lefts), (tops, mirrored), (lefts, mirrored)):
        assert abs(np.corrcoef(one, two)[0, 1]) < 3.3 / COUNT**0.5


def test_the_seed_alone_decides() -> None:
    images = numbered(50)
    assert torch.equal(drawn(images), drawn(images)) and not torch.equal(drawn(images), drawn(images, 1))
    assert drawn(images).dtype == torch.uint8 and drawn(images).is_contiguous()
    first = drawn(torch.zeros(50, 1, 4, 8, dtype=torch.uint8))
    assert first.shape == (50, 1, 4, 8)


def trained(recipe: Recipe, rates: list[float] | None = None) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = chain_problem.linear()
    data = chain_problem.data()
    fit(
        network, data, data, recipe, none(), lambda purpose: len(purpose), early_stopping=False,
        on_step_end=lambda step, lr, network: (rates if rates is not None else []).append(lr),
    )  # fmt: skip
    return network.state_dict()


BASE = Recipe(optimiser="sgd", lr=0.1, batch=4, epochs=2, patience=2, noise=0.1)


def test_without_augmentation_every_input_is_what_it_was_and_with_it_another() -> None:
    data = chain_problem.data()
    plain, augmented = (
        Inputs(data, BASE.model_copy(update={"noise": 0.0, "augment": kind}), lambda purpose: 3)
        for kind in ("none", "crop_flip")
    )
    part = torch.tensor([2, 0, 5])
    assert torch.equal(plain.of(part), data.images[part].float() / 255)
    expected = crop_and_flip(data.images[part], torch.Generator().manual_seed(3)).float() / 255
    assert torch.equal(augmented.of(part), expected)
    assert not torch.equal(augmented.of(part), expected)  # drawn anew


def test_noise_is_drawn_alike_with_and_without_augmentation() -> None:
    black = Images(torch.zeros(6, 1, 8, 8, dtype=torch.uint8), torch.zeros(6, dtype=torch.long))
    one, two = (
        Inputs(black, BASE.model_copy(update={"augment": kind}), {"noise": 5, "augment": 7}.__getitem__)
        for kind in ("none", "crop_flip")
    )
    expected = noisy(torch.zeros(6, 1, 8, 8), BASE.noise, torch.Generator().manual_seed(5))
    assert torch.equal(one.of(torch.arange(6)), expected) and torch.equal(two.of(torch.arange(6)), expected)


def test_training_with_augmentation_differs_and_repeats_itself() -> None:
    augmented = BASE.model_copy(update={"augment": "crop_flip"})
    one, two, plain = trained(augmented), trained(augmented), trained(BASE)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], plain[name]) for name in one)


def test_a_learning_rate_in_steps_falls_at_the_ends_of_epochs() -> None:
    assert [stepwise(0.8, 0.5, 3)(step) for step in range(7)] == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]
    rates: list[float] = []
    recipe = BASE.model_copy(update={"schedule": "steps", "decay": 0.5, "decay_epochs": 2, "epochs": 5})
    trained(recipe, rates)
    assert rates == [0.1] * 6 + [0.05] * 6 + [0.025] * 3  # 10 images in mini-batches of at most 4


def test_the_recipes_of_gubri_are_as_in_their_code() -> None:
    dnn, chain = RECIPES["gubri_cifar10_dnn"], RECIPES["gubri_cifar10_csgld"]
    assert (dnn.optimiser, dnn.lr, dnn.batch, dnn.epochs) == ("adam", 0.01, 128, 250)
    assert (dnn.schedule, dnn.decay, dnn.decay_epochs, dnn.augment) == ("steps", 0.1, 75, "crop_flip")
    assert dnn.weight_decay * 128 == pytest.approx(1 / 100**2)  # of a Gaussian prior with sigma 100
    assert (chain.optimiser, chain.lr, chain.momentum, chain.batch) == ("sgd", 0.5, 0.0, 64)
    assert (chain.weight_decay, chain.epochs, chain.schedule) == (3e-4, 5 * 50, "cosine")
    assert min(dnn.patience, chain.patience) >= 250  # no epoch is left out


def test_defaults_are_left_out_of_a_recipe_and_bad_values_refused() -> None:
    assert resolve_recipe("small", {"augment": "none", "decay": 0.1}) == Plugin("small")
    assert resolve_recipe("small", {"augment": "crop_flip"}) == Plugin("small", (("augment", "crop_flip"),))
    for key, value in {"augment": "crop", "decay": 1.0, "decay_epochs": 0, "schedule": "step"}.items():
        with pytest.raises(InputError, match=f"recipe 'small': parameter '{key}'"):
            resolve_recipe("small", {key: value})
