"""Input defences against other libraries' answers, hand-made networks, and the gradients an attacker gets."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import median_filter
from scipy.stats import beta
from torch import nn
from torch.nn import functional

from dumb_bench.attacks.gradients import Objective
from dumb_bench.attacks.iterative import averaged
from dumb_bench.attacks.pgd import pgd
from dumb_bench.defences.bit_depth import bit_depth
from dumb_bench.defences.jpeg import jpeg
from dumb_bench.defences.median_blur import median_blur
from dumb_bench.defences.randomized_smoothing import certified_radius, randomized_smoothing
from dumb_bench.defences.resize_pad import resize_pad, resized
from dumb_bench.errors import InputError
from dumb_bench.evaluation import logits_of
from dumb_bench.surrogate import LockedSurrogate


def pictures(count=4, channels=3, height=16, width=16, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


class Linear(nn.Module):
    """Logits linear in the pixels; also keeps what it was shown."""

    def __init__(self, pixels, classes=3):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, pixels, generator=torch.Generator().manual_seed(5)), False)

    def forward(self, images):
        self.shown = images.detach()
        return images.flatten(1) @ self.weight.T


def shown_by(defence, images):
    network = Linear(images[0].numel())
    defence.wrap(network)(images)
    return network.shown


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [10, 75])
def test_jpeg_is_pillow_s(channels, quality):
    images = pictures(2, channels, 16, 24)
    for image, found in zip(images, shown_by(jpeg(quality=quality), images), strict=True):
        levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        stream = io.BytesIO()
        Image.fromarray(levels[..., 0] if channels == 1 else levels).save(stream, "JPEG", quality=quality)
        decoded = np.asarray(Image.open(stream)).reshape(levels.shape)
        assert np.array_equal(found.permute(1, 2, 0).numpy(), decoded.astype(np.float32) / 255)
        assert not np.array_equal(decoded, levels)


def test_jpeg_refuses_other_channels():
    with pytest.raises(InputError, match="1 or 3 channels, got 2"):
        jpeg().wrap(nn.Identity())(pictures(1, 2))


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bit_depth_s_levels_are_exact(bits):
    found = shown_by(bit_depth(bits=bits), torch.linspace(0, 1, 16 * 16).view(1, 1, 16, 16))
    most = 2**bits - 1
    assert found.unique().tolist() == [np.float32(level) / np.float32(most) for level in range(most + 1)]
    levels = torch.arange(256).view(1, 1, 16, 16) / 255
    assert torch.equal(shown_by(bit_depth(bits=8), levels), levels)
    assert torch.equal(shown_by(bit_depth(bits=1), torch.full((1, 1, 2, 2), 0.49)), torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(("window", "height", "width"), [(3, 16, 16), (5, 7, 12), (7, 4, 3)])
def test_the_median_is_scipy_s(window, height, width):
    images = pictures(2, 3, height, width)
    expected = median_filter(images.numpy(), size=(1, 1, window, window), mode="reflect")
    assert np.array_equal(shown_by(median_blur(window=window), images).numpy(), expected)


def test_the_median_s_gradient_goes_to_the_median_pixel():
    image = torch.tensor([[1.0, 2, 3], [4, 9, 5], [6, 7, 8]]).view(1, 1, 3, 3) / 10
    image.requires_grad_()
    median_blur().wrap(nn.Identity())(image)[0, 0, 1, 1].backward()
    assert image.grad.flatten().nonzero().flatten().tolist() == [5]  # .5, of the window's .1 to .9


@pytest.mark.parametrize("defence", [jpeg(quality=20), bit_depth(bits=2)])
def test_bpda_s_gradient_is_the_identity_s(defence):
    """The network's slope at what it is shown, handed through unchanged: for a linear network, that of no defence."""
    images = pictures(3, 1)
    network = Linear(256)
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(2))
    slopes = []
    for model in (network, defence.wrap(network)):
        point = images.clone().requires_grad_()
        (model(point) * weights).sum().backward()
        slopes.append(point.grad)
    assert torch.equal(*slopes)
    assert not torch.equal(network(images), defence.wrap(network)(images))
    curved = nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Tanh())
    point = images.clone().requires_grad_()
    defence.wrap(curved)(point).sum().backward()
    seen = shown_by(defence, images).requires_grad_()
    curved(seen).sum().backward()
    assert torch.equal(point.grad, seen.grad)


def test_resize_pad_is_the_nearest_neighbour_on_black_at_every_size_and_place():
    images = pictures(600, 2, 10, 10) + 0.01
    torch.manual_seed(0)
    found = resized(images, 0.7)
    seen = set()
    for image, result in zip(images, found, strict=True):
        rows, columns = (result.sum(0).sum(axis).nonzero().flatten() for axis in (1, 0))
        side, top, left = len(rows), int(rows[0]), int(columns[0])
        assert len(columns) == side and int(rows[-1]) == top + side - 1
        small = functional.interpolate(image[None], size=(side, side), mode="nearest")[0]
        assert torch.equal(result[:, top : top + side, left : left + side], small)
        seen.add((side, top, left))
    assert seen == {(s, t, w) for s in range(7, 11) for t in range(11 - s) for w in range(11 - s)}
    assert torch.equal(resized(images, 1.0), images)


def test_resize_pad_draws_as_much_whatever_the_images_show():
    states = []
    for images in (pictures(5), torch.zeros(5, 3, 16, 16)):
        torch.manual_seed(3)
        resize_pad().wrap(nn.Flatten())(images)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


