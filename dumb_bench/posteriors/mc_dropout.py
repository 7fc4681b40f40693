"""MC-dropout: Gal, Ghahramani, ICML 2016."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from dumb_bench.errors import InputError
from dumb_bench.posteriors.base import TrainingProblem, WeightSamples, posterior, state_of

_FORMS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Dropout: functional.dropout,
    nn.Dropout1d: functional.dropout1d,
    nn.Dropout2d: functional.dropout2d,
    nn.Dropout3d: functional.dropout3d,
    nn.AlphaDropout: functional.alpha_dropout,
    nn.FeatureAlphaDropout: functional.feature_alpha_dropout,
}

_WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@posterior(
    "mc_dropout",
    paper="Gal, Ghahramani, Dropout as a Bayesian approximation, ICML 2016",
    count=lambda params: int(params["samples"]),
)
def mc_dropout(
    problem: TrainingProblem,
    *,
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    samples: Annotated[int, Field(ge=1, le=1000)] = 10,
) -> WeightSamples:
    """One network that is trained with dropout and keeps it when used: every forward pass draws other weights.

    Each image of a pass has its own draw, from PyTorch's global generator. Validation while training is without
    dropout.

    Args:
        problem: the data and the network.
        rate: probability that a unit is dropped (`insert_dropout` says where).
        samples: passes that stand for as many weight samples when the network is used; no matter for training.

    Cost: that of `point`.

    Raises:
        InputError: the network has no place for dropout.
    """
    del samples
    network = insert_dropout(problem.build(), rate)
    problem.fit(network)
    return WeightSamples((state_of(network),), "dropout")


def insert_dropout(network: nn.Module, rate: float, *, always: bool = False) -> nn.Module:
    """Put dropout of one rate into a network, in place, and return it; names and number of its weights stay.

    A network with dropout layers keeps them where they are, at this rate. One without gets dropout, unit by unit,
    before every weight layer (linear, convolution) but the first registered, whose inputs are pixels (the paper's
    section 3; for convolutions Gal and Ghahramani, Bayesian convolutional neural networks, 2015).
    always: drop in eval mode too, whoever sets it.

    Raises:
        InputError: there is neither a dropout layer nor a second weight layer.
    """
    own = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if type(child) in _FORMS
    ]
    for parent, name, child in own:
        setattr(parent, name, _Dropout(_FORMS[type(child)], rate, always).train(child.training))
    layers = [layer for layer in network.modules() if isinstance(layer, _WEIGHT_LAYERS)][1:]
    if not own and not layers:
        raise InputError("posterior 'mc_dropout': the network has neither a dropout layer nor a second weight layer")
    for layer in () if own else layers:
        layer.register_forward_pre_hook(_InputDropout(rate, always))
    return network


class _Dropout(nn.Module):
    """A dropout layer in place of PyTorch's."""

    def __init__(self, form: Callable[..., Tensor], rate: float, always: bool) -> None:
        super().__init__()
        self.form = form
        self.rate = rate
        self.always = always

    def forward(self, features: Tensor) -> Tensor:
        return self.form(features, self.rate, self.always or self.training)


class _InputDropout:
    """Drops inputs of a layer: a hook that knows nothing of its layer, so that copies of the network stay apart."""

    def __init__(self, rate: float, always: bool) -> None:
        self.rate = rate
        self.always = always

    def __call__(self, layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (functional.dropout(inputs[0], self.rate, self.always or layer.training), *inputs[1:])
