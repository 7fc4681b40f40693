"""TI-FGSM: gradients smoothed by a kernel, that is, averaged over translations (Dong et al., CVPR 2019)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.torchattacks_call import run
from dumb_bench.errors import InputError


def fitting_kernel(side: int) -> int:
    """Return the odd kernel side, in pixels, for images of a side: about a sixth, within 3 and the paper's 15.

    The paper's 15 pixels are meant for 299; on 32 pixels they would blur the whole digit (5 fits), on 224 they stay.
    """
    return min(15, max(3, 2 * (side // 12) + 1))


@attack(
    "tifgsm", targeted=True, min_channels=3, stochastic=True, library="torchattacks", paper="arXiv:1904.02884",
)  # fmt: skip
def tifgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 0.0,
    kernel_name: Literal["gaussian", "linear", "uniform"] = "gaussian",
    kernel: Annotated[int, Field(ge=0, le=63)] = 0,
    resize_rate: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    diversity_prob: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Tensor:
    """Translation-invariant iterative FGSM with input diversity; kernel 0 = the side that fits the image.

    Raises:
        InputError: an even kernel, which has no centre.
    """
    del generator
    side = kernel or fitting_kernel(min(images.shape[-2:]))
    if side % 2 == 0:
        raise InputError(f"attack 'tifgsm': parameter 'kernel': expected an odd number of pixels, got {side}")
    eps = as_float(strength)
    return run(
        "TIFGSM", surrogate, images, labels, targets,
        eps=eps, alpha=iterations_step(eps, steps), steps=steps, decay=decay, kernel_name=kernel_name,
        len_kernel=side, resize_rate=resize_rate, diversity_prob=diversity_prob,
    )  # fmt: skip
