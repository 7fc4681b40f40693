"""Feature extraction, mixed precision, memory layout: what moves, and what a step leaves in the weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dumb_bench.defences.base import Course
from dumb_bench.models.execution import Steps
from dumb_bench.models.fitting import EarlyStopping, Images, Validation, fit
from dumb_bench.posteriors.base import History, State, state_of
from dumb_bench.recipes import RECIPES, Recipe, resolve_recipe


class Plain:
    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course
    ) -> Tensor:
        return nn.functional.cross_entropy(model(images), labels)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(16, 2),
    )  # fmt: skip


def trained(epochs: int = 2, **changes: Any) -> tuple[State, State, History]:
    """The state before and after training on 16 random images."""
    recipe = Recipe(optimiser="sgd", lr=0.1, batch=8, epochs=epochs, patience=epochs, **changes)
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    data = Images(images, torch.arange(16) % 2)
    found = network()
    before = state_of(found)
    history = fit(found, data, data, recipe, Plain(), lambda purpose: 5, early_stopping=False)  # type: ignore[arg-type]
    assert all(weight.requires_grad for weight in found.parameters())
    return before, state_of(found), history


def moved(before: State, after: State) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_feature_extraction_moves_the_last_layer_alone() -> None:
    before, after, _ = trained(trainable="head")
    assert moved(before, after) == {"5.weight", "5.bias"}
    before, after, _ = trained()
    assert {"0.weight", "1.running_mean", "1.num_batches_tracked", "5.bias"} <= moved(before, after)


def test_frozen_features_train_the_head_as_logistic_regression_on_them_does() -> None:
    _, after, _ = trained(epochs=1, trainable="head")
    model = network().eval()
    images = torch.randint(0, 256, (16, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = model[:5](images.float() / 255)
    labels, head = torch.arange(16) % 2, model[5]
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(5))
    for part in order.tensor_split(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(head(features[part]), labels[part]).backward()
        optimiser.step()
    assert torch.allclose(after["5.weight"], head.weight.detach(), atol=1e-6)
    assert torch.allclose(after["5.bias"], head.bias.detach(), atol=1e-6)


def test_tf32_is_fp32_on_a_cpu() -> None:
    plain, other = trained(), trained(precision="tf32")
    assert all(torch.equal(plain[1][name], value) for name, value in other[1].items())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_keeps_weights_in_fp32_and_comes_near(precision: str) -> None:
    _, exact, _ = trained()
    _, after, history = trained(precision=precision)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32, torch.int64}
    assert math.isfinite(history.epochs[-1].loss)
    difference = (after["0.weight"] - exact["0.weight"]).abs().max()
    assert 0 < difference < 0.02


def test_scaled_gradients_reach_the_hook_at_their_true_size() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.weight.detach().clone()
    steps = Steps(model, RECIPES["small"].model_copy(update={"precision": "fp16"}), torch.device("cpu"))
    with steps.autocast():
        output = model(torch.tensor([[1.0, 2.0]]))
    assert output.dtype == torch.float16
    steps.backward(output.float().sum() / 64, optimiser)
    expected = torch.tensor([[1.0, 2.0]]) / 64
    assert model.weight.grad is not None and torch.equal(model.weight.grad, expected)
    steps.step(optimiser)
    assert torch.allclose(before - model.weight.detach(), expected, atol=1e-6)


def test_a_step_whose_scaled_gradient_overflows_is_left_out_and_the_scale_falls() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    before = model.weight.detach().clone()
    steps = Steps(model, RECIPES["small"].model_copy(update={"precision": "fp16"}), torch.device("cpu"))
    for _ in range(3):  # a gradient of 1 or 2 times the first scale, 65,536, is no number of float16
        optimiser.zero_grad()
        with steps.autocast():
            output = model(torch.tensor([[1.0, 2.0]]))
        steps.backward(output.float().sum(), optimiser)
        steps.step(optimiser)
    assert torch.allclose(before - model.weight.detach(), torch.tensor([[1.0, 2.0]]), atol=1e-6)


def test_channels_last_is_the_same_network_in_another_order() -> None:
    seen = []
    recipe = RECIPES["small"].model_copy(update={"channels_last": True})
    model = network()
    steps = Steps(model, recipe, torch.device("cpu"))
    model[0].register_forward_pre_hook(
        lambda layer, inputs: seen.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
    )
    images = torch.rand(2, 3, 8, 8)
    model.eval()
    expected = network().eval()(images)
    assert torch.allclose(model(steps.laid_out(images)), expected, atol=1e-6) and seen == [True]
    assert all(tensor.is_contiguous() for tensor in state_of(model).values())
    _, exact, _ = trained()
    _, after, _ = trained(channels_last=True)
    assert torch.allclose(after["0.weight"], exact["0.weight"], atol=1e-5)


def test_the_recipe_of_dumb_is_the_published_one_and_its_stop_too() -> None:
    recipe = RECIPES["dumb_2023"]
    assert (recipe.optimiser, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 1e-3, 0.9, 0.0)
    assert (recipe.batch, recipe.epochs, recipe.patience, recipe.min_delta) == (128, 500, 25, 1e-4)
    assert (recipe.schedule, recipe.trainable, recipe.precision, recipe.noise) == ("constant", "all", "fp32", 0.0)
    stopping = EarlyStopping(recipe.patience, recipe.min_delta)
    ended = 0
    for epoch in range(1, recipe.epochs + 1):
        stopping.update(epoch, Validation(1.0, 0.9 if epoch >= 10 else 0.05 * epoch))
        if stopping.stop:
            ended = epoch
            break
    assert (ended, stopping.selected) == (35, 10)  # F1 rose last in epoch 10; 25 epochs later it stops


def test_new_numbers_of_a_recipe_change_no_older_id() -> None:
    assert resolve_recipe("small", {"precision": "fp32", "trainable": "all", "channels_last": False}).params == ()
    assert resolve_recipe("small", {"precision": "bf16"}).params == (("precision", "bf16"),)
