"""TransferAttack (github.com/Trustworthy-AI-Group/TransferAttack) as the family `transferattack.<name>`.

It is on no package registry (the package of that name there is another one): clone it and put the clone on PYTHONPATH.
Attacks have the names of its `attack_zoo`; where that lists a name twice, Python keeps the last, and so does this
family. Parameters and defaults are its own, with these exceptions. The strength is its `epsilon`. Sizes in pixel units
(`alpha`, `lr`, and those of the inner steps of `cwa`, `gaa` and `rap`) follow the strength unless they are given: they
keep the ratio of the package's defaults, and `alpha * epoch` stays when `epoch` changes. `norm` is `linf` or `l2`.
`patch_size` of `maskblock` is a quarter of the image's side, as 56 is of 224.

The surrogate takes the place of the model that an attack would load by its name; attacks on ensembles get its members.
`.cuda()` and `device="cuda"` mean the surrogate's device. Hooks that an attack leaves behind are removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.foreign import Bridge, Foreign, Library, quiet
from dumb_bench.attacks.foreign_rows import Row
from dumb_bench.attacks.transferattack_table import REFUSED, ROWS
from dumb_bench.errors import InputError

LIBRARY = "transferattack"
PLACE = "github.com/Trustworthy-AI-Group/TransferAttack"

NUMBERS = ("T", "beta", "decay", "inner_step_size", "lam", "noise_scale", "radius", "rescale_factor", "zeta")
"""Parameters that are numbers, though the package's default is whole."""


class OnDevice(TorchFunctionMode):
    """Lets `.cuda()`, `.to("cuda")` and `device="cuda"` mean another device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.cuda:
            return torch.Tensor.to(args[0], self.device)
        return func(*map(self._placed, args), **{name: self._placed(value) for name, value in (kwargs or {}).items()})

    def _placed(self, value: Any) -> Any:
        named = isinstance(value, str) and value.partition(":")[0] == "cuda"
        return self.device if named or (isinstance(value, torch.device) and value.type == "cuda") else value


@contextlib.contextmanager
def no_hooks_left(surrogate: Any) -> Iterator[None]:
    """Remove the hooks that an attack registers in the surrogate's layers."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    before = [(getattr(module, kind), set(getattr(module, kind))) for module in surrogate.modules() for kind in kinds]
    try:
        yield
    finally:
        for hooks, kept in before:
            for handle in [handle for handle in hooks if handle not in kept]:
                del hooks[handle]


@contextlib.contextmanager
def sized(kind: type, side: int) -> Iterator[None]:
    """Set the image size that the modules of an attack hold as constants (224) to that of the images."""
    spaces = [vars(importlib.import_module(base.__module__)) for base in kind.__mro__ if base is not object]
    held = [(space, name, space[name]) for space in spaces for name in ("img_height", "img_width") if name in space]
    try:
        for space, name, _ in held:
            space[name] = side
        yield
    finally:
        for space, name, value in held:
            space[name] = value


class TransferAttack(Foreign):
    """One attack of TransferAttack."""

    library = LIBRARY
    left_out = frozenset({"model_name", "epsilon", "targeted", "loss", "device", "attack", "checkpoint_path"})

    def __init__(self, name: str, kind: type, row: Row) -> None:
        super().__init__(name, kind, row._replace(types={**dict.fromkeys(NUMBERS, float), **row.types}))

    def summary(self) -> str:
        """Return the attack's name and paper: the first two lines of its docstring."""
        lines = (inspect.getdoc(self.kind) or self.kind.__name__).splitlines()
        return ": ".join(line.strip().rstrip(".") for line in lines[:2] if line.strip())

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
        device, side = images.device, images.shape[-1]
        bridge = Bridge(surrogate, images, self.row.gradient)
        model: nn.Module = bridge
        name: Any = "surrogate"
        if self.row.uses == "samples":
            members = [Bridge(member, images, self.row.gradient) for member in surrogate.members]
            model = importlib.import_module(f"{LIBRARY}.utils").EnsembleModel(members)
            name = [f"member {number}" for number in range(len(members))]
        loaded = type("Loaded", (self.kind,), {"load_model": lambda attack, name: model})
        arguments = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
        arguments |= {"epsilon": strength, "targeted": targets is not None}
        wanted = inspect.signature(self.kind).parameters
        if "device" in wanted:
            arguments["device"] = device
        if self.row.norms:
            arguments["norm"] = "linfty" if options["norm"] == "linf" else "l2"
        if "patch_size" in wanted and options["patch_size"] is None:
            arguments["patch_size"] = max(side // 4, 1)
        if "img_size" in wanted:
            arguments["img_size"] = side
        aim = labels if targets is None else torch.stack([labels, targets])
        with quiet(), no_hooks_left(surrogate), sized(self.kind, side), OnDevice(device):
            delta = loaded(name, **arguments)(images, aim).detach()
        return bridge.unstuck(images + delta.to(images), images)


class Zoo(Mapping[str, Any]):
    """The package's attacks by name; a class is imported when it is asked for."""

    def __init__(self, package: ModuleType) -> None:
        self.package = package

    def __iter__(self) -> Iterator[str]:
        return iter(self.package.attack_zoo)

    def __len__(self) -> int:
        return len(self.package.attack_zoo)

    def __getitem__(self, name: str) -> Any:
        if name not in self.package.attack_zoo:
            raise KeyError(name)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Importing from timm", FutureWarning)
                return self.package.load_attack_class(name)
        except ImportError as error:
            where = f"attack '{LIBRARY}.{name}'"
            if isinstance(error, ModuleNotFoundError):
                raise InputError(f"{where} needs the package {error.name}, which is not installed") from error
            raise InputError(f"{where} cannot be imported ({error})") from error


def _classes(what: str) -> Mapping[str, Any]:
    """Return the zoo; `what` begins the message when the package is not there, or is another one."""
    how = f"clone https://{PLACE} and put the clone on PYTHONPATH"
    try:
        package = importlib.import_module(LIBRARY)
    except ImportError as error:
        if error.name != LIBRARY:
            raise InputError(f"{what}: TransferAttack cannot be imported ({error})") from error
        raise InputError(f"{what}: TransferAttack is not installed, nor is it on a package registry; {how}") from None
    if not hasattr(package, "attack_zoo") or not hasattr(package, "load_attack_class"):
        raise InputError(f"{what}: the installed package {LIBRARY} is another one, not {PLACE}; {how}")
    return Zoo(package)


def _version() -> str:
    """Return the sha256 of the package's Python files, shortened: it has no version that changes."""
    found = importlib.util.find_spec(LIBRARY)
    assert found is not None and found.origin is not None
    return f"TransferAttack {_digest(Path(found.origin).parent)}"


@functools.cache
def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


FAMILY = Library(LIBRARY, _classes, _version, ROWS, REFUSED, TransferAttack)
