"""`numerics = "fast"`, from grid to tables: other rows than those of `exact`, the same victims, the same labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from minigrid import BLUR, FGSM, Quiet, mini_grid
from torch import Tensor

import dumb_bench
from dumb_bench.catalogue import Catalogue
from dumb_bench.grid_file import parse_grid
from dumb_bench.models import half_scoring
from dumb_bench.report.load import Results
from dumb_bench.runner.plan import build_plan
from dumb_bench.runner.run import RunOptions, Summary, run_grid
from dumb_bench.runner.slot_state import SlotState
from dumb_bench.spec import ModelSpec, Plugin, SurrogateSpec
from dumb_bench.store.store import Store

ARCHITECTURES = '["small_alexnet", "small_resnet", "small_vgg"]'
TIFGSM = '[[attacks]]\nname = "tifgsm"\nstrength = 0.2\nparams = { steps = 3 }\n'
TUNED = '[[attacks]]\nname = "bim"\nparams = { steps = 2 }\ntune = { ssim = 0.6, over = [0.05, 0.1], per_class = 10 }\n'
GRID = mini_grid(architectures=ARCHITECTURES, attacks=FGSM + TIFGSM + BLUR + TUNED, epochs=2)
FAST = GRID.replace('name = "mini"', 'name = "mini"\nnumerics = "fast"', 1)
KEYS = ["surrogate_id", "attack", "attack_params", "strength_rule", "strength", "image_source", "victim_id"]


def go(folder: Path, text: str, name: str) -> Summary:
    grid = folder / f"{name}.toml"
    grid.write_text(text)
    options = RunOptions(results=str(folder / name), store=str(folder / ".store"), address="serial")
    return run_grid(grid, Catalogue(), options, Quiet(), lambda line: None)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results, Results]:
    folder = tmp_path_factory.mktemp("numerics")
    assert go(folder, GRID, "exact").exit_code == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(half_scoring.LEAST_PIXELS, "cpu", 0)  # the sets are small
        assert go(folder, FAST, "fast").exit_code == 0
    return folder, dumb_bench.load(folder / "exact"), dumb_bench.load(folder / "fast")


def pairs(exact: Results, fast: Results) -> pd.DataFrame:
    """Rows of the same test, where the chosen strength is the same."""
    found = exact.tests.merge(fast.tests, on=KEYS, suffixes=("", "_fast"))
    assert len(found) >= 0.9 * len(exact.tests)
    return found


def test_networks_are_the_same_and_trained_once(both: tuple[Path, Results, Results]) -> None:
    _, exact, fast = both
    assert set(exact.models["model_id"]) == set(fast.models["model_id"])
    assert exact.models.set_index("model_id")["finished_at"].equals(fast.models.set_index("model_id")["finished_at"])


def test_rows_say_how_they_were_computed_and_have_ids_of_their_own(both: tuple[Path, Results, Results]) -> None:
    _, exact, fast = both
    for results, numerics in ((exact, "exact"), (fast, "fast")):
        assert set(results.tests["numerics"]) == {numerics}
        assert set(results.tunings["numerics"]) == {numerics}
    assert exact.tests["n_rescored"].isna().all()
    for column in ("test_id", "attack_id"):
        assert not set(exact.tests[column]) & set(fast.tests[column])
    assert not set(exact.tunings["tuning_id"]) & set(fast.tunings["tuning_id"])


def test_identity_is_exactly_zero_and_clean_labels_agree(both: tuple[Path, Results, Results]) -> None:
    _, exact, fast = both
    identity = fast.tests[fast.tests["attack"] == "identity"]
    assert len(identity) and (identity["n_success"] == 0).all()
    found = pairs(exact, fast)
    assert (found["n_victim_correct"] == found["n_victim_correct_fast"]).all()


def test_images_that_no_network_made_get_the_same_labels(both: tuple[Path, Results, Results]) -> None:
    _, exact, fast = both
    found = pairs(exact, fast)
    free = found[found["attack"].isin(["identity", "sign_noise", "box_blur"])]
    labels = [dict(zip(each.predictions["test_id"], each.predictions["predictions"], strict=True)) for each in both[1:]]
    assert len(free) >= 100
    for one, other in zip(free["scored_as"], free["scored_as_fast"], strict=True):
        assert np.array_equal(labels[0][one], labels[1][other])


def test_success_of_attacks_differs_by_rounding_only(both: tuple[Path, Results, Results]) -> None:
    _, exact, fast = both
    found = pairs(exact, fast)
    made = found[found["attack"].isin(["fgsm", "tifgsm", "bim", "delta_swap"])]
    assert (made["n_success"] - made["n_success_fast"]).abs().max() <= 2
    assert (made["n_success"] != made["n_success_fast"]).mean() < 0.1


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="a processor without bfloat16")
def test_a_victim_is_asked_again_where_it_is_not_sure(both: tuple[Path, Results, Results]) -> None:
    fast = both[2].tests
    assert fast.loc[~fast["white_box"].astype(bool), "n_rescored"].notna().all()  # elsewhere it answered as surrogate
    assert 0 < fast["n_rescored"].sum() < fast["n_images"].sum() / 2


def test_without_bfloat16_the_same_labels_come_out(both: tuple[Path, Results, Results]) -> None:
    folder, _, fast = both
    text = FAST.replace(TUNED, "")
    grid = folder / "full.toml"
    grid.write_text(text)
    (folder / "fresh").mkdir()
    options = RunOptions(results=str(folder / "full"), store=str(folder / "fresh"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    full = dumb_bench.load(folder / "full")
    assert full.tests["n_rescored"].isna().all()
    one, other = (each.predictions.set_index("test_id")["predictions"] for each in (fast, full))
    for test_id in full.tests["scored_as"]:
        assert np.array_equal(one[test_id], other[test_id])


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="a processor without bfloat16")
def test_the_clean_images_are_asked_once_for_tolerance_and_labels(
    both: tuple[Path, Results, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(half_scoring.LEAST_PIXELS, "cpu", 0)
    state = SlotState(Store.open(str(both[0] / ".store")), Catalogue(), "cpu")
    plan = build_plan(parse_grid(FAST, "grid", Catalogue()), Catalogue())
    victim, images = next(iter(plan.victims.values())), plan.sets[0].spec.images
    clean = state.image_set(images).images
    answer, asked = SlotState.answer, []

    def counted(self: SlotState, spec: ModelSpec, source: Plugin, seen: Tensor, numerics: str = "exact") -> Tensor:
        asked.append(len(seen))
        return answer(self, spec, source, seen, numerics)

    monkeypatch.setattr(SlotState, "answer", counted)
    found = state.scored(victim, images, clean, "fast")
    labels = state.clean_labels(victim, images, "float32", "fast")
    assert found.rescored is not None and asked == [len(clean), *([found.rescored] if found.rescored else [])]
    assert np.array_equal(labels, answer(state, victim, images.source, clean, "fast").argmax(1).numpy())
    assert np.array_equal(state.clean_labels(victim, images, "uint8", "fast"), labels) and len(asked) <= 2


def test_stored_ids_of_exact_grids_stay() -> None:
    plans = [build_plan(parse_grid(text, "grid", Catalogue()), Catalogue()) for text in (GRID, FAST)]
    named = GRID.replace('name = "mini"', 'name = "mini"\nnumerics = "exact"', 1)
    again = build_plan(parse_grid(named, "grid", Catalogue()), Catalogue())
    assert [item.spec.id for item in again.sets] == [item.spec.id for item in plans[0].sets]
    assert not {item.spec.id for item in plans[0].sets} & {item.spec.id for item in plans[1].sets}
    assert set(plans[0].models) == set(plans[1].models)


def test_an_unknown_numerics_is_one_line() -> None:
    with pytest.raises(dumb_bench.errors.InputError, match="numerics: expected 'exact' or 'fast', got 'quick'"):
        parse_grid(GRID.replace('name = "mini"', 'name = "mini"\nnumerics = "quick"', 1), "grid", Catalogue())


def test_small_passes_are_for_surrogates_that_draw_nothing_and_do_not_take_turns(
    both: tuple[Path, Results, Results],
) -> None:
    folder = both[0]
    state = SlotState(Store.open(str(folder / ".store")), Catalogue(), "cpu")
    plan = build_plan(parse_grid(FAST, "grid", Catalogue()), Catalogue())
    model = next(item for item in plan.models.values() if item.architecture.name == "small_resnet")
    ghost, sgm = Plugin("ghost"), Plugin("sgm")
    assert state.surrogate(SurrogateSpec((model,)), "exact").gradient_batch is None
    for spec, split in (
        (SurrogateSpec((model,)), True),
        (SurrogateSpec((model,), modifier=sgm), True),
        (SurrogateSpec((model, model), "mean_probs"), True),
        (SurrogateSpec((model, model), "cycle"), False),
        (SurrogateSpec((model,), modifier=ghost), False),
        (SurrogateSpec((replace(model, defence=Plugin("resize_pad")),)), False),
    ):
        assert (state.surrogate(spec, "fast").gradient_batch is not None) == split
