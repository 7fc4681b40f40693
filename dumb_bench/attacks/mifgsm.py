"""MI-FGSM: iterative FGSM with momentum (Dong et al., CVPR 2018)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from dumb_bench.attacks.base import Surrogate, as_float, attack, iterations_step
from dumb_bench.attacks.torchattacks_call import run


@attack("mifgsm", targeted=True, library="torchattacks", paper="arXiv:1710.06081")
def mifgsm(
    surrogate: Surrogate,
    images: Tensor,
    labels: Tensor,
    strength: float | None,
    *,
    generator: torch.Generator,
    targets: Tensor | None = None,
    steps: Annotated[int, Field(ge=1, le=10_000)] = 10,
    decay: Annotated[float, Field(ge=0)] = 1.0,
) -> Tensor:
    """Momentum iterative FGSM; each step is eps / steps, as in the paper."""
    del generator
    eps = as_float(strength)
    return run(
        "MIFGSM", surrogate, images, labels, targets,
        eps=eps, alpha=iterations_step(eps, steps), steps=steps, decay=decay,
    )  # fmt: skip
