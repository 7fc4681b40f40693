"""Which float32 arithmetic a GPU uses: IEEE's, or TF32 with its ten bits of mantissa."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Compute in float32 proper, or in TF32, on a GPU inside the block, by deterministic convolutions; else nothing.

    PyTorch's own default is TF32 in convolutions, whose errors are a thousand times those of float32.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32, cudnn.deterministic, cudnn.benchmark
    cudnn.allow_tf32 = cublas.allow_tf32 = tf32
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, cublas.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
