"""The package foolbox (Rauber, Zimmermann, Bethge, Brendel; JOSS 2020) as the family `foolbox.<Name>`.

Attacks have foolbox's class names, parameters and defaults; its aliases (`PGD`, `FGSM`, ...) are not names here. The
strength is foolbox's epsilon. An attack that looks for the smallest perturbation is run once, and the perturbation is
clipped to each strength as foolbox does it. `norm` chooses the distance of an attack that foolbox lets choose it. An
image for which a decision attack finds no starting point stays as it is. Noise that asks no network is made once.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from torch import Tensor

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.foreign import Bridge, Foreign, Library, quiet
from dumb_bench.attacks.foreign_rows import L1, L2, LINF, NONE, Row
from dumb_bench.errors import InputError

LIBRARY = "foolbox"

_STEPPING = Row(gradient="image", targets="maybe")
_RANDOM = Row(gradient="image", targets="maybe", stochastic=True)

_NOISE = Row(budget=L2, uses="nothing", stochastic=True)
_TRIED_NOISE = Row(budget=L2, stochastic=True)
_SMALLEST = Row(budget=L2, minimal=True)
_AIMED = Row(budget=L2, minimal=True, targets="maybe")
_SEARCH = Row(budget=L2, minimal=True, norms=True)
_WALK = Row(budget=L2, minimal=True, stochastic=True, batch_independent=False)
_REFINED = _WALK._replace(needs="numba")

ROWS: Mapping[str, Row] = {
    "BinarySearchContrastReductionAttack": _SEARCH,
    "BoundaryAttack": _WALK,
    "DDNAttack": _AIMED._replace(gradient="image"),
    "EADAttack": _AIMED._replace(budget=L1),
    "GaussianBlurAttack": _SEARCH,
    "GenAttack": Row(targets="only", stochastic=True),
    "HopSkipJumpAttack": _WALK._replace(norms=True, hidden=frozenset({"constraint"})),
    "InversionAttack": _SEARCH._replace(uses="nothing"),
    "L0BrendelBethgeAttack": _REFINED._replace(budget=NONE, minimal=False),
    "L0FMNAttack": Row(budget=NONE, targets="maybe"),
    "L1AdamBasicIterativeAttack": _STEPPING._replace(budget=L1),
    "L1AdamProjectedGradientDescentAttack": _RANDOM._replace(budget=L1),
    "L1BasicIterativeAttack": _STEPPING._replace(budget=L1),
    "L1BrendelBethgeAttack": _REFINED._replace(budget=L1),
    "L1FMNAttack": _AIMED._replace(budget=L1),
    "L1FastGradientAttack": Row(budget=L1, gradient="image"),
    "L1MomentumIterativeFastGradientMethod": _STEPPING._replace(budget=L1),
    "L1ProjectedGradientDescentAttack": _RANDOM._replace(budget=L1),
    "L2AdamBasicIterativeAttack": _STEPPING._replace(budget=L2),
    "L2AdamProjectedGradientDescentAttack": _RANDOM._replace(budget=L2),
    "L2AdditiveGaussianNoiseAttack": _NOISE,
    "L2AdditiveUniformNoiseAttack": _NOISE,
    "L2BasicIterativeAttack": _STEPPING._replace(budget=L2),
    "L2BrendelBethgeAttack": _REFINED,
    "L2CarliniWagnerAttack": _AIMED,
    "L2ClippingAwareAdditiveGaussianNoiseAttack": _NOISE,
    "L2ClippingAwareAdditiveUniformNoiseAttack": _NOISE,
    "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack": _TRIED_NOISE,
    "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack": _TRIED_NOISE,
    "L2ContrastReductionAttack": Row(budget=L2, uses="nothing"),
    "L2DeepFoolAttack": _SMALLEST,
    "L2FMNAttack": _AIMED,
    "L2FastGradientAttack": Row(budget=L2, gradient="image"),
    "L2MomentumIterativeFastGradientMethod": _STEPPING._replace(budget=L2),
    "L2ProjectedGradientDescentAttack": _RANDOM._replace(budget=L2),
    "L2RepeatedAdditiveGaussianNoiseAttack": _TRIED_NOISE,
    "L2RepeatedAdditiveUniformNoiseAttack": _TRIED_NOISE,
    "LInfFMNAttack": _AIMED._replace(budget=LINF),
    "LinearSearchBlendedUniformNoiseAttack": _SEARCH._replace(stochastic=True),
    "LinearSearchContrastReductionAttack": _SEARCH,
    "LinfAdamBasicIterativeAttack": _STEPPING,
    "LinfAdamProjectedGradientDescentAttack": _RANDOM,
    "LinfAdditiveUniformNoiseAttack": _NOISE._replace(budget=LINF),
    "LinfBasicIterativeAttack": _STEPPING,
    "LinfDeepFoolAttack": _SMALLEST._replace(budget=LINF),
    "LinfFastGradientAttack": Row(gradient="image", reaches_budget=True),
    "LinfMomentumIterativeFastGradientMethod": _STEPPING,
    "LinfProjectedGradientDescentAttack": _RANDOM,
    "LinfRepeatedAdditiveUniformNoiseAttack": _TRIED_NOISE._replace(budget=LINF),
    "LinfinityBrendelBethgeAttack": _REFINED._replace(budget=LINF),
    "NewtonFoolAttack": _SMALLEST._replace(gradient="exact"),
    "PointwiseAttack": _WALK._replace(norms=True),
    "SaltAndPepperNoiseAttack": _SMALLEST._replace(stochastic=True),
    "SparseL1DescentAttack": _STEPPING._replace(budget=L1),
    "SpatialAttack": Row(budget=NONE),
    "VirtualAdversarialAttack": Row(budget=L2, gradient="image", stochastic=True, defaults={"steps": 10}),
}

REFUSED: Mapping[str, str] = {
    "BinarizationRefinementAttack": "it only refines what another attack found",
    "DatasetAttack": "it puts other images of a data set in the place of an image, which is no perturbation",
}

STARTS: Mapping[str, tuple[str, dict[str, int]]] = {
    "BoundaryAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "HopSkipJumpAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "L0BrendelBethgeAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "L1BrendelBethgeAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "L2BrendelBethgeAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "LinfinityBrendelBethgeAttack": ("LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "PointwiseAttack": ("SaltAndPepperNoiseAttack", {}),
}
"""Attack -> the one that finds its starting points, as by itself foolbox stops when a single image has none."""


class FoolboxAttack(Foreign):
    """One attack of foolbox."""

    library = LIBRARY
    left_out = frozenset({"distance", "init_attack", "tensorboard", "channel_axis"})

    def make(
        self,
        surrogate: Surrogate | None,
        images: Tensor,
        labels: Tensor,
        strength: float | None,
        targets: Tensor | None,
        options: dict[str, Any],
    ) -> Tensor:
        foolbox = importlib.import_module(LIBRARY)
        norm = options.pop("norm", None)
        if "constraint" in self.row.hidden:
            options["constraint"] = norm
        bridge = Bridge(surrogate, images, self.row.gradient)
        model = foolbox.PyTorchModel(bridge, bounds=(0, 1), device=images.device)
        criteria = foolbox.criteria
        aim = criteria.Misclassification(labels) if targets is None else criteria.TargetedMisclassification(targets)
        with quiet():
            attack = self.kind(**options)
            if type(attack).__name__ in STARTS:
                return self._from_starts(attack, model, images, labels)
            if strength is None:
                found: Tensor = attack.run(model, images.double() if bridge.exact else images, aim).to(images)
            else:
                found = attack.run(model, images, aim, epsilon=strength)
                found = attack.distance.clip_perturbation(images, found, strength)
            return bridge.unstuck(found, images)

    def _from_starts(self, attack: Any, model: Any, images: Tensor, labels: Tensor) -> Tensor:
        """Run a decision attack on the images that a start was found for."""
        foolbox = importlib.import_module(LIBRARY)
        name, options = STARTS[type(attack).__name__]
        finder = getattr(foolbox.attacks, name)(**options)
        starts: Tensor = finder.run(model, images, foolbox.criteria.Misclassification(labels))
        fooled = model(starts).argmax(1) != labels
        result = images.clone()
        if fooled.any():
            aim = foolbox.criteria.Misclassification(labels[fooled])
            result[fooled] = attack.run(model, images[fooled], aim, starting_points=starts[fooled]).to(images)
        return result


def _classes(what: str) -> Mapping[str, Any]:
    """Return foolbox's attacks; `what` begins the message when it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
            attacks = importlib.import_module(f"{LIBRARY}.attacks")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != LIBRARY:
            raise InputError(f"{what}: {LIBRARY} cannot be imported ({error})") from error
        raise InputError(
            f'{what}: {LIBRARY} is not installed; install the extra: pip install "dumb-bench[{LIBRARY}]"'
        ) from None
    found = {kind.__name__: kind for kind in vars(attacks).values() if inspect.isclass(kind)}
    return {name: kind for name, kind in found.items() if not inspect.isabstract(kind)}


FAMILY = Library(LIBRARY, _classes, lambda: f"{LIBRARY} {version(LIBRARY)}", ROWS, REFUSED, FoolboxAttack)
