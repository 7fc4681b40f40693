"""What a plan is checked for before it is more than a plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dumb_bench.attacks.external import obstacle
from dumb_bench.catalogue import Catalogue
from dumb_bench.data.images import attacked_images
from dumb_bench.defences.composition import parents_of
from dumb_bench.errors import InputError
from dumb_bench.models.initial import named_weights
from dumb_bench.models.networks import blank_network
from dumb_bench.models.training import training_counts
from dumb_bench.runner.plan_attacks import PlannedAttack, Refused
from dumb_bench.spec import ImagesSpec, ModelSpec, SurrogateSpec


def check_training(surrogates: list[SurrogateSpec], victims: list[ModelSpec], catalogue: Catalogue) -> None:
    """See that every source has the images that every balance needs."""
    models = [model for surrogate in surrogates for model in surrogate.models] + victims
    distinct = {(model.source, model.subset, model.balance): model for model in models if not model.checkpoint}
    for (source, _, balance), model in distinct.items():
        try:
            training_counts(model, catalogue)
        except InputError as error:
            raise InputError(f"models: source {source.label!r} at balance {balance!r}: {error}") from None


def check_networks(surrogates: list[SurrogateSpec], victims: list[ModelSpec], catalogue: Catalogue) -> None:
    """See that every architecture can be built for the task (depths that do not exist, images too small for it), and
    that there are the initial weights that are named.
    """
    models = [model for surrogate in surrogates for model in surrogate.models] + victims
    models += [parent for model in models for parent in parents_of(model, catalogue)]
    for model in {(model.architecture, model.init): model for model in models}.values():
        try:
            named_weights(model, catalogue)
            blank_network(model, catalogue)
        except InputError as error:
            raise InputError(f"models: {error}") from None
        except Exception:  # a fault of a plugin's own code makes its units fail, and only those
            continue


def fits(item: PlannedAttack, images: ImagesSpec, catalogue: Catalogue, refused: list[Refused]) -> bool:
    """Whether an attack can be made of these images; one made elsewhere (`external.NAME`) must hold them all."""
    found = catalogue.external_set(item.spec.attack.name)
    if found is None:
        return True
    why = obstacle(found, attacked_images(catalogue, images))
    if why:
        refused.append(Refused(f"{item.spec.attack.name} on images of {images.source.label}", why))
    return not why


def check_external(attacks: Sequence[PlannedAttack], made: Collection[str], refused: Sequence[Refused]) -> None:
    """See that every set made elsewhere serves for some images.

    Raises:
        InputError: one serves for none; says why.
    """
    for item in attacks:
        name = item.spec.attack.name
        if name.startswith("external.") and name not in made:
            reasons = "; ".join(f"{each.what}: {each.reason}" for each in refused if each.what.startswith(name))
            raise InputError(f"attacks: {name!r} fits the images of no source ({reasons})")
