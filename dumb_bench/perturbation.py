"""Norms, projections and similarity of perturbations. All on [0, 1] images, all per image."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""How far a crafted norm may exceed its budget: the rounding of float32 images."""


def linf(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's Linf distance, (N,) float64, in [0, 1] pixel units."""
    return (images.double() - clean.double()).flatten(1).abs().amax(1)


def l2(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's L2 distance, (N,) float64: sqrt of the sum over all C * H * W values in [0, 1]."""
    return torch.linalg.vector_norm((images.double() - clean.double()).flatten(1), dim=1)


def norm_of(norm: str, images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's distance in the norm `linf` or `l2`, (N,) float64."""
    return linf(images, clean) if norm == "linf" else l2(images, clean)


def project(images: Tensor, clean: Tensor, norm: str | None, strength: float | None) -> Tensor:
    """Return the images moved into the budget around `clean` and into the box [0, 1].

    Linf: the perturbation is clamped. L2: it is scaled down; clipping to the box afterwards only shortens it. Without a
    norm only the box counts.
    """
    if norm is None or strength is None:
        return images.clamp(0, 1)
    delta = images - clean
    if norm == "linf":
        delta = delta.clamp(-strength, strength)
    else:
        length = l2(images, clean).clamp_min(1e-30)
        factor = (strength / length).clamp_max(1.0).to(delta.dtype)
        delta = torch.where((factor < 1)[:, None, None, None], delta * (factor * (1 - 1e-7))[:, None, None, None], delta)
    return (clean + delta).clamp(0, 1)


def ssim(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's structural similarity, (N,) float32 in [-1, 1], on [0, 1] images (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5; for images below 11 pixels the largest odd window that fits.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    side = min(images.shape[-2:])
    kernel = min(11, side if side % 2 else side - 1)
    values = structural_similarity_index_measure(
        images, clean, data_range=1.0, reduction="none", kernel_size=kernel, gaussian_kernel=True, sigma=1.5
    )
    assert isinstance(values, Tensor)
    return values.reshape(-1)
