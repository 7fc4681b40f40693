"""Seeding of the global generators: the draws of `torch.manual_seed`, without its look at absent hardware."""

from __future__ import annotations

import traceback

import pytest
import torch

from dumb_bench.generators import reseed


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_the_draws_are_those_after_manual_seed(seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        known = torch.randn(7), torch.rand(3), torch.randint(0, 9, (5,))
        torch.rand(11)
        reseed(seed, torch.device("cpu"))
        assert all(map(torch.equal, known, (torch.randn(7), torch.rand(3), torch.randint(0, 9, (5,)))))


def test_no_stack_trace_is_made_for_hardware_that_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[str] = []
    monkeypatch.setattr(traceback, "format_stack", lambda *_, **__: traced.append("") or [])
    with torch.random.fork_rng(devices=[]):
        reseed(3, torch.device("cpu"))
    assert traced == []
