"""What each attack of torchattacks 3.5.1 is: its norm, its strength, its parameters, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from dumb_bench.attacks.base import L2_MAXIMUM, Norm, Uses
from dumb_bench.attacks.torchattacks_call import Gradient


class Step(NamedTuple):
    """A parameter that must follow the strength, so that the budget can be reached: None in a grid means this size.

    name: the parameter. steps: the parameter that counts the steps, empty for one step. size: (eps, steps) -> size.
    """

    name: str
    steps: str
    size: Callable[[float, int], float]


EVEN = Step("alpha", "steps", lambda eps, steps: eps / steps)
"""eps / steps, of the methods that start at the image: the budget is reached exactly when the signs agree."""

CROSSING = Step("alpha", "steps", lambda eps, steps: min(eps, 2.5 * eps / steps))
"""2.5 eps / steps, of the methods that start at random: the whole ball can be crossed. torchattacks' own ratio."""


class Row(NamedTuple):
    """One attack: the fields of `AttackInfo` that differ, and how it is called.

    summary: what it is, and what a user must know of it. whole: the strength is a whole number. step: see `Step`.
    gradient: see `Gradient`. truth: its targeted mode looks at the labels too. single: it is called image by image, as
    it works by itself, so that an image's random numbers do not hang on its batch mates. seed, classes: its constructor
    wants a seed, the number of classes. next_class: untargeted, it aims at the next class (the library's own choice is
    modulo 10, and crashes for fewer classes). clamp: its output leaves [0, 1] a little. types: parameters whose type
    differs from `TYPES`. refused: parameters that cannot be set, with the reason.
    """

    summary: str
    paper: str = ""
    strength: str | None = "eps"
    norm: Norm | None = "linf"
    unit: str = "[0, 1] pixel"
    minimum: float = 0.0
    maximum: float = 1.0
    whole: bool = False
    targeted: bool = True
    min_classes: int = 2
    min_channels: int = 1
    uses: Uses = "model"
    stochastic: bool = False
    reaches_budget: bool = False
    batch_independent: bool = True
    identity_at_0: bool | None = None
    step: Step | None = None
    gradient: Gradient = "image"
    truth: bool = False
    single: bool = False
    seed: bool = False
    classes: bool = False
    next_class: bool = False
    clamp: bool = False
    types: Mapping[str, Any] = MappingProxyType({})
    refused: Mapping[str, str] = MappingProxyType({})


