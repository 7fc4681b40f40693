"""What the adapters of other libraries' networks share: images in [0, 1] in, logits out, whatever the library wants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.errors import InputError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1], as most published weights were trained with."""

Side = Annotated[int, Field(ge=0, le=1024)]
"""Pixels that images are resized to before the network sees them; 0: as they are."""

Channels = tuple[float, float, float] | None
"""One number for each of red, green and blue; None: those that the library's weights were trained with."""

SIDE = 224


def side_in(image_shape: tuple[int, int, int], side: int) -> int:
    """Return the side of what the network itself gets to see."""
    return side or min(image_shape[1:])


def wrapped(
    name: str,
    network: nn.Module,
    image_shape: tuple[int, int, int],
    side: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> nn.Module:
    """Return a network behind resizing and normalisation. side: 0 for no resizing.

    Raises:
        InputError: images of other than three channels, a deviation that is not above 0, or a side it does not take.
    """
    if image_shape[0] != 3:
        raise InputError(f"architecture {name!r}: takes images of 3 channels, those of the task have {image_shape[0]}")
    if min(std) <= 0:
        raise InputError(f"architecture {name!r}: parameter 'std': expected numbers above 0, got {list(std)}")
    found = Preprocessed(network, mean=tuple(mean), std=tuple(std), side=side or None)
    if side != SIDE:
        _try(name, found, image_shape, side_in(image_shape, side))
    return found


def _try(name: str, network: nn.Module, image_shape: tuple[int, int, int], side: int) -> None:
    """See that a network takes images of a side; a forward pass of one image tells."""
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, *image_shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"architecture {name!r}: takes no images of {side} px ({reason}); side = {SIDE} resizes them"
        ) from None
    network.train()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict, on the CPU: safetensors, or a `.pth` file of which nothing but tensors is loaded.

    Raises:
        InputError: it holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: object = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a reader of torn bytes says
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: no weights can be read ({type(error).__name__}: {reason})") from None
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path}: expected a state dict, tensors by name")
    return dict(found)
