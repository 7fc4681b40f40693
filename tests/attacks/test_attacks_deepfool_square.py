"""DeepFool against closed forms and image by image; Square against its promises and an optimum that it must find."""

from __future__ import annotations

import math

import pytest
import torch
import torchattacks
from curved_scene import Linear, Recorded, margins, scene, small_network, sweep
from torch import Tensor, nn

from dumb_bench.attacks.square import side_of
from dumb_bench.catalogue import Catalogue
from dumb_bench.perturbation import l2
from dumb_bench.surrogate import LockedSurrogate

CATALOGUE = Catalogue()


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("overshoot", [0.02, 1.0, 10.0])
def test_deepfool_finds_the_nearest_plane_of_a_linear_classifier(classes: int, overshoot: float) -> None:
    images = torch.full((6, 3, 8, 8), 0.5) + torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)) / 100
    network = Linear(classes, 192)
    labels = network(images).argmax(1)
    (found,), _ = sweep("deepfool", network, classes, images, labels, [overshoot])
    for image, label, adversarial in zip(images, labels, found.images, strict=True):
        logits = network(image[None])[0].double()
        planes = []
        for other in range(classes):
            if other != label:
                w = network.weights[other] - network.weights[label]
                gap = (logits[label] - logits[other]).abs()
                planes.append((float(gap / w.norm()), gap / w.norm() * w / w.norm()))
        _, nearest = min(planes, key=lambda plane: plane[0])
        expected = image.double() + (1 + overshoot) * nearest.detach().view(3, 8, 8)
        assert float((adversarial - expected).abs().max()) < 1e-5
        assert float(expected.min()) > 0 and float(expected.max()) < 1  # nothing was clipped: the form is exact
    assert (network(found.images).argmax(1) != labels).all()


def one_by_one(network: nn.Module, images: Tensor, labels: Tensor, overshoot: float, steps: int = 50) -> Tensor:
    """Algorithm 2 of the paper for one image after the other, in plain steps."""
    found = []
    for image, label in zip(images, labels.tolist(), strict=True):
        total, point = torch.zeros_like(image), image.clone()
        for _ in range(steps):
            point.requires_grad_()
            logits = network(point[None])[0]
            if int(logits.argmax()) != label:
                break
            slopes = [torch.autograd.grad(logit, point, retain_graph=True)[0] for logit in logits]
            best, move = math.inf, torch.zeros_like(image)
            for other in range(len(logits)):
                w, gap = slopes[other] - slopes[label], float((logits[other] - logits[label]).detach().abs())
                if other != label and gap / float(w.norm()) < best:
                    best, move = gap / float(w.norm()), gap / float(w.norm()) ** 2 * w
            total = total + move
            point = (image + 1.02 * total).clamp(0, 1).detach()
        found.append((image + (1 + overshoot) * total).clamp(0, 1))
    return torch.stack(found)


@pytest.mark.parametrize("classes, overshoot", [(2, 0.1), (5, 0.1), (5, 1.0), (5, 20.0)])
def test_batched_deepfool_is_the_algorithm_image_by_image(classes: int, overshoot: float) -> None:
    network, images, labels = scene(classes)
    (found,), _ = sweep("deepfool", network, classes, images, labels, [overshoot])
    assert found.forwards > 2 * len(images)  # some images need more than one step
    plain = one_by_one(network, images, labels, overshoot)
    assert float((network(found.images).argmax(1) == network(plain).argmax(1)).float().mean()) >= 0.99
    assert float((found.images - plain).abs().max()) < 1e-4


@pytest.mark.parametrize("classes, overshoot", [(2, 0.1), (5, 0.1), (5, 1.0), (5, 20.0)])
def test_the_reference_form_of_deepfool_is_torchattacks(classes: int, overshoot: float) -> None:
    network, images, labels = scene(classes)
    (found,), _ = sweep("deepfool", network, classes, images, labels, [overshoot], reference=True)
    theirs = torchattacks.DeepFool(network, steps=50, overshoot=overshoot)(images, labels)
    assert float((network(found.images).argmax(1) == network(theirs).argmax(1)).float().mean()) >= 0.99
    assert float((found.images - theirs).abs().max()) < 1e-4
    (ours,), _ = sweep("deepfool", network, classes, images, labels, [overshoot])
    assert overshoot < 1 or float((found.images - ours.images).abs().max()) > 0.01  # from two steps on, another form


def test_deepfool_crosses_the_boundary_and_leaves_alone_what_is_across() -> None:
    network, images, labels = scene(5)
    right = network(images).argmax(1) == labels
    assert 30 <= int(right.sum()) < 40 and len(labels.unique()) == 5
    (found, far), _ = sweep("deepfool", network, 5, images, labels, [0.02, 10.0])
    assert float(margins(network(images), labels)[right].median()) > 0.05
    assert float(margins(network(found.images), labels).max()) < 1e-5
    assert torch.equal(found.images[~right], images[~right]) and torch.equal(far.images[~right], images[~right])
    assert float(l2(found.images, images)[right].min()) > 0


