"""The limits of the machine, measured in the same run as the programs."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .flops import Pass
from .machine import FLOOR, WORKER, start_seconds
from .peak import BATCHES, Peak, bare_rate, convolution_peak, product_peak
from .study import Study


class Limits(NamedTuple):
    """bare: GFLOP/s of an architecture's passes alone. starts: CPU seconds of fresh interpreters."""

    convolution: Peak
    convolution_bf16: Peak
    product: Peak
    product_bf16: Peak
    bare: dict[tuple[str, Pass], float]
    starts: dict[str, float]


def measure_limits(study: Study) -> Limits:
    """Measure peaks, the bare passes of a study's architectures, and starts."""
    torch.set_num_threads(1)
    builds = {model.spec.architecture.label: model.build for model in study.models.values()}
    return Limits(
        convolution_peak(torch.float32),
        convolution_peak(torch.bfloat16),
        product_peak(torch.float32),
        product_peak(torch.bfloat16),
        {
            (name, kind): bare_rate(build, study.shape, kind, fast=study.fast)
            for name, build in builds.items()
            for kind in BATCHES
        },
        {
            "the libraries alone (torch, pyarrow, pydantic)": start_seconds(FLOOR),
            "runner and worker, ready for units": start_seconds(WORKER),
        },
    )
