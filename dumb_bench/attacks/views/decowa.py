"""DeCoWA: elastic warping held back by the loss (Lin et al., AAAI 2024)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.views.base import Scene, Transformation, View


def _lattice(height: int, width: int, device: torch.device) -> Tensor:
    """Return points (height * width, 2) as (x, y), evenly spread over [-1, 1] with points on the border, row by row."""
    down = torch.linspace(-1, 1, height, dtype=torch.float64, device=device)
    across = torch.linspace(-1, 1, width, dtype=torch.float64, device=device)
    points: Tensor = torch.stack([across.repeat(height), down.repeat_interleave(width)], 1)
    return points


def _radial(points: Tensor, centres: Tensor) -> Tensor:
    """Return r^2 log r^2 of the distances, (points, centres): the thin plate; 0 at distance 0."""
    squares = (points[:, None] - centres[None]).square().sum(-1)
    return torch.xlogy(squares, squares)


def thin_plate(height: int, width: int, mesh: int, device: torch.device) -> Tensor:
    """Return each pixel's move for a unit move of each inner point of a mesh, (height * width, (mesh - 2)^2) float64.

    The thin plate spline through the mesh's points is linear in where they go, so that a deformation is one product.
    """
    centres = _lattice(mesh, mesh, device)
    affine = torch.cat([torch.ones_like(centres[:, :1]), centres], 1)
    corner = torch.zeros(3, 3, dtype=torch.float64, device=device)
    system = torch.cat([torch.cat([_radial(centres, centres), affine], 1), torch.cat([affine.T, corner], 1)])
    pixels = _lattice(height, width, device)
    bending = torch.cat([_radial(pixels, centres), torch.ones_like(pixels[:, :1]), pixels], 1)
    moves: Tensor = torch.linalg.solve(system, bending, left=False)[:, : mesh * mesh]
    inner = torch.arange(mesh * mesh, device=device).view(mesh, mesh)[1:-1, 1:-1].flatten()
    return moves[:, inner]


def warped(images: Tensor, points: Tensor, moves: Tensor) -> Tensor:
    """Return images (N, C, H, W) sampled, bilinearly, where the moved inner points pull each pixel; 0 outside.

    points: their moves (N, mesh - 2, mesh - 2, 2) as (x, y), in half sides of the image. moves: of `thin_plate`.
    """
    height, width = images.shape[-2:]
    still = _lattice(height, width, images.device)
    grid = (still + moves @ points.flatten(1, 2).double()).view(-1, height, width, 2)
    return functional.grid_sample(images, grid.to(images.dtype), align_corners=True)


def decowa(*, warps: int = 20, mesh: int = 3, spread: float = 1.0, rate: float = 0.01) -> Transformation:
    """Return the mean over `warps` thin plate deformations of the image, each constrained by one inner step.

    The inner points of a mesh x mesh lattice move by xi ~ U(-spread, spread) half sides; then xi <- xi - rate *
    gradient of what the attack ascends: a deformation that keeps what the network sees. The authors' code shares one xi
    in a batch and averages the loss; here every image has its own, so that it depends on no other image.
    """

    def made(scene: Scene) -> View:
        known: dict[tuple[int, ...], Tensor] = {}

        def apply(images: Tensor, copy: int) -> Tensor:
            del copy
            height, width = images.shape[-2:]
            if (height, width) not in known:
                known[height, width] = thin_plate(height, width, mesh, images.device)
            moves, still = known[height, width], images.detach()
            points = torch.empty(len(images), mesh - 2, mesh - 2, 2, dtype=torch.float64, device=images.device)
            points.uniform_(-spread, spread, generator=scene.generator)
            slope = scene.objective.gradient(points, lambda moved: warped(still, moved, moves))
            return warped(images, points - rate * slope, moves)

        return View(copies=warps, apply=apply)

    return made