@pytest.mark.parametrize("reference", [False, True])
def test_a_sweep_of_deepfool_equals_single_calls_bit_for_bit(reference: bool) -> None:
    network, images, labels = scene(5, count=12)
    strengths = [0.02, 10.0, 11.0, 100.0]
    made, _ = sweep("deepfool", network, 5, images, labels, strengths, reference=reference)
    for strength, found in zip(strengths, made, strict=True):
        (single,), _ = sweep("deepfool", network, 5, images, labels, [strength], reference=reference)
        assert torch.equal(found.images, single.images)
    assert not torch.equal(made[1].images, made[2].images)
    assert sum(item.backwards for item in made[1:]) == 0 or reference  # the search was made once


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :3] * 0.0 + torch.tensor([1.0, 0.5, 0.0])


@pytest.mark.parametrize("reference", [False, True])
def test_deepfool_stands_still_where_there_is_no_gradient(reference: bool) -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(4, dtype=torch.int64)
    (found,), _ = sweep("deepfool", Constant(), 3, images, labels, [100.0], reference=reference, steps=3)
    assert torch.equal(found.images, images)


@pytest.mark.parametrize("classes", [2, 5])
def test_batched_deepfool_costs_fewer_passes_than_the_loop_over_images(classes: int) -> None:
    network, images, labels = scene(classes)
    (ours,), _ = sweep("deepfool", network, classes, images, labels, [0.02])
    counted = LockedSurrogate([network], classes)
    torchattacks.DeepFool(counted, steps=50, overshoot=0.02)(images, labels)
    assert 0 < ours.backwards < counted.cost.backwards
    assert ours.forwards + ours.backwards < counted.cost.forwards + counted.cost.backwards


def test_deepfool_with_fewer_candidates_takes_fewer_gradients_and_still_crosses() -> None:
    network, images, labels = scene(5)
    (every,), _ = sweep("deepfool", network, 5, images, labels, [0.02])
    (three,), _ = sweep("deepfool", network, 5, images, labels, [0.02], candidates=3)
    (same,), _ = sweep("deepfool", network, 5, images, labels, [0.02], candidates=9)
    assert three.backwards < every.backwards and torch.equal(same.images, every.images)
    assert float(margins(network(three.images), labels).max()) < 1e-5


@pytest.mark.parametrize("name, strength", [("deepfool", 1.0), ("square", 0.1)])
def test_an_image_does_not_depend_on_its_batch_mates(name: str, strength: float) -> None:
    network, images, labels = scene(5, count=12)
    others, other_labels = images.flip(3) * 0.9, (labels + 1) % 5
    others[1::4], other_labels[1::4] = images[1::4], labels[1::4]
    (first,), _ = sweep(name, network, 5, images, labels, [strength])
    (second,), _ = sweep(name, network, 5, others, other_labels, [strength])
    assert float((first.images[1::4] - second.images[1::4]).abs().max()) < 1e-5
    assert float((first.images[1::4] - images[1::4]).abs().amax((1, 2, 3)).min()) > 0


def test_square_finds_the_best_corner_of_the_ball_where_single_pixels_decide() -> None:
    network = Linear(2, 16, scale=0.5)
    network.bias.data = torch.tensor([50.0, 0.0], dtype=torch.float64)  # never fooled: it uses all its queries
    images, labels = torch.full((3, 1, 4, 4), 0.5), torch.zeros(3, dtype=torch.int64)
    (found,), surrogate = sweep("square", network, 2, images, labels, [0.2], n_queries=1000)
    towards = (network.weights[1] - network.weights[0]).detach().sign().view(1, 4, 4)
    assert torch.allclose(found.images, images + 0.2 * towards.float(), atol=1e-6)
    assert surrogate.cost == (3000, 0)


@pytest.mark.parametrize("n_queries", [1, 2, 150])
def test_square_keeps_its_budget_its_queries_and_looks_at_no_gradient(n_queries: int) -> None:
    network, images, labels = scene(5)
    for eps in (0.02, 0.1, 0.3):
        (found,), surrogate = sweep("square", network, 5, images, labels, [eps], n_queries=n_queries)
        assert found.budget_violation <= 1e-6 and found.box_violation == 0 and found.budget_reached
        moved = (found.images - images).abs()
        assert bool(((moved - eps).abs() < 1e-6).logical_or((found.images == 0) | (found.images == 1)).all())
        assert surrogate.cost.backwards == 0 and 40 <= surrogate.cost.forwards <= 40 * n_queries


