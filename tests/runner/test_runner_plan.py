"""Plans of hand-made grids: counts that can be worked out on paper."""

from __future__ import annotations

import pytest
from minigrid import BLUR, FGSM, mini_grid

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.runner.describe import EMPTY
from dumb_bench.runner.outstanding import outstanding, parts_of, tasks_of
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.runner.plan_file import plan_document
from dumb_bench.runner.units import AttackUnit, TrainUnit
from dumb_bench.store.planned import planned_rows

CATALOGUE = Catalogue()
PGD = '[[attacks]]\nname = "pgd"\nstrength = [0.1, 0.3]\n'


def plan(text: str) -> Plan:
    return build_plan(parse_grid(text, "grid", CATALOGUE), CATALOGUE)


def test_counts_of_one_pool_attacked_on_all_sources() -> None:
    made = plan(mini_grid(seeds="[0, 1]", balances='["50/50", "20/80"]'))
    # 2 sources x 2 balances x 2 seeds = 8 models in both roles, images of both sources
    pairs = 8 * 8 * 2
    assert made.counts["models"] == made.counts["surrogates"] == made.counts["victims"] == 8
    assert made.counts["tests"] == pairs * (2 + 1)  # fgsm at 2 strengths, box_blur at 1
    assert made.counts["control_tests"] == pairs * (2 + 2 + 1)  # delta_swap, sign_noise at 2 strengths, identity
    assert made.counts["adversarial_sets"] == 8 * 2 * (2 + 2) + 2 * (1 + 2 + 1)


@pytest.mark.parametrize("rule, tests", [("surrogate", 16), ("victim", 16), ("all", 32)])
def test_the_image_source_rule(rule: str, tests: int) -> None:
    made = plan(mini_grid(seeds="[0, 1]", image_source=rule, attacks='[[attacks]]\nname = "fgsm"\nstrength = 0.1\n'))
    assert made.counts["tests"] == tests
    for item in made.sets:
        source = item.spec.images.source.name
        if rule == "surrogate":
            assert all(made.surrogates[key].models[0].source.name == source for key in item.surrogates)
        if rule == "victim":
            assert all(made.victims[key].source.name == source for key in item.victims)


def test_roles_may_differ_and_a_model_is_planned_once() -> None:
    made = plan(mini_grid(seeds="[0, 1]", victim_seeds="[1, 2, 3]"))
    assert (made.counts["surrogates"], made.counts["victims"], made.counts["models"]) == (4, 6, 8)


def test_an_ensemble_across_architectures_is_one_surrogate_of_two_models() -> None:
    text = mini_grid(architectures='["small_alexnet", "small_vgg"]').replace(
        "[victims]", '[surrogates]\narchitecture = ["small_alexnet+small_vgg"]\n[victims]'
    )
    made = plan(text)
    assert (made.counts["surrogates"], made.counts["models"]) == (2, 4)
    assert {len(item.models) for item in made.surrogates.values()} == {2}


def test_noise_is_planned_once_for_each_norm_and_strength_used() -> None:
    made = plan(mini_grid(attacks=FGSM + PGD + BLUR))
    noise = [item for item in made.sets if item.spec.attack_name == "sign_noise"]
    assert [item.strengths for item in noise] == [(0.1, 0.2, 0.3)] * 2
    assert all(item.spec.surrogate is None for item in noise)


def test_the_set_of_an_attack_that_sees_no_surrogate_is_made_once_per_image_source() -> None:
    made = plan(mini_grid(seeds="[0, 1, 2]"))
    free = [item for item in made.sets if item.spec.attack_name == "box_blur"]
    assert len(free) == 2
    assert all(len(item.surrogates) == 6 for item in free)


def test_ids_are_all_different_and_the_document_has_every_row() -> None:
    made = plan(mini_grid(seeds="[0, 1]"))
    rows = list(planned_rows(plan_document(made, "", CATALOGUE), {}))
    assert len({row.test_id for row in rows}) == len(rows)
    assert sum(row.repeats for row in rows) == made.counts["tests"] + made.counts["control_tests"]
    asked = outstanding(made, EMPTY, CATALOGUE)
    assert {
        key for unit in asked.units if isinstance(unit, AttackUnit) for item in unit.wanted for key in item.test_ids
    } == {row.test_id for row in rows}


def test_an_attack_waits_for_its_surrogate_and_its_victims() -> None:
    made = plan(mini_grid())
    units = outstanding(made, EMPTY, CATALOGUE).units
    training = {unit.key for unit in units if isinstance(unit, TrainUnit)}
    for unit, task in zip(units, tasks_of(units, parts_of(made)), strict=True):
        if isinstance(unit, AttackUnit):
            assert set(task.wants) == training
            assert len(task.needs) == (1 if unit.base.surrogate else 0)


def test_the_order_of_axes_and_defaults_written_out_change_no_identity() -> None:
    one = plan(mini_grid(seeds="[0, 1]"))
    other = plan(
        mini_grid(seeds="[1, 0]", sources='["rendered", "optdigits"]').replace(
            "strength = [0.1, 0.2]", 'strength = [0.2, "1/10"]\nattack_seed = 0\nchunk = 64'
        )
    )
    assert one.models.keys() == other.models.keys()
    assert {item.spec.id for item in one.sets} == {item.spec.id for item in other.sets}


def test_what_changes_the_work_changes_the_identity() -> None:
    base = plan(mini_grid())
    assert not base.models.keys() & plan(mini_grid(epochs=2)).models.keys()
    chunked = plan(mini_grid(attacks=FGSM + "chunk = 5\n"))
    assert base.models.keys() == chunked.models.keys()
    name = "fgsm"
    assert not {item.spec.id for item in base.sets if item.spec.attack_name == name} & {
        item.spec.id for item in chunked.sets if item.spec.attack_name == name
    }


def test_too_many_images_are_refused_before_anything_is_done() -> None:
    with pytest.raises(InputError, match=r"images.per_class: expected at most 150"):
        plan(mini_grid().replace("per_class = 10", "per_class = 151"))


def test_the_cap_on_tests() -> None:
    with pytest.raises(InputError, match="--max-tests"):
        build_plan(parse_grid(mini_grid(), "grid", CATALOGUE), CATALOGUE, max_tests=10)
