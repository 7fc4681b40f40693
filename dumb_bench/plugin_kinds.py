"""The kinds of plugins: their folders, and how their names are built."""

from __future__ import annotations

import re

KINDS: dict[str, tuple[str, frozenset[str]]] = {
    "attacks": (
        "dumb_bench.attacks",
        frozenset(
            {"base", "craft", "features", "gradients", "gradient_graphs", "iterative", "tuning", "torchattacks_call"}
        )
        | {"foreign", "foreign_parameters", "foreign_rows", "recording", "shared_steps"}
        | {"torchattacks_table", "art_refused", "transferattack_table"},
    ),
    "sources": (
        "dumb_bench.data",
        frozenset({"base", "balance", "digits", "tasks", "images"})
        | {"declared", "decoded", "inspection", "pictures", "published", "ten_digits"},
    ),
    "architectures": ("dumb_bench.architectures", frozenset({"base", "cifar", "library", "pooling"})),
    "modifiers": ("dumb_bench.attacks.modifiers", frozenset({"base"})),
    "posteriors": ("dumb_bench.posteriors", frozenset({"base", "chains", "optimisers"})),
    "defences": ("dumb_bench.defences", frozenset({"base", "composition", "adversarial", "inputs"})),
    "deliveries": ("dumb_bench.deliveries", frozenset({"base"})),
    "figures": (
        "dumb_bench.report.figures",
        frozenset({"base", "series", "shown", "case_axis", "effect_rows", "rows"}),
    ),
}
"""Kind of plugin -> its folder, and the modules there that are not plugins."""

FAMILIES: dict[str, frozenset[str]] = {
    "attacks": frozenset({"torchattacks", "foolbox", "art", "transferattack", "external"}),
    "architectures": frozenset({"torchvision", "timm"}),
}
"""Kind of plugin -> the leaves that are no plugin but a family of them: another library's, named `library.Name`."""

_SHORT = (
    "alexnet", "densenet121", "inception_v3", "mobilenet_v2", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnet152", "vgg11", "vgg11_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vit_b_16",
)  # fmt: skip
ALIASES: dict[str, dict[str, str]] = {"architectures": {name: f"torchvision.{name}" for name in _SHORT}}
"""Kind of plugin -> short names of a family's plugins; a spec and every table hold the long one."""

NUMBERED: dict[str, frozenset[str]] = {"deliveries": frozenset({"jpeg", "resize"})}
"""Kind of plugin -> the leaves that a grid names with a number behind them: `jpeg75`."""

_NUMBERED_NAME = re.compile(r"([a-z_]+)([1-9][0-9]{0,5})")


def singular(kind: str) -> str:
    """Return what one plugin of a kind is called: `attack`, `delivery`."""
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind[:-1]


def parted(kind: str, name: str) -> tuple[str, int] | None:
    """Return leaf and number of a name such as `jpeg75`; None where it is no such name."""
    found = _NUMBERED_NAME.fullmatch(name)
    return (found[1], int(found[2])) if found and found[1] in NUMBERED.get(kind, ()) else None
