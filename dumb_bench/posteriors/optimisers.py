"""PyTorch's optimisers, started cheaply.

`torch.optim` wraps the methods of an optimiser to keep `torch.compile` out of them, and so imports `torch._dynamo` with
the first one made: about a CPU second in every process that trains, or three where Python may not keep compiled
modules. Nothing here is compiled: these classes have the methods under the wrappers, and compute the same bits.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import Optimizer


class SGD(torch.optim.SGD):
    """Stochastic gradient descent: `torch.optim.SGD`, not differentiable."""

    add_param_group: Any = inspect.unwrap(Optimizer.add_param_group)
    zero_grad: Any = inspect.unwrap(Optimizer.zero_grad)
    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class Adam(torch.optim.Adam):
    """Adam (Kingma and Ba, ICLR 2015): `torch.optim.Adam`, not differentiable."""

    add_param_group: Any = inspect.unwrap(Optimizer.add_param_group)
    zero_grad: Any = inspect.unwrap(Optimizer.zero_grad)
    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
