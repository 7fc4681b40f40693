"""Input transformations against known answers; DI, TI and SI against torchattacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from dumb_bench.attacks.difgsm import difgsm
from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.sifgsm import sifgsm
from dumb_bench.attacks.tifgsm import tifgsm
from dumb_bench.attacks.views.admix import admix, drawn_mates
from dumb_bench.attacks.views.base import Scene, Transformation, View, compose
from dumb_bench.attacks.views.bsr import bsr, random_lengths, turned
from dumb_bench.attacks.views.decowa import decowa, thin_plate, warped
from dumb_bench.attacks.views.di import di
from dumb_bench.attacks.views.named import NAMED, TARGETED, views
from dumb_bench.attacks.views.si import si
from dumb_bench.attacks.views.sia import CHANGES, cut_lengths, sia
from dumb_bench.attacks.views.spectrum import cosines, dct, inverse_dct
from dumb_bench.attacks.views.ssa import ssa
from dumb_bench.attacks.views.ti import fitting_kernel, kernel_line, smoothed, ti
from dumb_bench.errors import InputError
from dumb_bench.perturbation import linf
from dumb_bench.surrogate import LockedSurrogate


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, channels: int = 3, side: int = 32, seed: int = 1) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, channels, side, side, generator=generator(seed), dtype=torch.float64)
    return images, torch.arange(count) % 3


def network(channels: int = 3) -> nn.Module:
    torch.manual_seed(7)
    layers = nn.Sequential(
        nn.Conv2d(channels, 6, 3, stride=2), nn.Softplus(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 3)
    )
    return layers.double().eval()


def surrogate(model: nn.Module | None = None) -> LockedSurrogate:
    return LockedSurrogate([network() if model is None else model], 3)


def scene_of(labels: Tensor, seed: int = 0, model: nn.Module | None = None) -> Scene:
    return Scene(Objective(surrogate(model), labels), generator(seed), 0.1)


def seen(transformation: Transformation, images: Tensor, copy: int = 0, seed: int = 0) -> Tensor:
    return transformation(scene_of(torch.arange(len(images)) % 3, seed)).apply(images, copy)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("ours, build", [
    (lambda *data, **more: difgsm(*data, **more), lambda net: torchattacks.DIFGSM(net, eps=0.1, alpha=0.01)),
    (lambda *data, **more: difgsm(*data, decay=1.0, resize_rate=0.6, diversity_prob=0.8, **more),
     lambda net: torchattacks.DIFGSM(net, eps=0.1, alpha=0.01, decay=1.0, resize_rate=0.6, diversity_prob=0.8)),
    (lambda *data, **more: tifgsm(*data, **more),
     lambda net: torchattacks.TIFGSM(net, eps=0.1, alpha=0.01, len_kernel=5)),
    (lambda *data, **more: tifgsm(*data, kernel=7, kernel_name="linear", decay=0.5, **more),
     lambda net: torchattacks.TIFGSM(net, eps=0.1, alpha=0.01, len_kernel=7, kernel_name="linear", decay=0.5)),
    (lambda *data, **more: tifgsm(*data, kernel=3, kernel_name="uniform", **more),
     lambda net: torchattacks.TIFGSM(net, eps=0.1, alpha=0.01, len_kernel=3, kernel_name="uniform")),
    (lambda *data, **more: tifgsm(*data, reference=True, **more), lambda net: torchattacks.TIFGSM(net, eps=0.1)),
    (lambda *data, **more: sifgsm(*data, decay=0.0, **more),
     lambda net: torchattacks.SINIFGSM(net, eps=0.1, alpha=0.01, decay=0.0)),
])  # fmt: skip
def test_di_ti_and_si_are_those_of_torchattacks_with_the_same_seed(
    ours: Callable[..., Tensor], build: Callable[[nn.Module], Any], targeted: bool
) -> None:
    """SINIFGSM at decay 0 has no Nesterov look-ahead: it is SI alone."""
    images, labels = pictures()
    targets = (labels + 1) % 3
    theirs = build(network())
    if hasattr(theirs, "stacked_kernel"):
        theirs.stacked_kernel = theirs.stacked_kernel.double()
    if targeted:
        theirs.set_mode_targeted_by_label(quiet=True)
    torch.manual_seed(5)
    expected = theirs(images, targets if targeted else labels)
    found = ours(surrogate(), images, labels, 0.1, generator=generator(5), targets=targets if targeted else None)
    assert float((found - expected).abs().max()) < 1e-6
    assert float(linf(expected, images).min()) > 0.02


def test_di_keeps_the_frame_and_pads_with_zero_at_a_random_place() -> None:
    images = torch.ones(2, 1, 32, 32, dtype=torch.float64)
    places = set()
    for seed in range(30):
        view = seen(di(resize_rate=0.5, diversity_prob=1.0), images, seed=seed)
        assert view.shape == images.shape
        rows, columns = (view[0, 0] > 0).any(1).nonzero().flatten(), (view[0, 0] > 0).any(0).nonzero().flatten()
        side = len(rows)
        assert 16 <= side < 32 and len(columns) == side
        inside = view[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert float((inside - 1).abs().max()) < 1e-6
        assert float(view.sum()) == pytest.approx(2 * side * side)
        places.add((side, int(rows[0]), int(columns[0])))
    assert len(places) > 20
    assert torch.equal(seen(di(diversity_prob=0.0), images), images)
    oblong = seen(di(resize_rate=0.5, diversity_prob=1.0), torch.ones(1, 1, 32, 64))
    assert oblong.shape == (1, 1, 32, 64) and 0.2 < float(oblong.mean()) < 1


@pytest.mark.parametrize("name, side, line", [
    ("uniform", 3, [1 / 3, 1 / 3, 1 / 3]), ("linear", 3, [0.25, 0.5, 0.25]), ("gaussian", 1, [1.0]),
    ("gaussian", 3, [0.01086754, 0.97826492, 0.01086754]),
])  # fmt: skip
def test_the_kernels_of_ti_have_these_weights(name: Any, side: int, line: list[float]) -> None:
    assert kernel_line(name, side).tolist() == pytest.approx(line, abs=1e-7)
    assert float(kernel_line(name, 15).sum()) == pytest.approx(1, abs=1e-12)


def test_ti_is_the_average_over_shifts_and_leaves_a_linear_gradient_alone() -> None:
    gradient = torch.randn(2, 3, 10, 12, generator=generator(), dtype=torch.float64)
    line = kernel_line("gaussian", 5)
    padded = nn.functional.pad(gradient, (2, 2, 2, 2))
    shifts = [line[i] * line[j] * padded[:, :, i : i + 10, j : j + 12] for i in range(5) for j in range(5)]
    assert torch.allclose(smoothed(gradient, line), torch.stack(shifts).sum(0), atol=1e-14)
    slope = torch.arange(12, dtype=torch.float64).expand(1, 1, 10, 12) * 3 + 1
    assert torch.allclose(smoothed(slope, line)[..., 2:-2, 2:-2], slope[..., 2:-2, 2:-2], atol=1e-12)
    scene = scene_of(torch.zeros(1, dtype=torch.int64))
    smooth = ti()(scene).smooth
    assert smooth is not None and fitting_kernel(32) == 5
    big = torch.randn(1, 1, 32, 32, generator=generator(), dtype=torch.float64)
    assert torch.equal(smooth(big), smoothed(big, kernel_line("gaussian", 5)))
    with pytest.raises(InputError, match="odd number of pixels, got 4"):
        ti(kernel=4)


@pytest.mark.parametrize("side", [32, 33])
def test_the_cosine_transform_can_be_undone_and_keeps_lengths(side: int) -> None:
    images = torch.randn(2, 3, side, 40, generator=generator(), dtype=torch.float64)
    assert torch.allclose(inverse_dct(dct(images)), images, atol=1e-12)
    assert torch.allclose(dct(images).square().sum((1, 2, 3)), images.square().sum((1, 2, 3)))
    assert torch.allclose(cosines(side, images) @ cosines(side, images).T, torch.eye(side, dtype=torch.float64))
    flat = dct(torch.ones(1, 1, side, 40, dtype=torch.float64))
    assert float(flat[0, 0, 0, 0]) == pytest.approx((side * 40) ** 0.5)
    assert float(flat.abs().sum()) == pytest.approx((side * 40) ** 0.5)


def test_ssa_without_noise_is_the_identity_and_its_parts_have_the_sizes_they_say() -> None:
    images, _ = pictures(8)
    assert torch.allclose(seen(ssa(rho=0.0, sigma=0.0), images), images, atol=1e-12)
    noise = seen(ssa(rho=0.0, sigma=0.05), images) - images
    assert float(noise.std()) == pytest.approx(0.05, rel=0.02) and abs(float(noise.mean())) < 0.002
    shares = dct(seen(ssa(rho=0.5, sigma=0.0), images)) / dct(images)
    assert 0.5 - 1e-6 < float(shares.min()) < 0.51 and 1.49 < float(shares.max()) < 1.5 + 1e-6
    assert float(shares.mean()) == pytest.approx(1, abs=0.01)


def test_ssa_takes_the_gradient_at_the_transformed_image() -> None:
    images, labels = pictures()
    objective, view = Objective(surrogate(), labels), ssa()(scene_of(labels, seed=3))
    found = objective.gradient(images, lambda point: view.apply(point, 0))
    assert torch.allclose(found, objective.gradient(seen(ssa(), images, seed=3)), atol=1e-12)


def test_admix_without_mates_is_si_and_si_halves() -> None:
    images, _ = pictures()
    for copy in range(6):
        assert torch.equal(seen(admix(ratio=0.0), images, 0), images)
        view = admix(scales=3, mates=2, ratio=0.0)(scene_of(torch.arange(4) % 3))
        view.apply(images, 0)
        assert torch.equal(view.apply(images, copy), seen(si(scales=3), images, copy % 3))
    assert [float(seen(si(), torch.ones(1, 1, 1, 1), copy)) for copy in range(5)] == [1, 0.5, 0.25, 0.125, 0.0625]


def test_admix_mixes_in_images_of_another_class_the_same_at_all_scales() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2])
    images = torch.eye(5).view(5, 5, 1, 1)
    view = admix(scales=2, mates=40, ratio=0.2)(Scene(Objective(surrogate(), labels), generator(), 0.1))
    seen_mates = torch.zeros(5, 5)
    for mate in range(40):
        whole, half = view.apply(images, 2 * mate), view.apply(images, 2 * mate + 1)
        assert torch.equal(whole / 2, half)
        added = (whole - images).view(5, 5)
        assert added.sum(1).tolist() == pytest.approx([0.2] * 5)
        seen_mates += added
    assert torch.equal(seen_mates > 0, labels[:, None] != labels[None])
    assert drawn_mates(torch.zeros(2, dtype=torch.int64), 3, generator()).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert drawn_mates(torch.zeros(1, dtype=torch.int64), 2, generator()).tolist() == [[0, 0]]


@pytest.mark.parametrize("blocks, side", [(1, 32), (2, 32), (5, 33), (16, 32)])
def test_blocks_fill_the_side_and_none_is_empty(blocks: int, side: int) -> None:
    for lengths in (random_lengths, cut_lengths):
        found = [lengths(side, blocks, generator(seed)) for seed in range(20)]
        assert all(sum(each) == side and len(each) == blocks and min(each) >= 1 for each in found)
        assert blocks == 1 or len({tuple(each) for each in found}) > 5


def test_bsr_shuffles_blocks_and_keeps_every_pixel() -> None:
    images, _ = pictures()
    assert torch.equal(seen(bsr(blocks=1, max_angle=0.0), images), images)
    moved = 0
    for seed in range(8):
        view = seen(bsr(max_angle=0.0), images, seed=seed)
        assert torch.equal(view.flatten(2).sort(2).values, images.flatten(2).sort(2).values)
        moved += not torch.equal(view, images)
    assert moved >= 4
    assert not torch.equal(seen(bsr(blocks=1), images), images)


@pytest.mark.parametrize("degrees, turns", [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3)])
def test_a_block_turned_by_quarters_is_a_turned_matrix(degrees: float, turns: int) -> None:
    images, _ = pictures()
    assert torch.allclose(turned(images, degrees), images.rot90(turns, (2, 3)), atol=1e-9)
    oblong = images[:, :, :20]
    middle = oblong[..., 6:26].rot90(turns, (2, 3))
    assert torch.allclose(turned(oblong, degrees)[..., 6:26], middle, atol=1e-9)
    tilted = turned(torch.ones_like(oblong), 45.0)
    assert tilted[0, 0, 0, 0] == 0 and float(tilted[0, 0, 10, 16]) == pytest.approx(1)


@pytest.mark.parametrize(
    "name", ["vertical shift", "horizontal shift", "vertical flip", "horizontal flip", "half turn"]
)
def test_the_moves_of_sia_keep_every_pixel(name: str) -> None:
    images, _ = pictures()
    view = seen(sia(blocks=1, changes=(name,)), images)
    assert torch.equal(view.flatten(2).sort(2).values, images.flatten(2).sort(2).values)
    assert not torch.equal(view, images)


def test_the_other_changes_of_sia_do_what_they_say() -> None:
    images, _ = pictures(2)
    one = {name: CHANGES[name](images, generator(2)) for name in ("scale", "noise", "resize", "low pass", "dropout")}
    share = one["scale"] / images
    assert 0 <= float(share.mean()) < 1 and float(share.std()) < 1e-9
    assert 0.06 < float((one["noise"] - images).abs().max()) <= 16 / 255 and float(one["noise"].max()) <= 1
    small = nn.functional.interpolate(images, size=(26, 26), mode="bilinear")
    assert torch.equal(one["resize"], nn.functional.interpolate(small, size=(32, 32), mode="bilinear"))
    flat = torch.full((1, 1, 9, 11), 0.4, dtype=torch.float64)
    for name in ("resize", "low pass"):
        assert torch.allclose(CHANGES[name](flat, generator()), flat)
        assert float(one[name].var()) < 0.8 * float(images.var())
    assert float(dct(one["low pass"])[..., 20:, :].abs().max()) < 1e-12
    assert torch.allclose(dct(one["low pass"])[..., :20, :20], dct(images)[..., :20, :20], atol=1e-12)
    many = torch.ones(50, 40, 2, 2)
    kept = CHANGES["dropout"](many, generator())
    assert {round(value, 4) for value in kept.unique().tolist()} == {0.0, 1.1111}
    assert float((kept > 0).float().mean()) == pytest.approx(0.9, abs=0.03)
    assert torch.equal(kept.amax((2, 3)), kept.amin((2, 3)))
    shares = seen(sia(changes=("scale",)), torch.ones(1, 1, 32, 32))[0, 0]
    assert len(shares.unique()) == 9 and len(shares.unique(dim=0)) == shares.unique(dim=1).shape[1] == 3


def test_decowa_without_deformation_is_the_identity_and_its_spline_meets_its_points() -> None:
    images, _ = pictures(2, side=33)
    assert torch.allclose(seen(decowa(spread=0.0, rate=0.0), images), images, atol=1e-9)
    moves = thin_plate(33, 33, 3, torch.device("cpu")).view(33, 33)
    assert float(moves[16, 16]) == pytest.approx(1, abs=1e-9)
    assert all(abs(float(moves[i, j])) < 1e-9 for i in (0, 16, 32) for j in (0, 16, 32) if (i, j) != (16, 16))
    push = torch.tensor([0.5, 0.0], dtype=torch.float64).expand(2, 1, 1, 2)
    pulled = warped(images, push, moves.reshape(-1, 1))
    assert torch.allclose(pulled[:, :, 16, 16], images[:, :, 16, 24], atol=1e-9)


def test_the_inner_step_of_decowa_goes_against_the_attack() -> None:
    images, labels = pictures(6)
    objective = Objective(surrogate(), labels)

    def loss(rate: float) -> Tensor:
        view = decowa(rate=rate, spread=0.3)(scene_of(labels, seed=4)).apply(images, 0)
        return objective.values(objective.surrogate(view))

    assert (loss(0.01) < loss(0.0)).all()


def test_composition_is_in_order_and_copies_multiply() -> None:
    log: list[tuple[str, int]] = []

    def step(name: str, copies: int, change: Callable[[Tensor], Tensor]) -> View:
        def apply(images: Tensor, copy: int) -> Tensor:
            log.append((name, copy))
            return change(images)

        return View(copies, apply, lambda gradient: change(gradient))

    both = compose([step("double", 2, lambda x: 2 * x), step("add", 4, lambda x: x + 1)])
    assert both.copies == 8
    assert all(both.apply(torch.ones(1), copy).item() == 3 for copy in range(8))
    assert sorted(set(zip(log[::2], log[1::2], strict=True))) == [
        (("double", i), ("add", j)) for i in range(2) for j in range(4)
    ]
    assert both.smooth is not None and both.smooth(torch.ones(1)).item() == 3
    scene = scene_of(torch.zeros(1, dtype=torch.int64))
    found = views(("si", "admix", "ti"), scene)
    assert found.copies == 75 and found.smooth is not None
    assert views((), scene).copies == 1
    assert set(TARGETED) == set(NAMED)
