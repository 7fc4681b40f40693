"""The fused optimiser step: the same rule in one kernel; and what is sent to a device arrives as it was drawn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dumb_bench.defences.none import none
from dumb_bench.models import fitting
from dumb_bench.models.augmentation import sent
from dumb_bench.models.fitting import Images, fit
from dumb_bench.posteriors.base import state_of
from dumb_bench.posteriors.chains import plain_sgd
from dumb_bench.recipes import RECIPES, Recipe, resolve_recipe


def recipe(fused: bool, optimiser: str = "adam", precision: str = "fp32") -> Recipe:
    changes = {"optimiser": optimiser, "weight_decay": 0.01, "lr": 0.01, "batch": 8, "epochs": 3}
    return RECIPES["small"].model_copy(update={**changes, "precision": precision, "fused": fused})


def trained(how: Recipe) -> torch.Tensor:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    images = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    data = Images(images, torch.arange(24) % 2)
    fit(network, data, data, how, none(), len, early_stopping=False)
    return torch.cat([value.flatten() for value in state_of(network).values()])


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_fused_run_takes_the_same_steps_but_for_the_last_bits(optimiser: str) -> None:
    torch.testing.assert_close(
        trained(recipe(True, optimiser)), trained(recipe(False, optimiser)), rtol=1e-3, atol=1e-5
    )


def test_a_fused_step_goes_with_a_scaled_loss() -> None:
    both = [trained(recipe(fused, "sgd", "fp16")) for fused in (True, False)]
    torch.testing.assert_close(*both, rtol=1e-2, atol=1e-3)


def test_the_kernel_that_the_recipe_names_is_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for kernel in (torch._fused_adam_, torch._fused_sgd_):

        def noted(*args: object, kernel: object = kernel, **kwargs: object) -> object:
            seen.append(kernel.__name__)  # type: ignore[attr-defined]
            return kernel(*args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(torch, kernel.__name__, noted)
    trained(recipe(False))
    trained(recipe(False, "sgd"))
    assert seen == []
    trained(recipe(True))
    trained(recipe(True, "sgd"))
    assert seen == ["_fused_adam_"] * 9 + ["_fused_sgd_"] * 9


def test_the_chains_own_optimiser_follows_the_recipe() -> None:
    made = [plain_sgd(recipe(fused), 0.9)(nn.Linear(2, 2)).param_groups[0]["fused"] for fused in (True, False)]
    assert made == [True, None]


def test_fused_is_off_for_every_older_id_and_says_what_it_takes() -> None:
    assert not any(named.fused for named in RECIPES.values())
    assert resolve_recipe("small", {"fused": False}).params == ()
    assert resolve_recipe("small", {"fused": True}).params == (("fused", True),)


def test_what_is_drawn_goes_to_a_gpu_through_pinned_memory_and_no_step_waits() -> None:
    class Drawn:
        """Stands for a tensor on the CPU."""

        def __init__(self) -> None:
            self.calls: list[object] = []

        def pin_memory(self) -> Drawn:
            self.calls.append("pinned")
            return self

        def to(self, device: torch.device, non_blocking: bool = False) -> Drawn:
            self.calls.append((device.type, non_blocking))
            return self

    calls = [sent(Drawn(), torch.device(name)).calls for name in ("cuda", "cpu")]  # type: ignore[arg-type, attr-defined]
    assert calls == [["pinned", ("cuda", True)], [("cpu", False)]]


def test_a_training_run_reads_numbers_back_at_the_end_of_an_epoch_and_never_at_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = []
    plain = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: read.append(None) or plain(self))
    for name in ("item", "tolist", "__int__", "__bool__"):

        def refused(self: torch.Tensor, name: str = name) -> object:
            raise AssertionError(f"{name} waits for the device")

        monkeypatch.setattr(torch.Tensor, name, refused)
    monkeypatch.setattr(fitting, "validate", lambda network, data: fitting.Validation(1.0, 0.5))
    trained(RECIPES["small"].model_copy(update={"batch": 2, "epochs": 3, "optimiser": "sgd"}))
    assert len(read) == 3