Count = Annotated[int, Field(ge=1, le=1_000_000)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
SomeShare = Annotated[float, Field(gt=0, le=1)]
Fewer = Annotated[float, Field(ge=0.1, lt=1)]
Classes = Annotated[int, Field(ge=2)]
AtLeast10 = Annotated[int, Field(ge=10, le=1_000_000)]
NoiseType = Literal["guassian", "uniform"]
PixelMapping = Literal["random", "similarity", "similarity_random", "distance", "distance_random"]


def _odd(value: Any) -> Any:
    if isinstance(value, int) and value % 2 == 0:
        raise PydanticCustomError("odd", "expected an odd number of pixels: an even kernel has no centre")
    return value


def _lengths(value: Any) -> Any:
    pair = value if isinstance(value, tuple) else ()
    whole = all(type(entry) is int and entry >= 1 for entry in pair)
    parts = all(type(entry) is float and 0 <= entry <= 1 for entry in pair)
    if len(pair) == 2 and (whole or parts) and pair[0] <= pair[1]:
        return pair
    raise PydanticCustomError("lengths", "expected a least and a largest length, in pixels or as fractions of the side")


Lengths = Annotated[Any, BeforeValidator(_lengths)]


def without(value: str, reason: str) -> BeforeValidator:
    """Return a check that refuses one value, in any case of its letters, with a reason."""

    def check(given: Any) -> Any:
        if isinstance(given, str) and given.lower() == value:
            raise PydanticCustomError("refused", "{reason}", {"reason": reason})
        return given

    return BeforeValidator(check)


TYPES: dict[str, Any] = {
    "abort_early": bool, "alpha_max": SomeShare, "amplification": Positive,
    "batch_max": Annotated[int, Field(ge=256)], "beta": NonNegative,
    "binary_search_steps": Annotated[int, Field(ge=1, le=100)],
    "decay": NonNegative, "delta": Positive, "diversity_prob": Share, "eot_iter": Count, "eps_for_division": Positive,
    "eta": Positive, "inf_batch": Count, "initial_const": Positive, "kappa": NonNegative,
    "kernel_name": Literal["gaussian", "linear", "uniform"], "lam": Positive,
    "len_kernel": Annotated[int, BeforeValidator(_odd), Field(ge=1, le=99)], "loss": Literal["ce", "dlr"],
    "lr": Positive,
    "m": Annotated[int, Field(ge=1, le=30)], "max_batch_size": Count, "max_iterations": Count, "multi_targeted": bool,
    "N": Count, "n_classes": Classes, "n_queries": Count, "n_restarts": Count, "nb_iter": Count, "nb_sample": Count,
    "noise_batch_size": Annotated[int, Field(ge=1, le=256)], "noise_sd": NonNegative, "noise_type": NoiseType,
    "norm": Literal["linf", "l2"], "nsig": Positive, "num_iter_set": Count, "p_init": SomeShare,
    "pixel_mapping": PixelMapping, "popsize": Count, "project_factor": NonNegative, "random_start": bool,
    "resc_schedule": bool, "resize_rate": Fewer, "rho": Share, "scale": Positive, "std": NonNegative, "steps": Count,
    "theta": Annotated[float, Field(ge=-1, le=1)], "update_each_iteration": bool,
    "version": Literal["standard", "plus", "rand"], "x_dimensions": Lengths, "y_dimensions": Lengths,
}  # fmt: skip
"""Parameter -> its type, wherever it occurs; an attack's own `types` go before."""

_UNUSED = MappingProxyType(dict.fromkeys(("momentum", "prob"), "unused: the attack never reads it"))
_EAD_KAPPA = MappingProxyType({
    "kappa": "refused: in a batch torchattacks adds it to the classes of the batch mates as well",
})  # fmt: skip
_EAD = "; it measures from an image that its own first step moves, by lr * initial_const * gradient"
_CLEAN = "; an image that does not fool the surrogate comes back clean"

ROWS: dict[str, Row] = {
    "VANILA": Row("VANILA: the image itself.", strength=None, norm=None, targeted=False, uses="nothing"),
    "GN": Row(
        "GN: Gaussian noise of a standard deviation.", strength="std", norm=None, targeted=False, uses="nothing",
        stochastic=True, identity_at_0=True,
    ),
    "FGSM": Row("FGSM (Goodfellow et al., ICLR 2015).", "arXiv:1412.6572", reaches_budget=True),
    "BIM": Row("BIM: iterative FGSM (Kurakin et al., ICLR workshop 2017).", "arXiv:1607.02533", step=EVEN),
    "RFGSM": Row(
        "R+FGSM, iterated (Tramer et al., ICLR 2018); the random start is alpha along random signs.",
        "arXiv:1705.07204", stochastic=True,
        step=Step("alpha", "steps", lambda eps, steps: min(eps / 2, 2.5 * eps / steps)),
    ),
    "PGD": Row("PGD (Madry et al., ICLR 2018).", "arXiv:1706.06083", stochastic=True, step=CROSSING),
    "EOTPGD": Row(
        "PGD on gradients averaged over draws of a stochastic surrogate (Zimmermann, 2019).", "arXiv:1907.00895",
        stochastic=True, step=CROSSING, gradient="shared",
    ),
    "FFGSM": Row(
        "FFGSM: one step of 1.25 eps from a random start (Wong et al., ICLR 2020).", "arXiv:2001.03994",
        stochastic=True, step=Step("alpha", "", lambda eps, steps: 1.25 * eps),
    ),
    "TPGD": Row(
        "PGD away from the clean image's own prediction, labels unseen (TRADES; Zhang et al., ICML 2019).",
        "arXiv:1901.08573", targeted=False, stochastic=True, step=CROSSING,
    ),
    "MIFGSM": Row("MI-FGSM (Dong et al., CVPR 2018).", "arXiv:1710.06081", step=EVEN),
    "UPGD": Row(
        "UPGD: torchattacks' PGD with a choice of loss, start, momentum and draws.", step=EVEN, gradient="shared",
        truth=True, types={"loss": Annotated[Literal["ce", "dlr"], without(
            "margin", "'margin' crashes on a GPU in torchattacks, whose loss mixes devices; choose 'ce' or 'dlr'",
        )]},
    ),
    "APGD": Row(
        f"Auto-PGD (Croce, Hein; ICML 2020){_CLEAN}.", "arXiv:2003.01690", targeted=False, stochastic=True,
        batch_independent=False, gradient="shared", seed=True,
    ),
    "APGDT": Row(
        f"Auto-PGD towards each of the likeliest wrong classes (Croce, Hein; ICML 2020){_CLEAN}.", "arXiv:2003.01690",
        targeted=False, min_classes=4, stochastic=True, batch_independent=False, gradient="shared", seed=True,
        classes=True,
    ),
    "DIFGSM": Row("DI-FGSM (Xie et al., CVPR 2019).", "arXiv:1803.06978", stochastic=True, step=EVEN),
    "TIFGSM": Row(
        "TI-FGSM with input diversity (Dong et al., CVPR 2019); len_kernel 15 is too wide below 64 pixels.",
        "arXiv:1904.02884", min_channels=3, stochastic=True, step=EVEN,
    ),
    "Jitter": Row(
        "Jitter (Schwinn et al., 2021).", "arXiv:2105.10304", stochastic=True, step=CROSSING, gradient="plain",
        truth=True,
    ),
    "NIFGSM": Row("NI-FGSM (Lin et al., ICLR 2020).", "arXiv:1908.06281", step=EVEN),
    "PGDRS": Row(
        "PGD on a randomly smoothed surrogate (Salman et al., NeurIPS 2019); noise_type in the library's spelling.",
        "arXiv:1906.04584", stochastic=True, step=CROSSING, gradient="shared",
    ),
    "SINIFGSM": Row("SI-NI-FGSM (Lin et al., ICLR 2020).", "arXiv:1908.06281", step=EVEN, gradient="shared"),
    "VMIFGSM": Row(
        "VMI-FGSM (Wang, He; CVPR 2021).", "arXiv:2103.15571", stochastic=True, step=EVEN, gradient="shared"
    ),
    "VNIFGSM": Row(
        "VNI-FGSM (Wang, He; CVPR 2021).", "arXiv:2103.15571", stochastic=True, step=EVEN, gradient="shared"
    ),
    "SPSA": Row(
        "SPSA: Adam along gradients estimated from queries (Uesato et al., ICML 2018).", "arXiv:1802.05666",
        stochastic=True, gradient="plain", step=Step("lr", "nb_iter", CROSSING.size),
    ),
    "JSMA": Row(
        "JSMA: saturates the most salient pairs of pixel values (Papernot et al., EuroS&P 2016); untargeted it aims at "
        "the next class.", "arXiv:1511.07528", strength="gamma", norm=None, unit="fraction of the pixel values",
        identity_at_0=True, gradient="plain", single=True, next_class=True,
    ),
    "EADL1": Row(
        f"EAD, L1 decision rule (Chen et al., AAAI 2018){_EAD}.", "arXiv:1709.04114", strength=None, norm=None,
        batch_independent=False, gradient="plain", clamp=True, types={"max_iterations": AtLeast10}, refused=_EAD_KAPPA,
    ),
    "EADEN": Row(
        f"EAD, elastic-net decision rule (Chen et al., AAAI 2018){_EAD}.", "arXiv:1709.04114", strength=None, norm=None,
        batch_independent=False, gradient="plain", clamp=True, types={"max_iterations": AtLeast10}, refused=_EAD_KAPPA,
    ),
    "PIFGSM": Row(
        "PI-FGSM: patch-wise (Gao et al., ECCV 2020).", "arXiv:2007.06765", strength="max_epsilon", targeted=False,
        min_channels=3, refused=_UNUSED,
    ),
    "PIFGSMPP": Row(
        "PI-FGSM++: patch-wise, targeted (Gao et al., 2020).", "arXiv:2012.15503", strength="max_epsilon",
        min_channels=3, refused=_UNUSED,
    ),
    "CW": Row(
        f"C&W L2 with a fixed c (Carlini, Wagner; S&P 2017); pixels at exactly 0 or 1 never move, logits below 0 count "
        f"as 0{_CLEAN}.", "arXiv:1608.04644", strength="c", norm=None,
        unit="weight of the loss", maximum=1e6, batch_independent=False, gradient="plain",
    ),
    "PGDL2": Row(
        "PGD in L2 (Madry et al., ICLR 2018).", "arXiv:1706.06083", norm="l2", unit="L2 length", maximum=L2_MAXIMUM,
        stochastic=True, step=CROSSING,
    ),
    "PGDRSL2": Row(
        "PGD in L2 on a randomly smoothed surrogate (Salman et al., NeurIPS 2019); noise_type in the library's "
        "spelling.", "arXiv:1906.04584", norm="l2", unit="L2 length", maximum=L2_MAXIMUM, stochastic=True,
        step=CROSSING, gradient="shared",
    ),
    "DeepFool": Row(
        "DeepFool (Moosavi-Dezfooli et al., CVPR 2016): no budget, overshoot lengthens each step.", "arXiv:1511.04599",
        strength="overshoot", norm=None, unit="fraction of the step", maximum=1_000, targeted=False, gradient="plain",
        single=True,
    ),
    "SparseFool": Row(
        "SparseFool (Modas et al., CVPR 2019): no budget, overshoot lengthens the last step.", "arXiv:1811.02248",
        strength="overshoot", norm=None, unit="fraction of the step", maximum=1_000, targeted=False, gradient="plain",
        single=True,
    ),
    "OnePixel": Row(
        "One-pixel attack by differential evolution (Su et al., 2019).", "arXiv:1710.08864", strength="pixels",
        norm=None, unit="pixels", minimum=1, maximum=1_000, whole=True, stochastic=True, gradient="plain", single=True,
    ),
    "Pixle": Row(
        "Pixle: rearranged pixels (Pomponi et al., IJCNN 2022); stops at the first success.", "arXiv:2202.02236",
        strength="restarts", norm=None, unit="restarts", maximum=10_000, whole=True, stochastic=True,
        identity_at_0=True, gradient="plain", single=True,
    ),
    "FAB": Row(
        f"FAB: the nearest boundary, kept where it lies within eps (Croce, Hein; ICML 2020){_CLEAN}.",
        "arXiv:1907.02044", targeted=False, batch_independent=False, gradient="plain", seed=True, classes=True,
        types={"norm": Annotated[Literal["linf", "l2"], without(
            "l1", "the L1 norm crashes in torchattacks, whose FAB measures no L1 distance; choose 'linf' or 'l2'",
        )]},
    ),
    "AutoAttack": Row(
        f"AutoAttack: APGD, APGDT, FAB and Square one after the other (Croce, Hein; ICML 2020){_CLEAN}.",
        "arXiv:2003.01690", targeted=False, min_classes=4, stochastic=True, batch_independent=False, gradient="plain",
        seed=True, classes=True,
    ),
    "Square": Row(
        f"Square Attack: random search (Andriushchenko et al., ECCV 2020){_CLEAN}.", "arXiv:1912.00049",
        stochastic=True, batch_independent=False, gradient="plain", seed=True,
        types={"loss": Literal["margin", "ce"]},
    ),
}  # fmt: skip

REFUSED: dict[str, str] = {
    "LGV": "it trains the surrogate further on training data, which an attack does not get; choose a surrogate with "
    "several weight samples (a posterior) and an attack such as torchattacks.BIM",
    "MultiAttack": "it runs a list of attack objects, which a grid cannot name; give each attack an entry of its own",
}
"""Names that are no attack on a given surrogate, each with the reason."""
