"""The attacks of the studies are this package's, with its parameters."""

import inspect

import pytest

from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.published.attacks import DUMB, gradient_attack
from dumb_bench.spec import to_json

CATALOGUE = Catalogue()
SWITCHES = {"norm": "l2", "steps": 50, "step": 0.1, "decay": None, "restarts": 0, "diverse": False, "translated": False}


@pytest.mark.parametrize("name", DUMB)
def test_an_attack_of_dumb_is_the_plugin_with_its_published_form(name):
    known, entry = DUMB[name], CATALOGUE.get("attacks", DUMB[name].name)
    published = {"reference": True} if "reference" in inspect.signature(entry.call).parameters else {}
    assert to_json(known.params) == to_json(all_params(entry, published))
    assert (known.norm, known.unit or "") == (entry.info.norm, entry.info.unit)
    assert known.free == (entry.info.uses == "nothing")


def test_the_published_side_of_the_box_is_a_share_of_the_image():
    info = CATALOGUE.get("attacks", "random_black_box").info
    assert [side * DUMB["RandomBlackBox"].factor for side in range(10, 201, 10)] == pytest.approx(
        info.default_strengths
    )


@pytest.mark.parametrize(
    ("switches", "name", "given"),
    [
        ({}, "bim", {"norm": "l2", "steps": 50, "relative_step": 0.1}),
        ({"steps": 1, "step": 1.0}, "fgsm", {"norm": "l2"}),
        ({"decay": 0.9}, "mifgsm", {"norm": "l2", "steps": 50, "relative_step": 0.1, "decay": 0.9}),
        ({"restarts": 5}, "pgd", {"norm": "l2", "steps": 50, "relative_step": 0.1, "restarts": 5}),
        ({"diverse": True}, "difgsm", {"norm": "l2", "steps": 50, "relative_step": 0.1}),
        ({"translated": True}, "tifgsm",
         {"norm": "l2", "steps": 50, "relative_step": 0.1, "diversity_prob": 0.0}),
    ],
)  # fmt: skip
def test_switches_name_the_plugin_and_its_parameters(switches, name, given):
    known = gradient_attack(**{**SWITCHES, **switches})
    assert (known.name, known.norm) == (name, "l2")
    assert to_json(known.params) == to_json(all_params(CATALOGUE.get("attacks", name), given))
