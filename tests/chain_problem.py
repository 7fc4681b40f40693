"""A training problem of ten tiny images under the real training loop."""

import torch
from torch import nn

from dumb_bench.defences.none import none
from dumb_bench.models.fitting import Images, batches_per_epoch, fit, refresh_statistics
from dumb_bench.posteriors.point import trained_point
from dumb_bench.recipes import Recipe
from dumb_bench.seeding import derive_seed

RECIPE = Recipe(optimiser="sgd", lr=0.1, batch=4, epochs=2, patience=2, noise=0.1)


def data(count=10):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 2, 2), generator=generator, dtype=torch.uint8)
    return Images(images, torch.arange(count) % 2)


def linear():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(4, 2))


def normalised():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))


class Problem:
    def __init__(self, recipe=RECIPE, network=linear):
        self.recipe = recipe
        self.network = network
        self.data = data()
        self.train_images = len(self.data.labels)
        self.steps_per_epoch = batches_per_epoch(self.train_images, recipe.batch)
        self.histories = []

    def seed(self, purpose, member=0):
        return derive_seed(member, purpose)

    def build(self, member=0):
        with torch.random.fork_rng():
            torch.manual_seed(self.seed("init", member))
            return self.network()

    def fit(self, network, *, member=0, **options):
        seed = lambda purpose: self.seed(purpose, member)  # noqa: E731
        self.histories.append(fit(network, self.data, self.data, self.recipe, none(), seed, **options))
        return self.histories[-1]

    def part(self, number, work):
        return work()

    def point(self, member=0):
        return trained_point(self, member)

    def refresh_statistics(self, network):
        refresh_statistics(network, self.data, self.recipe, self.seed)

    @property
    def epochs(self):
        return sum(len(history.epochs) for history in self.histories)


def same(one, two):
    """Whether two lists of states are equal bit for bit."""
    return len(one) == len(two) and all(
        left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
        for left, right in zip(one, two, strict=True)
    )