def test_square_starts_from_vertical_stripes_one_pixel_wide() -> None:
    images = torch.full((20, 3, 32, 32), 0.5)
    (found,), _ = sweep("square", small_network(2), 2, images, torch.zeros(20).long(), [0.1], n_queries=1)
    columns = (found.images > 0.5).float()
    assert torch.equal(columns, columns[:, :, :1].expand_as(columns))
    assert abs(float(columns.mean()) - 0.5) < 4 * 0.5 / math.sqrt(20 * 3 * 32)
    turns = (columns[..., 0, 1:] != columns[..., 0, :-1]).float().mean()
    assert abs(float(turns) - 0.5) < 4 * 0.5 / math.sqrt(20 * 3 * 31)


def test_the_loss_of_square_only_falls_and_fooled_images_ask_no_more() -> None:
    network, images, labels = scene(5)
    for image, label in zip(images[1:6, None], labels[1:6, None], strict=True):
        recorded = Recorded(network)
        (found,), _ = sweep("square", recorded, 5, image, label, [0.05], n_queries=200)
        seen = torch.cat([margins(logits, label) for _, logits in recorded.asked])
        best = int(seen.argmin())
        assert torch.equal(found.images, recorded.asked[best][0])
        assert (seen[:-1] >= 0).all() and (len(seen) == 200 or seen[-1] < 0)
    batch = Recorded(network)
    sweep("square", batch, 5, images, labels, [0.1], n_queries=300)
    sizes = [len(asked) for asked, _ in batch.asked]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 40 and sizes[-1] < 40


def test_a_query_of_square_changes_one_square_of_its_schedule() -> None:
    network, images, labels = scene(5)
    recorded = Recorded(network)
    sweep("square", recorded, 5, images[1:2], labels[1:2], [0.02], n_queries=400)
    best, _ = recorded.asked[0]
    lowest = float(margins(recorded.asked[0][1], labels[1:2]))
    sizes = []
    for iteration, (asked, logits) in enumerate(recorded.asked[1:]):
        rows, columns = torch.nonzero((asked != best).any(1)[0], as_tuple=True)
        side = side_of(iteration, 400, 0.8, 32, 32)
        if len(rows):
            reach = max(int(rows.max() - rows.min()), int(columns.max() - columns.min())) + 1
            assert reach <= side
            sizes.append(reach == side)
        value = float(margins(logits, labels[1:2]))
        best, lowest = (asked, value) if value < lowest else (best, lowest)
    assert len(sizes) > 20 and sum(sizes) > len(sizes) / 2


def test_square_fools_far_more_than_sign_noise_of_the_same_size() -> None:
    network, images, labels = scene(5)
    right = network(images).argmax(1) == labels
    (found,), _ = sweep("square", network, 5, images, labels, [0.04], n_queries=1000)
    (noise,), _ = sweep("sign_noise", network, 5, images, labels, [0.04])
    ours, theirs = ((network(item.images).argmax(1) != labels)[right].float().mean() for item in (found, noise))
    assert float(ours) > 0.9 and float(theirs) < 0.3


def test_a_targeted_square_lowers_the_targets_cross_entropy_and_arrives() -> None:
    network, images, labels = scene(5)
    targets = (network(images).argmax(1) + 1) % 5
    (found,), _ = sweep("square", network, 5, images, labels, [0.3], n_queries=500, targets=targets)
    assert float((network(found.images).argmax(1) == targets).float().mean()) > 0.9
    image, target = images[:1], targets[:1]
    recorded = Recorded(network)
    (small,), _ = sweep("square", recorded, 5, image, labels[:1], [0.01], n_queries=60, targets=target)
    losses = torch.tensor([float(nn.functional.cross_entropy(logits.double(), target)) for _, logits in recorded.asked])
    assert torch.equal(small.images, recorded.asked[int(losses.argmin())][0])


def test_square_follows_its_generator_and_leaves_the_global_one_alone() -> None:
    network, images, labels = scene(5, count=8)
    entry = CATALOGUE.get("attacks", "square")
    surrogate = LockedSurrogate([network], 5)
    before = torch.get_rng_state()
    first, again, other = (
        entry.call(surrogate, images, labels, 0.05, generator=torch.Generator().manual_seed(seed), n_queries=50)
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({(item > clean).numpy().tobytes() for item, clean in zip(first, images, strict=True)}) == 8


def test_the_squares_shrink_on_the_papers_schedule() -> None:
    theirs = torchattacks.Square(nn.Identity(), n_queries=5000, p_init=0.8)
    for iteration in range(0, 5000, 3):
        expected = max(round(math.sqrt(theirs.p_selection(iteration) * 96 * 96)), 1)
        assert side_of(iteration, 5000, 0.8, 96, 96) == expected
    assert [side_of(at, 10_000, 0.8, 100, 100) for at in (0, 10, 11, 51, 201, 9999)] == [89, 89, 63, 45, 32, 4]
    assert side_of(0, 10, 1.0, 32, 64) == 32 and side_of(4999, 5000, 0.05, 8, 8) == 1
