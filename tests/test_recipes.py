import subprocess
import sys

import pytest

from dumb_bench.errors import InputError
from dumb_bench.recipes import RECIPES, recipe_of, resolve_recipe
from dumb_bench.spec import Plugin


def test_recipes_need_no_torch():
    code = "import sys, dumb_bench.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_dumb_2023_is_as_published():
    recipe = RECIPES["dumb_2023"]
    published = {"optimiser": "sgd", "lr": 0.001, "momentum": 0.9, "batch": 128, "epochs": 500, "patience": 25}
    assert recipe.model_dump() == {
        **published,
        "min_delta": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "decay": 0.1,
        "decay_epochs": 75,
        "noise": 0.0,
        "augment": "none",
        "trainable": "all",
        "precision": "fp32",
        "channels_last": False,
        "fused": False,
    }


def test_overrides_that_change_nothing_are_left_out():
    named = RECIPES["small"]
    assert resolve_recipe("small", {"lr": named.lr, "batch": named.batch}) == Plugin("small")
    assert resolve_recipe("small", {"noise": 0, "epochs": 3}) == Plugin("small", (("epochs", 3), ("noise", 0.0)))


def test_a_spec_gives_its_recipe_back():
    plugin = resolve_recipe("small", {"schedule": "constant", "momentum": 0.5})
    recipe = recipe_of(plugin)
    assert (recipe.schedule, recipe.momentum, recipe.lr) == ("constant", 0.5, RECIPES["small"].lr)
    assert recipe_of(Plugin("small")) == RECIPES["small"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"learning_rate": 1}, "recipe 'small': unknown parameter 'learning_rate'"),
        ({"epoch": 1}, "Did you mean 'epochs'"),
        ({"lr": -1}, "parameter 'lr': input should be greater than 0, got -1"),
        ({"lr": float("nan")}, "parameter 'lr': .*, got nan"),
        ({"epochs": 0}, "parameter 'epochs': input should be greater than or equal to 1, got 0"),
        ({"epochs": 2.5}, "parameter 'epochs': .* got 2.5"),
        ({"epochs": True}, "parameter 'epochs': .* got True"),
        ({"noise": 1.5}, "parameter 'noise': input should be less than or equal to 1, got 1.5"),
        ({"optimiser": "sdg"}, "parameter 'optimiser': input should be 'sgd' or 'adam', got 'sdg'"),
    ],
)
def test_bad_overrides_are_one_clear_line(overrides, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        resolve_recipe("small", overrides)
    assert "\n" not in str(caught.value)


def test_unknown_recipes_are_refused():
    for call in (lambda: resolve_recipe("smal", {}), lambda: recipe_of(Plugin("smal"))):
        with pytest.raises(InputError, match=r"unknown recipe 'smal'. Did you mean 'small'"):
            call()
