"""An attack of one's own: FGSM along a gradient that is averaged over noisy copies of the image."""

from typing import Annotated

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from dumb_bench.attacks.base import as_float, attack


@attack("noisy_fgsm", default_strengths=(0.08, 0.16), stochastic=True, reaches_budget=True)
def noisy_fgsm(
    surrogate,
    images,
    labels,
    strength,
    *,
    generator,
    targets=None,
    copies: Annotated[int, Field(ge=1, le=100)] = 4,
    sigma: Annotated[float, Field(ge=0, le=1)] = 0.1,
):
    """One signed step of size eps; the gradient is the mean over `copies` with Gaussian noise of deviation `sigma`."""
    del targets
    total = torch.zeros_like(images)
    for _ in range(copies):
        noise = sigma * torch.randn(images.shape, generator=generator, device=images.device)
        noisy = (images + noise).requires_grad_()
        loss = cross_entropy(surrogate(noisy), labels, reduction="sum")
        total += torch.autograd.grad(loss, noisy)[0]
    return (images + as_float(strength) * total.sign()).clamp(0, 1)
