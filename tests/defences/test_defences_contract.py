"""What every defence must keep, and how several are one."""

import pytest
import torch

from dumb_bench.catalogue import Catalogue
from dumb_bench.conformance.network import SmallNetwork, random_images
from dumb_bench.defences.base import Course
from dumb_bench.defences.composition import about, defence_of, parents_of, resolve_defence, trained_as
from dumb_bench.errors import InputError
from dumb_bench.spec import NONE, ModelSpec, Plugin

CATALOGUE = Catalogue()
NAMES = CATALOGUE.names("defences")
SPEC = ModelSpec("digits", Plugin("optdigits"), Plugin("small_vgg"), "50/50", Plugin("small"), 7)
JOINED = ("pgd_at+jpeg", "bit_depth+median_blur", "noise_training+randomized_smoothing")


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SmallNetwork(3, 3)


def defence(name, **params):
    return defence_of(resolve_defence(name, params, CATALOGUE), CATALOGUE)


@pytest.mark.parametrize("name", [*NAMES, *JOINED])
def test_a_deployed_network_keeps_the_contract(name):
    images, _ = random_images(3, 3)
    bare = network().eval().requires_grad_(False)
    weights = [value.clone() for value in bare.state_dict().values()]
    deployed = defence(name).wrap(bare).eval()
    torch.manual_seed(0)
    point = images.clone().requires_grad_()
    logits = deployed(point)
    assert logits.shape == (len(images), 3) and logits.dtype == torch.float32 and bool(logits.isfinite().all())
    logits[:, 0].sum().backward()
    assert bool(point.grad.isfinite().all()) and float(point.grad.abs().max()) > 0
    torch.manual_seed(0)
    with torch.inference_mode():
        assert torch.equal(deployed(images), logits)
        stochastic = about(Plugin(name), CATALOGUE).stochastic
        others = [deployed(images) for _ in range(3)]
        assert any(not torch.equal(each, logits) for each in others) == stochastic
        if not stochastic:
            torch.testing.assert_close(deployed(images[:2]), logits[:2], rtol=1e-4, atol=1e-5)
    assert all(torch.equal(*pair) for pair in zip(bare.state_dict().values(), weights, strict=True))


@pytest.mark.parametrize("name", [*NAMES, *JOINED])
def test_a_loss_depends_on_the_generator_given_alone(name):
    images, labels = random_images(3, 3)
    parents = (network(1).eval().requires_grad_(False),)
    losses = []
    for seed in (0, 0, 1):
        model = network()
        torch.manual_seed(0)  # of dropout
        generator = torch.Generator().manual_seed(seed)
        losses.append(defence(name).loss(model, images, labels, generator, Course(0.9, parents)))
        assert model.training and losses[-1].shape == ()
        losses[-1].backward()
        assert all(weight.grad is not None for weight in model.parameters())
    assert torch.equal(losses[0], losses[1])
    draws = about(Plugin(name), CATALOGUE).trains and name != "ensemble_at"  # of one parent it has no choice
    assert (not torch.equal(losses[0], losses[2])) == draws


def test_an_input_defence_has_the_undefended_weights_and_a_joint_one_those_of_its_training():
    for name in ("jpeg", "resize_pad", "bit_depth+median_blur", "none"):
        assert trained_as(Plugin(name), CATALOGUE) == NONE
    spec = resolve_defence("pgd_at+jpeg", {"steps": 3, "quality": 50}, CATALOGUE)
    assert spec.label == "pgd_at+jpeg(quality=50, steps=3)"
    assert trained_as(spec, CATALOGUE) == CATALOGUE.resolve("defences", "pgd_at", {"steps": 3})
    alone = resolve_defence("pgd_at", {"steps": 3}, CATALOGUE)
    assert trained_as(alone, CATALOGUE) == alone


def test_members_are_passed_from_left_to_right_and_share_parameters_by_name():
    image = torch.linspace(0, 1, 27).view(1, 1, 27, 1).expand(1, 3, 27, 27)
    seen = []
    body = torch.nn.Flatten()
    body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    defence("bit_depth+median_blur", bits=1).wrap(body)(image)
    defence("bit_depth", bits=1).wrap(body)(image)
    defence("median_blur").wrap(body)(seen[1])
    assert torch.equal(seen[0], seen[2])
    joint = resolve_defence("noise_training+randomized_smoothing", {"sigma": 0.5}, CATALOGUE)
    assert defence_of(joint, CATALOGUE).trained.sigma == 0.5
    assert defence_of(joint, CATALOGUE).wrap(network()).sigma == 0.5


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("pgd_at+trades", {}, "pgd_at and trades both train"),
        ("jpeg+jpeg", {}, "different defences"),
        ("none+jpeg", {}, "none of them 'none'"),
        ("pgd_at+jpeg", {"qality": 3}, "unknown parameter 'qality'"),
        ("pgd_at+jpeg", {"quality": 0}, "'jpeg': parameter 'quality'"),
        ("median_blur", {"window": 4}, "odd number"),
        ("pgd_at", {"eps": 8}, "'eps'"),
        ("jepg", {}, "jpeg"),
    ],
)
def test_what_does_not_go_together_is_refused(name, params, message):
    with pytest.raises(InputError, match=message):
        resolve_defence(name, params, CATALOGUE)


def test_costs_are_known_before():
    def passes(name, **params):
        found = about(resolve_defence(name, params, CATALOGUE), CATALOGUE)
        return found.training_passes({}), found.passes({})

    assert passes("none") == passes("jpeg") == passes("noise_training") == (1, 1)
    assert passes("pgd_at") == (8, 1) and passes("pgd_at+jpeg", steps=2) == (3, 1)
    assert passes("fgsm_at") == (2, 1) and passes("trades") == (12, 1) and passes("ensemble_at") == (3, 1)
    assert passes("randomized_smoothing+jpeg", votes=5) == (1, 5)


def test_parents_are_resolved_or_refused_by_name():
    def parents(*names):
        defended = CATALOGUE.resolve("defences", "ensemble_at", {"architectures": list(names), "members": 1})
        return parents_of(ModelSpec(**{**vars(SPEC), "defence": defended}), CATALOGUE)

    assert parents("small_resnet")[0].architecture == CATALOGUE.resolve("architectures", "small_resnet", {})
    with pytest.raises(InputError, match=r"defence 'ensemble_at'.*small_resnet"):
        parents("smal_resnet")
