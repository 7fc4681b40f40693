from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dumb_bench.errors import InputError
from dumb_bench.perturbation import l2, linf, project, ssim


def images(count: int = 3, seed: int = 0, side: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_norms_of_known_perturbations() -> None:
    clean = torch.full((2, 1, 4, 4), 0.5)
    moved = clean.clone()
    moved[0, 0, 0, 0] += 0.25
    moved[1] -= 0.125
    assert linf(moved, clean).tolist() == [0.25, 0.125]
    assert l2(moved, clean).tolist() == [0.25, 0.5]


@given(st.floats(1e-4, 0.9), st.integers(0, 1000), st.sampled_from(["linf", "l2"]))
@settings(max_examples=60, deadline=None)
def test_projection_keeps_budget_and_box_and_leaves_what_is_inside(strength: float, seed: int, norm: str) -> None:
    clean = images(seed=seed)
    wild = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed + 1)) * 2 * strength
    kept = project(wild, clean, norm, strength)
    measured = linf(kept, clean) if norm == "linf" else l2(kept, clean)
    assert float(measured.max()) <= strength + 1e-6
    assert float(kept.min()) >= 0 and float(kept.max()) <= 1
    twice = project(kept, clean, norm, strength)
    assert float((twice - kept).abs().max()) <= 2e-7


def test_a_perturbation_within_budget_is_not_moved() -> None:
    clean = images() * 0.5 + 0.25
    near = clean + 0.01
    assert torch.equal(project(near, clean, "linf", 0.5), clean + (near - clean))


def test_ssim_equals_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    for side in (16, 32):
        clean = images(4, side=side)
        noisy = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
        theirs = structural_similarity_index_measure(noisy, clean, data_range=1.0, reduction="none")
        assert isinstance(theirs, torch.Tensor)
        assert float((ssim(noisy, clean) - theirs).abs().max()) < 1e-6


def test_ssim_is_one_for_equal_images_and_refuses_tiny_ones() -> None:
    assert ssim(images(), images()).tolist() == pytest.approx([1.0] * 3)
    with pytest.raises(InputError, match="at least 6 pixels"):
        ssim(images(side=5), images(side=5))


@pytest.mark.parametrize(("count", "side"), [(33, 32), (9, 64), (3, 200)])
def test_ssim_of_pieces_has_the_bits_of_all_images_at_once(
    count: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, noisy = images(count, 0, side), images(count, 1, side)
    in_pieces = ssim(noisy, clean)
    monkeypatch.setattr("dumb_bench.perturbation.PIECE", 10**9)
    assert torch.equal(in_pieces, ssim(noisy, clean))
