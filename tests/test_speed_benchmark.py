"""The speed benchmark: it refuses to compare what does not agree, and counts FLOPs as one does by hand."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from minigrid import mini_grid
from speed import clock as clock_module
from speed import grids, success
from speed import rounds as rounds_module
from speed.clock import Clock
from speed.flops import Images, Pass, Work, flops_of, least_seconds, total_flops
from speed.folding import folded
from speed.ideal import Ideal
from speed.rounds import HARNESS, IDEAL, NAIVE, Measured, measure
from speed.study import read_study
from speed.success import DisagreementError, Success, require_equal_tables, require_equal_weights
from torch import Tensor, nn

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.runner import train_unit

BIM = '[[attacks]]\nname = "bim"\nstrength = 0.1\nparams = { steps = 2 }\n'
BLUR = '[[attacks]]\nname = "box_blur"\nstrength = 1.0\n'
FGSM = '[[attacks]]\nname = "fgsm"\nstrength = [0.1, 0.2]\n'
TUNED = """
[[attacks]]
name = "fgsm"
tune = { ssim = 0.4, over = [0.05, 0.1, 0.3], reference = true, per_class = 4 }
[[attacks]]
name = "gaussian_noise"
tune = { ssim = 0.4, over = [0.01, 0.05], reference = true, per_class = 4 }
[[attacks]]
name = "invert_color"
"""


def two_models(attacks: str, more: str = "") -> str:
    text = mini_grid(
        sources='["optdigits"]', architectures='["small_alexnet", "small_vgg"]', image_source="surrogate",
        attacks=attacks,
    )  # fmt: skip
    return text.replace("per_class = 10", f"per_class = 6{more}")


def quiet(line: str) -> None:
    assert "agree" in line


@pytest.fixture(scope="module")
def found() -> Measured:
    """The harness and the ideal loop on a small grid."""
    return measure("mini", two_models(FGSM + BIM + BLUR), 1, IDEAL, quiet)


def test_harness_and_ideal_loop_agree_on_every_test(found: Measured) -> None:
    sets = 2 * (2 + 1) * 2 + (1 + 1 + 2)  # fgsm and bim with their swaps; blur, identity, sign_noise twice (0.1, 0.2)
    assert found.tests == sets * 2
    for program in (HARNESS, IDEAL):
        (clock,) = found.clocks[program]
        assert sum(clock.stages.values()) == pytest.approx(clock.cpu)
        assert {"training", "crafting", "scoring", "SSIM"} <= clock.stages.keys()


def test_images_that_went_through_networks(found: Measured) -> None:
    done = found.done
    assert done[Work("crafting", "small_vgg", "gradient")] == 12 * (1 + 2)  # FGSM's strengths share one gradient
    assert done[Work("training", "small_vgg", "training")] == 600
    scored = 300 + 12 * (2 * (2 + 1) * 2 + 1 + 1 + 2)  # the test split, both surrogates' sets, blur, identity, noise
    assert done[Work("scoring", "small_vgg", "forward")] == scored


def test_naive_script_agrees_on_jpeg_files_and_chosen_strengths() -> None:
    found = measure("mini", two_models(TUNED, '\ndeliveries = ["jpeg75"]'), 1, NAIVE, quiet)
    assert found.tests == (2 + 1 + 1) * 2 or found.tests == (2 + 2 + 1) * 2  # noise: one strength chosen, or two
    assert found.ratios(NAIVE, HARNESS).median > 0
    assert found.notes[0].startswith("The script decodes")


def test_a_planted_wrong_count_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Ideal.steps

    def one_too_many(self: Ideal) -> Iterator[None]:
        yield from steps(self)
        test = next(test for test in self.tests if test.attack == "fgsm")
        found = self.tests[test]
        self.tests[test] = found._replace(n_success=found.n_success + 1)

    monkeypatch.setattr(rounds_module.Ideal, "steps", one_too_many)
    with pytest.raises(DisagreementError, match=r"attack='fgsm'.*the harness has Success"):
        measure("mini", two_models(FGSM), 1, IDEAL, quiet)


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def process_time(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return 2 * self.now


def test_what_runs_in_a_pause_or_between_two_stretches_is_nobodys_second(monkeypatch: pytest.MonkeyPatch) -> None:
    time, clock = Time(), Clock()
    monkeypatch.setattr(clock_module, "time", time)
    with clock.running():
        time.now += 1
        with clock.stage("outer"):
            time.now += 2
            with clock.paused():
                time.now += 64
            with clock.stage("inner"):
                time.now += 4
                with clock.paused():
                    time.now += 32
        assert clock.so_far == 7
    time.now += 128
    with clock.running():
        time.now += 8
        with clock.stage("inner"):
            time.now += 16
    assert (clock.cpu, clock.wall) == (31, 62)
    assert clock.stages == {"outer": 2, "inner": 20, "rest": 9}


def test_the_ideal_loop_takes_turns_with_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    steps, train = Ideal.steps, train_unit.train_part

    def stepping(self: Ideal) -> Iterator[None]:
        for step in steps(self):
            order.append("loop")
            yield step

    def training(*args: Any, **kwargs: Any) -> Any:
        order.append("harness")
        return train(*args, **kwargs)

    monkeypatch.setattr(Ideal, "steps", stepping)
    monkeypatch.setattr(train_unit, "train_part", training)
    measure("mini", two_models(FGSM), 1, IDEAL, quiet)
    own = [number for number, name in enumerate(order) if name == "harness"][-2:]
    assert "loop" in order[own[0] : own[1]] and order[-1] == "loop"


def test_another_weight_is_refused() -> None:
    own, other = ({"model": {"bias": torch.zeros(2)}} for _ in range(2))
    require_equal_weights(own, other, "loop")
    other["model"]["bias"][1] = 1e-45
    with pytest.raises(DisagreementError, match="model model, tensor 'bias'"):
        require_equal_weights(own, other, "loop")


def test_the_first_test_that_differs_is_named() -> None:
    first, second = (success.Test("s", "pgd", strength, "optdigits", "uint8", "v") for strength in (0.1, 0.2))
    own = {first: Success(10, 9, 3), second: Success(10, 9, 4)}
    require_equal_tables(own, dict(own), "loop")
    with pytest.raises(DisagreementError, match=r"strength=0.2.*no such test"):
        require_equal_tables({first: own[first]}, own, "loop")
    with pytest.raises(DisagreementError, match=r"strength=0.2.*loop none"):
        require_equal_tables(own, {first: own[first]}, "loop")


class Known(nn.Module):
    """A convolution (3 -> 4 channels, 5 x 5 out of 7 x 7) and a linear layer (100 -> 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(100, 2)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.convolution(images).flatten(1))
        return logits


