"""Laplace's approximation of a trained network: MacKay 1992; last layer and diagonal as in Daxberger et al. 2021."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import TrainingProblem, WeightSamples, posterior, state_of
from dumb_bench.posteriors.chains import fitted_point

Batches = Iterable[tuple[Tensor, Tensor]]
"""images (N, C, H, W) in [0, 1] and labels (N,)."""

_BATCH = 16
_LARGEST = 10_000


@posterior(
    "laplace",
    paper="Daxberger et al., Laplace redux, NeurIPS 2021",
    count=lambda params: int(params["samples"]),
    parents="start",
)
def laplace(
    problem: TrainingProblem,
    *,
    subset: Literal["last_layer", "all"] = "last_layer",
    structure: Literal["diagonal", "full"] = "full",
    prior_precision: Annotated[float, Field(gt=0, le=1e9)] = 10.0,
    samples: Annotated[int, Field(ge=1, le=1000)] = 10,
) -> WeightSamples:
    """Draws from N(mode, (H + prior_precision I)^-1) around the network that `point` gives.

    H is the generalised Gauss-Newton matrix of the cross entropy, summed over the training images as they are (no
    noise, no attack), and equals the Fisher information: sum of J' (diag p - p p') J, J the Jacobian of the logits.
    It needs no labels. The draws share the mode's BatchNorm statistics and the weights outside the subset.

    Args:
        problem: the data and the network.
        subset: the weights that vary: of the linear layer that gives the logits, or all.
        structure: of H. `full` for the last layer only, at most 10,000 weights.
        prior_precision: 1 / variance of each weight's Gaussian prior; the recipe's weight decay is not used. Too small
            a value gives networks that only guess: all weights of the small architectures need about 1,000.
        samples: weights drawn.

    Cost: `point` and one pass over the training images; `diagonal` a backward pass for each class.

    Raises:
        InputError: `full` for all weights or too many, or the logits come from no linear layer.
    """
    if (subset, structure) == ("all", "full"):
        raise InputError("posterior 'laplace': structure 'full' is for the last layer; for all weights use 'diagonal'")
    network = fitted_point(problem).requires_grad_(False)
    images, _ = next(iter(problem.training_batches(_BATCH)))
    names = last_layer(network, images) if subset == "last_layer" else [name for name, _ in network.named_parameters()]
    weights = [network.get_parameter(name) for name in names]
    mode = torch.cat([weight.flatten() for weight in weights]).cpu().double()
    batches = problem.training_batches(_BATCH)
    spread = (
        _full_spread(full_fisher(network, names, batches), prior_precision)
        if structure == "full"
        else _diagonal_spread(diagonal_fisher(network, names, batches), prior_precision)
    )
    generator = torch.Generator().manual_seed(problem.seed("sample"))
    states = []
    for _ in range(samples):
        drawn = mode + spread(torch.randn(len(mode), generator=generator, dtype=torch.float64))
        for weight, part in zip(weights, torch.split(drawn, [weight.numel() for weight in weights]), strict=True):
            weight.copy_(part.view_as(weight))
        states.append(state_of(network))
    return WeightSamples(tuple(states))


def last_layer(network: nn.Module, images: Tensor) -> list[str]:
    """Return the names of the weight, and the bias if any, of the linear layer whose output is the logits.

    Raises:
        InputError: there is none.
    """
    outputs: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: outputs.update({name: output}))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    found = [name for name, output in outputs.items() if output is logits]
    if not found:
        raise InputError("posterior 'laplace': the network's logits are not the output of a linear layer")
    layer = network.get_submodule(found[0])
    return [f"{found[0]}.{name}".lstrip(".") for name, _ in layer.named_parameters()]


@torch.no_grad()
def full_fisher(network: nn.Module, names: list[str], batches: Batches) -> Tensor:
    """Return H (P, P) float64 of the last layer's weights: its weight (K, F) by rows, then its bias (K,).

    Raises:
        InputError: P is above 10,000.
    """
    weight = network.get_parameter(names[0])
    size = sum(network.get_parameter(name).numel() for name in names)
    if size > _LARGEST:
        raise InputError(
            f"posterior 'laplace': the last layer has {size:,} weights, more than the {_LARGEST:,} of structure "
            "'full'; use 'diagonal'"
        )
    inputs: list[Tensor] = []
    layer = network.get_submodule(names[0].rpartition(".")[0])
    hook = layer.register_forward_pre_hook(lambda layer, given: inputs.append(given[0]))
    total = torch.zeros(size, size, dtype=torch.float64)
    classes = torch.eye(len(weight), dtype=torch.float64)
    for images, _ in batches:
        p = network(images).cpu().double().softmax(1)
        features = inputs.pop().cpu().double()
        curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        jacobian = torch.einsum("kc,nf->nkcf", classes, features).flatten(2)
        if len(names) == 2:
            jacobian = torch.cat([jacobian, classes.expand(len(p), -1, -1)], 2)
        total += torch.einsum("nkp,nkl,nlq->pq", jacobian, curvature, jacobian)
    hook.remove()
    return total


def diagonal_fisher(network: nn.Module, names: list[str], batches: Batches) -> Tensor:
    """Return the diagonal of H (P,) float64 of the named weights, each flattened, in the order of the names.

    diag p - p p' is the sum over classes k of p_k (e_k - p) (e_k - p)'.
    """
    weights = {name: network.get_parameter(name).detach() for name in names}

    def squares(image: Tensor) -> dict[str, Tensor]:
        logits, pull, *_ = vjp(lambda given: functional_call(network, given, (image[None],))[0], weights)
        p = logits.detach().softmax(0)
        rows = p.sqrt()[:, None] * (torch.eye(len(p), device=p.device) - p)
        gradients = [pull(row)[0] for row in rows]
        return {name: torch.stack([gradient[name] for gradient in gradients]).square().sum(0) for name in names}

    total = torch.zeros(sum(weight.numel() for weight in weights.values()), dtype=torch.float64)
    for images, _ in batches:
        found = vmap(squares)(images)
        total += torch.cat([found[name].double().sum(0).flatten() for name in names]).cpu()
    return total


def _full_spread(fisher: Tensor, prior_precision: float) -> Callable[[Tensor], Tensor]:
    """Return the map from standard normal numbers to N(0, (fisher + prior_precision I)^-1): L'^-1 for L L'."""
    factor = torch.linalg.cholesky(fisher + prior_precision * torch.eye(len(fisher), dtype=torch.float64))
    return lambda noise: torch.linalg.solve_triangular(factor.mT, noise[:, None], upper=True)[:, 0]


def _diagonal_spread(fisher: Tensor, prior_precision: float) -> Callable[[Tensor], Tensor]:
    return lambda noise: noise / (fisher + prior_precision).sqrt()
