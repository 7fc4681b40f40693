"""The Adversarial Robustness Toolbox (Nicolae et al., 2018; arXiv:1807.01069) as the family `art.<Name>`.

Attacks have ART's class names, parameters and defaults, with these exceptions. The strength is ART's `eps` where it has
one; an attack that looks for the smallest perturbation is run once, and the perturbation is moved into each budget.
`eps_step` follows the strength unless it is given: strength / max_iter for iterative methods, twice the strength where
a step size starts there and is halved (Croce and Hein, ICML 2020), a tenth where it is a search's. `norm` is `linf` or
`l2`. Attacks that work image by image are called so, with random numbers that do not hang on batch mates;
SpatialTransformation, which picks one transformation for a batch, picks one of five rotations for each image. ZooAttack
runs 100 iterations, as ART's 10 find nothing, and untargeted, as so few seldom reach a target. NewtonFool, SimBA and
VirtualAdversarialMethod see probabilities. The Auto attacks change only images that they make the surrogate get wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.attacks.art_refused import REFUSED
from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.foreign import Bridge, Foreign, Library, quiet
from dumb_bench.attacks.foreign_rows import L1, L2, LINF, NONE, Budget, Row, per_step, share
from dumb_bench.errors import InputError

LIBRARY = "art"
DISTRIBUTION = "adversarial-robustness-toolbox"

_ITERATED = {"eps_step": per_step("max_iter")}
_HALVED = {"eps_step": share(2.0)}
_LOSS = {"loss_type": Literal["cross_entropy", "difference_logits_ratio"] | None}

_SIGNED = Row(norms=True, targets="maybe", gradient="image", follows=_ITERATED)
_AUTO = Row(
    norms=True, targets="maybe", stochastic=True, batch_independent=False, gradient="shared", follows=_HALVED,
    types=_LOSS,
)  # fmt: skip
_SMALLEST = Row(budget=L2, minimal=True, single=True)
_AIMED = _SMALLEST._replace(targets="maybe")
_WALK = _SMALLEST._replace(stochastic=True)
_EVOLVED = Row(targets="maybe", stochastic=True, single=True, min_classes=3, hidden=frozenset({"th", "es"}))
_SHARED = Row(norms=True, stochastic=True, batch_independent=False)

ROWS: Mapping[str, Row] = {
    "AutoAttack": Row(
        norms=True, stochastic=True, batch_independent=False, gradient="shared", follows=_HALVED,
        needs="multiprocess", min_classes=3,
        hidden=frozenset({"parallel_pool_size"}),
    ),
    "AutoConjugateGradient": _AUTO,
    "AutoProjectedGradientDescent": _AUTO,
    "BasicIterativeMethod": _SIGNED._replace(norms=False),
    "BoundaryAttack": _WALK,
    "BrendelBethgeAttack": _WALK._replace(needs="numba", norms=True),
    "CarliniL0Method": Row(budget=NONE, targets="maybe", single=True),
    "CarliniL2Method": _AIMED,
    "CarliniLInfMethod": _AIMED._replace(budget=LINF),
    "CompositeAdversarialAttackPyTorch": Row(
        budget=Budget(None, "eps", "[0, 1] pixel of its PGD part", 8 / 255), stochastic=True, single=True,
        min_channels=3, needs="kornia", hidden=frozenset({"pgd_epsilon"}),
    ),
    "DeepFool": _SMALLEST,
    "ElasticNet": _AIMED._replace(budget=L1, types={"decision_rule": Literal["EN", "L1", "L2"]}),
    "FastGradientMethod": _SIGNED._replace(follows={"eps_step": share(0.1)}),
    "HopSkipJump": _WALK._replace(norms=True),
    "MomentumIterativeMethod": _SIGNED,
    "NewtonFool": _SMALLEST._replace(gradient="exact", probabilities=True),
    "PixelAttack": _EVOLVED._replace(budget=Budget(None, "pixels", "pixels changed", 5, 1, 10_000)),
    "ProjectedGradientDescent": _SIGNED,
    "ProjectedGradientDescentNumpy": _SIGNED,
    "ProjectedGradientDescentPyTorch": _SIGNED,
    "RescalingAutoConjugateGradient": _AUTO,
    "SaliencyMapMethod": Row(
        budget=Budget(None, "gamma", "share of the values changed", 0.1), targets="maybe", stochastic=True, single=True,
    ),
    "ShadowAttack": Row(
        budget=NONE, targets="maybe", stochastic=True, single=True,
        types={"batch_size": Annotated[int, Field(ge=1)]},
    ),
    "SignOPTAttack": _WALK._replace(min_classes=3, hidden=frozenset({"eval_perform"})),
    "SimBA": _WALK._replace(
        targets="maybe", probabilities=True,
        types={"attack": Literal["dct", "px"], "order": Literal["random", "diag"]},
    ),
    "SpatialTransformation": Row(
        budget=Budget(None, "max_rotation", "degree", 30.0, 0.0, 180.0), single=True,
        defaults={"num_rotations": 5, "num_translations": 5},
    ),
    "SquareAttack": _SHARED,
    "TargetedUniversalPerturbation": _SHARED._replace(targets="only", types={"attacker": Literal["fgsm"]}),
    "UniversalPerturbation": _SHARED._replace(types={
        "attacker": Literal["bim", "carlini", "carlini_inf", "deepfool", "ead", "fgsm", "jsma", "newtonfool", "pgd"],
    }),
    "VirtualAdversarialMethod": Row(budget=L2, stochastic=True, single=True, probabilities=True),
    "ZooAttack": _WALK._replace(defaults={"max_iter": 100}),
}  # fmt: skip

FIXED: Mapping[str, Mapping[str, Any]] = {
    "AutoAttack": {"parallel_pool_size": 0},
    "PixelAttack": {"es": 1},
    "SignOPTAttack": {"eval_perform": False},
}
"""Arguments that a grid cannot set and that are not the library's default."""