class RandomGain(nn.Module):
    """A linear network whose pixels are weighed by random gains, drawn at every pass."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.gains = []

    def forward(self, images):
        self.gains.append(torch.rand(images.shape[1:]))
        return self.network(images * self.gains[-1])


def test_eot_of_a_linear_randomised_network_is_the_mean_gradient():
    images, labels = pictures(3, 1, 8, 8), torch.tensor([0, 1, 2])
    network = RandomGain(Linear(64))
    objective = Objective(LockedSurrogate([network], 3), labels, loss="logit")
    torch.manual_seed(0)
    found = averaged(objective.gradient, 5)(images)
    gains = torch.stack(network.gains).double()
    assert len(gains) == 5
    expected = -network.network.weight[labels].double().view(3, 1, 8, 8) * gains.mean(0)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_pgd_asks_so_many_draws_a_step_and_none_more_without():
    images, labels = pictures(2, 1, 8, 8), torch.tensor([0, 1])
    made = {}
    for eot in (None, 1, 4):
        surrogate = LockedSurrogate([resize_pad().wrap(Linear(64))], 3)
        torch.manual_seed(0)
        made[eot] = pgd(surrogate, images, labels, 0.1, generator=torch.Generator().manual_seed(0), steps=3, eot=eot)
        assert surrogate.cost.backwards == 2 * 3 * (eot or 1)
    assert torch.equal(made[None], made[1]) and not torch.equal(made[1], made[4])


class Threshold(nn.Module):
    """Class 1 where the one pixel is above 1/2: under noise with probability Phi((x - 1/2) / sigma)."""

    def forward(self, images):
        margin = images[:, 0, 0, 0] - 0.5
        return torch.stack([-margin, margin], 1)


def pixels(*values):
    return torch.tensor(values).view(-1, 1, 1, 1)


def phi(value):
    return (1 + math.erf(value / math.sqrt(2))) / 2


def test_smoothing_votes_as_the_normal_distribution_says():
    smoothed = randomized_smoothing(sigma=0.25, votes=4000).wrap(Threshold())
    torch.manual_seed(0)
    values = (0.5, 0.7, 0.2)
    votes = smoothed.votes(pixels(*values), 4000)
    assert votes.sum(1).tolist() == [4000] * 3
    for value, count in zip(values, votes[:, 1].tolist(), strict=True):
        p = phi((value - 0.5) / 0.25)
        assert abs(count - 4000 * p) < 4 * math.sqrt(4000 * p * (1 - p))
    torch.manual_seed(0)
    assert torch.allclose(smoothed(pixels(*values)).softmax(1), (votes + 1) / 4002)
    assert smoothed(pixels(0.9, 0.1)).argmax(1).tolist() == [1, 0]


def test_smoothing_s_certificates_are_below_the_distance_and_close_to_it():
    """The distance of a pixel to the threshold is the smoothed network's exact radius."""
    smoothed = randomized_smoothing(sigma=0.25).wrap(Threshold())
    torch.manual_seed(0)
    sure, near = smoothed.certify(pixels(0.8, 0.5), select=100, estimate=20_000, alpha=0.001)
    assert sure.label == 1 and 0.28 < sure.radius <= 0.3
    assert near.radius < 0.01 and (near.label is None) == (near.radius == 0)


def test_the_radius_is_the_quantile_of_the_exact_bound():
    assert certified_radius(100, 100, 0.5, 0.001) == pytest.approx(0.5 * 1.4992, rel=1e-3)  # p = .001**(1/100)
    p = beta.ppf(0.05, 80, 21)
    assert phi(certified_radius(80, 100, 1.0, 0.05)) == pytest.approx(p, rel=1e-9)
    assert certified_radius(50, 100, 1.0, 0.001) == certified_radius(0, 100, 1.0, 0.001) == 0


def test_smoothing_s_backward_is_the_mean_softmax_s():
    network, images = Linear(16), pictures(3, 1, 4, 4)
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(2))
    point = images.clone().requires_grad_()
    torch.manual_seed(0)
    (randomized_smoothing(sigma=0.3, votes=6).wrap(network)(point) * weights).sum().backward()
    torch.manual_seed(0)
    other = images.clone().requires_grad_()
    soft = torch.stack([network(other + 0.3 * torch.randn_like(images)).softmax(1) for _ in range(6)]).mean(0)
    (soft.log() * weights).sum().backward()
    torch.testing.assert_close(point.grad, other.grad)
    assert float(point.grad.abs().max()) > 0


def test_each_copy_of_smoothing_counts_as_a_pass():
    inner = randomized_smoothing(votes=8).wrap(Linear(64))
    for model in (inner, bit_depth().wrap(inner)):
        surrogate = LockedSurrogate([model], 3)
        pgd(surrogate, pictures(2, 1, 8, 8), torch.tensor([0, 1]), 0.1, generator=torch.Generator(), steps=3)
        assert surrogate.cost == (2 * 3 * 8, 2 * 3 * 8)


def test_an_image_meets_the_same_draw_whatever_else_it_shows_and_other_draws_by_seed():
    network = RandomGain(Linear(64))
    images = pictures(6, 1, 8, 8)
    logits_of(network, images, 11), logits_of(network, 1 - images, 11), logits_of(network, images, 12)
    drawn = network.gains
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
