"""The attacks of the two studies under this package's names, with the parameters as its plugins would resolve them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Known(NamedTuple):
    """A published attack. norm: of its budget. unit: of its strength, None where it has none. free: it looks at no
    model. factor: times the published strength is the strength in the unit.
    """

    name: str
    params: dict[str, Any]
    norm: str | None = None
    unit: str | None = None
    free: bool = False
    factor: float = 1.0


_PIXEL = "[0, 1] pixel"
_LOSS = {"loss": "cross_entropy"}
_REFERENCE = {"reference": True}
_ITERATIVE = {"norm": "linf", "steps": 10, "relative_step": None, **_LOSS}
_DIVERSITY = {"random_start": False, "resize_rate": 0.9, "diversity_prob": 0.5, "inputs": []}

DUMB: dict[str, Known] = {
    "BIM": Known("bim", {**_ITERATIVE, **_REFERENCE}, "linf", _PIXEL),
    "FGSM": Known("fgsm", {"norm": "linf", **_LOSS}, "linf", _PIXEL),
    "PGD": Known(
        "pgd", {**_ITERATIVE, **_REFERENCE, "relative_step": 0.25, "random_start": True, "restarts": 1, "eot": None},
        "linf", _PIXEL,
    ),
    "RFGSM": Known("rfgsm", {"steps": 10, "relative_step": 0.25, **_LOSS, **_REFERENCE}, "linf", _PIXEL),
    "TIFGSM": Known(
        "tifgsm", {**_ITERATIVE, **_REFERENCE, **_DIVERSITY, "decay": 0.0, "kernel_name": "gaussian", "kernel": 0},
        "linf", _PIXEL,
    ),
    "Square": Known("square", {"n_queries": 5000, "p_init": 0.8}, "linf", _PIXEL),
    "DeepFool": Known("deepfool", {"steps": 50, "candidates": None, **_REFERENCE}, None, "factor"),
    "BoxBlur": Known("box_blur", _REFERENCE, None, "pixel", True),
    "GaussianNoise": Known("gaussian_noise", _REFERENCE, None, "variance", True),
    "RandomBlackBox": Known("random_black_box", _REFERENCE, None, "share of the image side", True, 1 / 300),
    "SaltPepper": Known("salt_pepper", _REFERENCE, None, "share of the pixels", True),
    "GreyScale": Known("grey_scale", _REFERENCE, None, None, True),
    "InvertColor": Known("invert_color", {}, None, None, True),
    "SplitMergeRGB": Known("split_merge_rgb", {}, None, None, True),
}  # fmt: skip
"""Attack of Alecci et al. as the file names call it -> this package's."""


def gradient_attack(
    *, norm: str, steps: int, step: float, decay: float | None, restarts: int, diverse: bool, translated: bool
) -> Known:
    """Return the attack of Gubri et al. that these settings are: their code has one attack with switches.

    step: the step's size as a share of the budget. decay: of the momentum, None without one. restarts: random starts, 0
    for none. diverse, translated: input diversity, translation invariance.
    """
    base = {"norm": norm, "steps": steps, "relative_step": step, **_LOSS}
    start = {"random_start": restarts > 0, **({"restarts": restarts} if restarts > 1 else {})}
    momentum = {"decay": decay or 0.0}
    if translated:
        kernel = {"kernel_name": "gaussian", "kernel": 0, "reference": False}
        name, params = "tifgsm", {**_DIVERSITY, **base, **start, **momentum, **kernel}
        params["diversity_prob"] = 0.5 if diverse else 0.0
    elif diverse:
        name, params = "difgsm", {**_DIVERSITY, **base, **start, **momentum}
    elif decay is not None:
        name, params = "mifgsm", {**base, **start, **momentum, "inputs": []}
    elif restarts:
        name, params = "pgd", {**base, "random_start": True, "restarts": restarts, "reference": False, "eot": None}
    elif steps == 1:
        name, params = "fgsm", {"norm": norm, **_LOSS}
    else:
        name, params = "bim", {**base, "reference": False}
    return Known(name, params, norm, _PIXEL)
