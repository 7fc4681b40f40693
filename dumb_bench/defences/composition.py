"""From the defence that a spec names to what it does: one plugin, or several joined by `+`.

`pgd_at+jpeg` is trained by `pgd_at` and deployed behind `jpeg`. At most one member trains; images pass the others from
left to right. A parameter goes to every member that has one of that name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dumb_bench.catalogue import Catalogue, Entry, check_params, parameters
from dumb_bench.defences.base import BEGIN, Course, Defence, DefenceInfo, Ordinary
from dumb_bench.errors import InputError, unknown
from dumb_bench.spec import NONE, ModelSpec, Plugin


class _Member(NamedTuple):
    """A plugin, and the parameters that are its own."""

    entry: Entry
    params: dict[str, Any]

    @property
    def info(self) -> DefenceInfo:
        found: DefenceInfo = self.entry.info
        return found


class _Composed:
    def __init__(self, trained: Defence, around: tuple[Defence, ...]) -> None:
        self.trained = trained
        self.around = around

    def loss(
        self, model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator, course: Course = BEGIN
    ) -> Tensor:
        return self.trained.loss(model, images, labels, generator, course)

    def wrap(self, model: nn.Module) -> nn.Module:
        for each in reversed(self.around):
            model = each.wrap(model)
        return model

    def parents(self, spec: ModelSpec) -> tuple[ModelSpec, ...]:
        return self.trained.parents(spec)


def resolve_defence(name: str, params: Mapping[str, Any], catalogue: Catalogue) -> Plugin:
    """Return the spec of a defence, as `Catalogue.resolve` does for one plugin.

    Raises:
        InputError: an unknown name or parameter, a value out of range, or members that cannot be together.
    """
    names = name.split("+")
    if len(names) == 1:
        return catalogue.resolve("defences", name, params)
    entries = [catalogue.get("defences", each) for each in names]
    if len(set(names)) < len(names) or "none" in names:
        raise InputError(f"defence {name!r}: expected different defences, none of them 'none'")
    training = [each for each, entry in zip(names, entries, strict=True) if entry.info.trains]
    if len(training) > 1:
        raise InputError(f"defence {name!r}: {' and '.join(training)} both train; a model is trained by one")
    known = {key for entry in entries for key in parameters(entry)}
    for key in params:
        if key not in known:
            raise InputError(f"defence {name!r}: {unknown('parameter', key, sorted(known))}")
    kept: dict[str, Any] = {}
    for entry in entries:
        own = {key: value for key, value in params.items() if key in parameters(entry)}
        kept |= check_params(entry, own)
    frozen = sorted((key, tuple(value) if isinstance(value, list) else value) for key, value in kept.items())
    plain = all(entry.fingerprint == "1" for entry in entries)
    return Plugin(name, tuple(frozen), "1" if plain else "+".join(entry.fingerprint for entry in entries))


def _members(plugin: Plugin, catalogue: Catalogue) -> list[_Member]:
    entries = [catalogue.get("defences", name) for name in plugin.name.split("+")]
    given = plugin.as_dict()
    return [_Member(each, {key: given[key] for key in parameters(each) if key in given}) for each in entries]


def defence_of(plugin: Plugin, catalogue: Catalogue) -> Defence:
    """Return what a spec's defence does.

    Raises:
        InputError: unknown, or its parameters do not go together.
    """
    members = _members(plugin, catalogue)
    made = [member.entry.call(**member.params) for member in members]
    if len(made) == 1:
        alone: Defence = made[0]
        return alone
    trained = next((each for each, member in zip(made, members, strict=True) if member.info.trains), Ordinary())
    return _Composed(trained, tuple(made))


def about(plugin: Plugin, catalogue: Catalogue) -> DefenceInfo:
    """Return what a planner must know of a defence; the numbers of passes are those under the spec's parameters."""
    members = _members(plugin, catalogue)
    training = [member for member in members if member.info.trains]
    steps = training[0].info.training_passes(training[0].params) if training else 1
    looks = 1
    for member in members:
        looks *= member.info.passes(member.params)
    return DefenceInfo(
        "; ".join(member.info.paper for member in members if member.info.paper),
        bool(training),
        any(member.info.stochastic for member in members),
        training[0].info.keeps if training else "best",
        lambda params: steps,
        lambda params: looks,
    )


def trained_as(plugin: Plugin, catalogue: Catalogue) -> Plugin:
    """Return the defence whose training the weights come from: `none` where none of the members trains."""
    members = _members(plugin, catalogue)
    training = [member for member in members if member.info.trains]
    if not training:
        return NONE
    return plugin if len(members) == 1 else catalogue.resolve(
        "defences", training[0].entry.plugin.name, training[0].params
    )  # fmt: skip


def parents_of(spec: ModelSpec, catalogue: Catalogue) -> tuple[ModelSpec, ...]:
    """Return the models that a model's training needs, their architectures as the catalogue knows them.

    Raises:
        InputError: the defence names an architecture that does not exist.
    """
    found = defence_of(spec.defence, catalogue).parents(spec)
    try:
        return tuple(
            dataclasses.replace(
                parent,
                architecture=catalogue.resolve(
                    "architectures", parent.architecture.name, parent.architecture.as_dict()
                ),
            )
            for parent in found
        )
    except InputError as error:
        raise InputError(f"defence {spec.defence.name!r}: {error}") from None