UNAIMED = frozenset({"SaliencyMapMethod", "ShadowAttack"})
"""Attacks that take the labels they are given for targets: untargeted they get none."""


class ArtAttack(Foreign):
    """One attack of ART."""

    library = LIBRARY
    left_out = frozenset({
        "attacker_params", "attacks", "batch_size", "classifier", "eps", "estimator", "estimator_orig", "mask",
        "max_rotation", "gamma", "summary_writer", "targeted", "verbose", "verbose_es",
    })  # fmt: skip

    def make(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        targets: Tensor | None,
        options: dict[str, Any],
    ) -> Tensor:
        assert surrogate is not None
        if options.get("loss_type") == "difference_logits_ratio" and surrogate.num_classes < 3:
            raise InputError(
                f"attack {self.name!r}: parameter 'loss_type': the ratio compares 3 classes, "
                f"the surrogate has {surrogate.num_classes}"
            )
        classification = importlib.import_module("art.estimators.classification")
        arguments = self._arguments(len(images), strength, targets is not None, options)
        bridge = Bridge(surrogate, images, self.row.gradient, self.row.probabilities)
        chosen = torch.eye(surrogate.num_classes)[(labels if targets is None else targets).cpu()].numpy()
        cuda = images.device.type == "cuda"
        with quiet(), seeded_states(), torch.cuda.device(images.device) if cuda else contextlib.nullcontext():
            classifier = classification.PyTorchClassifier(
                bridge, nn.CrossEntropyLoss(), tuple(images.shape[1:]), surrogate.num_classes,
                clip_values=(0.0, 1.0), preprocessing=None, device_type="gpu" if cuda else "cpu",
            )  # fmt: skip
            given = None if targets is None and self.kind.__name__ in UNAIMED else chosen
            found = self.kind(classifier, **arguments).generate(images.cpu().numpy(), y=given)
        return bridge.unstuck(torch.as_tensor(np.asarray(found), device=images.device), images)

    def _arguments(self, count: int, strength: float | None, aimed: bool, options: dict[str, Any]) -> dict[str, Any]:
        """Return the constructor's arguments."""
        name = self.kind.__name__
        wanted = inspect.signature(self.kind.__init__).parameters  # type: ignore[misc]
        arguments = {**options, **FIXED.get(name, {})}
        if self.row.norms:
            arguments["norm"] = np.inf if options["norm"] == "linf" else 2
        if strength is not None:
            if "eps" in wanted:
                arguments["eps"] = strength
            elif name == "PixelAttack":
                arguments["th"] = self._whole(strength)
            elif name == "CompositeAdversarialAttackPyTorch":
                arguments["pgd_epsilon"] = (-strength, strength)
            else:
                arguments[str(self.row.budget.name)] = strength
        for key, value in {"batch_size": count, "targeted": aimed, "verbose": False}.items():
            if key in wanted and key not in options:
                arguments[key] = value
        if "attacker_params" in wanted:
            inner = self._of_attacker(options["attacker"], strength, arguments["norm"])
            arguments["attacker_params"] = {**inner, "targeted": True} if aimed else inner
        return arguments

    def _whole(self, strength: float) -> int:
        if strength != int(strength):
            raise InputError(f"attack {self.name!r}: pixels: expected a whole number, got {strength:g}")
        return int(strength)

    @staticmethod
    def _of_attacker(attacker: str, strength: float | None, norm: float) -> dict[str, Any]:
        """Return the arguments of the attack that a universal perturbation is made of: its size is the strength too."""
        sizes = {"eps": strength, "eps_step": strength and strength / 10}
        return {
            "fgsm": {**sizes, "norm": norm},
            "bim": {**sizes, "verbose": False},
            "pgd": {**sizes, "norm": norm, "verbose": False},
        }.get(attacker, {"verbose": False})


@contextlib.contextmanager
def seeded_states() -> Iterator[None]:
    """Let `numpy.random.RandomState()` draw its seed from NumPy's global generator, not from the system.

    ART's decision attacks make such generators, so that no seed would reach them.
    """
    original = np.random.RandomState

    class Seeded(original):  # type: ignore[misc, valid-type]
        def __init__(self, seed: Any = None) -> None:
            super().__init__(np.random.randint(2**31) if seed is None else seed)

    np.random.RandomState = Seeded  # type: ignore[misc]
    try:
        yield
    finally:
        np.random.RandomState = original  # type: ignore[misc]


def _classes(what: str) -> Mapping[str, Any]:
    """Return ART's evasion attacks; `what` begins the message when it is not installed."""
    try:
        evasion = importlib.import_module("art.attacks.evasion")
    except ImportError as error:
        missing = error.name or ""
        if missing.partition(".")[0] != LIBRARY:
            raise InputError(f"{what}: {DISTRIBUTION} cannot be imported ({error})") from error
        raise InputError(
            f'{what}: {DISTRIBUTION} is not installed; install the extra: pip install "dumb-bench[{LIBRARY}]"'
        ) from None
    base = importlib.import_module("art.attacks.attack").EvasionAttack
    return {name: kind for name, kind in vars(evasion).items() if inspect.isclass(kind) and issubclass(kind, base)}


FAMILY = Library(LIBRARY, _classes, lambda: f"{DISTRIBUTION} {version(DISTRIBUTION)}", ROWS, REFUSED, ArtAttack)