def test_flops_by_hand() -> None:
    convolution, linear = 2 * 25 * 4 * 3 * 9, 2 * 100 * 2
    forward = convolution + linear
    assert flops_of(Known, (3, 7, 7), "forward") == forward
    assert flops_of(Known, (3, 7, 7), "gradient") == 2 * forward
    assert flops_of(Known, (3, 7, 7), "training") == forward + convolution + 2 * linear  # no gradient of the images
    done = Images({Work("scoring", "known", "forward"): 10, Work("scoring", "known", "gradient"): 1})
    assert total_flops(done, {"known": Known}, (3, 7, 7)) == {"scoring": 12.0 * forward}
    rates: dict[tuple[str, Pass], float] = {("known", "forward"): 2.0, ("known", "gradient"): 0.5}
    seconds = least_seconds(done, {"known": Known}, (3, 7, 7), rates)
    assert seconds == {"scoring": pytest.approx((10 * forward / 2.0 + 2 * forward / 0.5) / 1e9)}


def test_a_folded_network_answers_alike_without_normalisation() -> None:
    build = Catalogue().get("architectures", "small_resnet").call
    network = build(2, (3, 32, 32))
    network(torch.rand(64, 3, 32, 32))  # running statistics other than 0 and 1
    made = folded(network.eval())
    images = torch.rand(8, 3, 32, 32)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made.modules())
    torch.testing.assert_close(made(images), network(images), rtol=1e-4, atol=1e-5)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_the_fast_form_makes_the_same_tests_with_folded_networks(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(two_models(FGSM))
    study = read_study(grid, Catalogue())
    exact = Ideal(study, Clock()).run()
    fast = Ideal(dataclasses.replace(study, fast=True), Clock()).run()
    require_equal_weights(exact.weights, fast.weights, "fast form")
    clean = [{test: found.n_victim_correct for test, found in each.tests.items()} for each in (exact, fast)]
    assert clean[0] == clean[1]
    assert fast.done == exact.done
    layers = [layer for network in fast.networks.values() for layer in network.modules()]
    assert any(isinstance(layer, nn.Conv2d) for layer in layers)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in layers)


def test_stages_count_every_second_once() -> None:
    clock = Clock()
    with clock.running(), clock.stage("outer"):
        spin()
        with clock.stage("inner"):
            spin()
    assert set(clock.stages) == {"outer", "inner", "rest"}
    assert clock.stages["inner"] > 0.02 and clock.stages["outer"] > 0.02
    assert sum(clock.stages.values()) == pytest.approx(clock.cpu)


def spin() -> None:
    import time

    until = time.process_time() + 0.03
    while time.process_time() < until:
        pass


def test_what_the_loops_do_not_do_is_refused(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(mini_grid().replace("[images]", 'posterior = ["swag"]\n[images]'))
    with pytest.raises(InputError, match="do no model small_alexnet"):
        read_study(grid, Catalogue())


def test_numerics_is_written_only_where_it_is_fast() -> None:
    assert "numerics" not in grids.fourteen("exact")
    assert 'numerics = "fast"' in grids.fourteen("fast").splitlines()


def test_the_fourteen_come_in_the_published_form_or_the_package_s_own() -> None:
    own, published = (tomllib.loads(grids.fourteen("exact", published=form))["attacks"] for form in (False, True))
    assert len(own) == len(published) == 14
    assert not [attack for attack in own if "reference" in attack.get("params", {})]
    named = {attack["name"] for attack in published if attack.get("params", {}).get("reference")}
    assert {"bim", "pgd", "rfgsm", "tifgsm", "deepfool", "salt_pepper"} <= named and "fgsm" not in named
    assert [attack["name"] for attack in published if "tune" not in attack] == [
        "grey_scale", "invert_color", "split_merge_rgb",
    ]  # fmt: skip


def test_the_script_that_looks_at_every_strength_agrees_with_a_pruned_search_and_shared_steps() -> None:
    text = TUNED + (
        '[[attacks]]\nname = "bim"\nparams = { steps = 3, reference = true }\n'
        "tune = { ssim = 0.4, over = [0.01, 0.02, 0.03, 0.05, 0.1], reference = true, per_class = 4 }\n"
    )
    pruned = text.replace("per_class = 4", 'per_class = 4, search = "pruned"')
    found = measure("mini", two_models(pruned, '\ndeliveries = ["jpeg75"]'), 1, NAIVE, quiet)
    assert found.ratios(NAIVE, HARNESS).median > 0
