"""Norms, projections and similarity of perturbations. All on [0, 1] images, all per image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.errors import InputError

WINDOW = 11
PIECE = 2**15
"""Pixels that SSIM is computed of at a time on a CPU, so that what lies between stays in its cache; the same bits."""

TOLERANCE = 1e-6
"""How far a crafted norm may exceed its budget: the rounding of float32 images."""


def linf(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's Linf distance, (N,) float64, in [0, 1] pixel units."""
    distances: Tensor = (images.double() - clean.double()).flatten(1).abs().amax(1)
    return distances


def l2(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's L2 distance, (N,) float64: sqrt of the sum over all C * H * W values in [0, 1]."""
    lengths: Tensor = torch.linalg.vector_norm((images.double() - clean.double()).flatten(1), dim=1)
    return lengths


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
    if norm == "linf" and not delta.requires_grad:
        delta.clamp_(-strength, strength)
        delta += clean
        return delta.clamp_(0, 1)
    if norm == "linf":
        delta = delta.clamp(-strength, strength)
    else:
        length = l2(images, clean).clamp_min(1e-30)
        factor = (strength / length).clamp_max(1.0).to(delta.dtype)
        delta = torch.where(
            (factor < 1)[:, None, None, None], delta * (factor * (1 - 1e-7))[:, None, None, None], delta
        )
    return (clean + delta).clamp(0, 1)


def ssim(images: Tensor, clean: Tensor) -> Tensor:
    """Return each image's structural similarity, (N,) float32 in [-1, 1], on [0, 1] images (Wang et al. 2004).

    Gaussian window of 11 pixels, sigma 1.5, constants (0.01, 0.03)^2, reflected borders, mean over channels and pixels.
    Written out because the import of torchmetrics costs seconds in every slot; a test holds it to torchmetrics' values.

    Raises:
        InputError: images below 6 pixels, whose border cannot be reflected.
    """
    border = WINDOW // 2
    if min(images.shape[-2:]) <= border:
        raise InputError(f"SSIM needs images of at least {border + 1} pixels a side, got {tuple(images.shape[-2:])}")
    piece = max(1, PIECE // images.shape[-2:].numel()) if images.device.type == "cpu" else max(1, len(images))
    parts = zip(torch.split(images, piece), torch.split(clean, piece), strict=True)
    return torch.cat([_ssim(seen, other) for seen, other in parts])


def _ssim(images: Tensor, clean: Tensor) -> Tensor:
    border = WINDOW // 2
    images, clean = (functional.pad(item, (border,) * 4, mode="reflect") for item in (images, clean))
    reach = torch.arange(WINDOW, dtype=torch.float32, device=images.device) - WINDOW // 2
    weights = torch.exp(-(reach**2) / (2 * 1.5**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    stack = torch.cat([images, clean, images * images, clean * clean, images * clean], dim=1)
    across = functional.conv2d(stack, weights.view(1, 1, 1, -1).repeat(5 * channels, 1, 1, 1), groups=5 * channels)
    smooth = functional.conv2d(across, weights.view(1, 1, -1, 1).repeat(5 * channels, 1, 1, 1), groups=5 * channels)
    mean_x, mean_y, square_x, square_y, cross = torch.split(smooth, channels, dim=1)
    variances = (square_x - mean_x**2).clamp_min(0) + (square_y - mean_y**2).clamp_min(0)
    covariance = cross - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
    values: Tensor = (luminance * structure).flatten(1).mean(1)
    return values
