import pytest
import torch
from torch import nn

from dumb_bench.architectures.base import Preprocessed
from dumb_bench.catalogue import Catalogue

NAMES = ("small_alexnet", "small_resnet", "small_vgg")


def built(name, classes=2, shape=(3, 32, 32), **params):
    torch.manual_seed(0)
    return Catalogue().get("architectures", name).call(classes, shape, **params)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("classes", "shape"), [(2, (3, 32, 32)), (10, (1, 48, 48)), (3, (3, 33, 64)), (5, (1, 64, 64))]
)
def test_logits_have_a_column_for_each_class_whatever_the_shape(name, classes, shape):
    network = built(name, classes, shape)
    for batch in (1, 4):
        for mode in (True, False):
            logits = network.train(mode)(torch.rand(batch, *shape))
            assert logits.shape == (batch, classes) and logits.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_pixel_and_every_weight(name):
    network = built(name).eval()
    images = torch.rand(8, 3, 32, 32, requires_grad=True)
    nn.functional.cross_entropy(network(images), torch.arange(8) % 2).backward()
    assert (images.grad.abs().amax(dim=(0, 1)) > 0).float().mean() > 0.95
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_is_inside_and_the_net_small(name):
    network = built(name)
    assert isinstance(network, Preprocessed)
    seen = []
    network.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 32, 32))
    assert (seen[0].min(), seen[0].max()) == (-1, 1)
    assert sum(weight.numel() for weight in network.parameters()) < 150_000
    assert Catalogue().get("architectures", name).info.min_side == 32


def test_batch_norm_and_dropout_are_where_the_families_have_them():
    def has(name, kind):
        return any(isinstance(layer, kind) for layer in built(name).modules())

    assert [has(name, nn.BatchNorm2d) for name in NAMES] == [False, True, True]
    assert [has(name, nn.Dropout) for name in NAMES] == [True, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_the_net_and_weights_start_as_kaiming_says(name):
    wide = built(name, width=32)
    assert sum(map(torch.numel, wide.parameters())) > 2 * sum(map(torch.numel, built(name, width=16).parameters()))
    wider = [layer for layer in wide.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)][-1]
    fan = wider.weight[0].numel() if name != "small_resnet" else wider.weight[:, 0].numel()
    assert wider.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.05)
