import math

import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from dumb_bench.defences.none import none
from dumb_bench.models import fitting
from dumb_bench.models.fitting import EarlyStopping, Images, Validation, fit, macro_f1, noisy
from dumb_bench.posteriors.base import state_of
from dumb_bench.recipes import Recipe

RECIPE = Recipe(optimiser="sgd", lr=0.01, batch=4, epochs=6, patience=6)


def data(count=9, side=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, side, side), generator=generator, dtype=torch.uint8)
    return Images(images, torch.arange(count) % 2)


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(16, 2))


def run(recipe=RECIPE, net=None, **hooks):
    net = net or network()
    history = fit(net, data(), data(), recipe, none(), len, **hooks)
    return net, history


def scripted(monkeypatch, *values):
    remaining = iter(values)

    def fake(network, data):
        network.eval()
        return Validation(*next(remaining))

    monkeypatch.setattr(fitting, "validate", fake)


def snapshots():
    kept = {}
    return kept, lambda epoch, net: kept.__setitem__(epoch.number, state_of(net))


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("values", "selected", "epochs"),
    [
        ([(1, 0.5), (1, 0.9), (1, 0.7), (1, 0.8), (1, 0.6), (1, 0.1)], 2, 6),
        ([(0.9, 1), (0.5, 1), (0.7, 1), (0.6, 1), (0.8, 1), (0.9, 1)], 2, 6),
        ([(0.1, 0.5), (9.0, 0.6), (0.2, 0.6), (0.2, 0.6), (0.3, 0.6), (0.4, 0.6)], 3, 6),
        ([(1, 0.1), (1, 0.2), (1, 0.3), (1, 0.4), (1, 0.5), (1, 0.6)], 6, 6),
    ],
)
def test_the_best_epoch_is_restored(monkeypatch, values, selected, epochs):
    scripted(monkeypatch, *values)
    kept, keep = snapshots()
    net, history = run(on_epoch_end=keep)
    assert (history.selected, len(history.epochs)) == (selected, epochs)
    assert same(state_of(net), kept[selected])
    assert all(not same(kept[selected], kept[other]) for other in kept if other != selected)
    assert [(epoch.validation_loss, epoch.validation_f1) for epoch in history.epochs] == values[:epochs]
    assert not net.training


def test_training_stops_when_patience_runs_out(monkeypatch):
    scripted(monkeypatch, (1, 0.5), (1, 0.8), (0.9, 0.80005), (0.8, 0.8), (0.1, 0.9))
    _, history = run(RECIPE.model_copy(update={"patience": 2}))
    assert len(history.epochs) == 4
    assert history.selected == 3


def test_gains_below_min_delta_do_not_prolong_training():
    stopping = EarlyStopping(patience=2, min_delta=0.01)
    assert [stopping.update(epoch, Validation(1, 0.5 + 0.006 * epoch)) for epoch in (1, 2)] == [True, True]
    assert not stopping.stop
    stopping.update(3, Validation(1, 0.518))
    assert not stopping.stop, "two small gains make one that counts"
    for epoch in (4, 5):
        stopping.update(epoch, Validation(0.1, 0.518))
    assert stopping.stop and stopping.selected == 4


def test_without_early_stopping_the_last_weights_stay(monkeypatch):
    scripted(monkeypatch, *[(1, 1 - 0.1 * epoch) for epoch in range(9)])
    kept, keep = snapshots()
    recipe = RECIPE.model_copy(update={"patience": 1})
    net, history = run(recipe, early_stopping=False, epochs=4, on_epoch_end=keep)
    assert history.selected == len(history.epochs) == 4
    assert same(state_of(net), kept[4])


def test_schedules_and_hooks_see_every_step():
    seen = []
    run(epochs=2, schedule=lambda step: 1 / (1 + step), on_step_end=lambda step, lr, net: seen.append((step, lr)))
    assert seen == [(step, 1 / (1 + step)) for step in range(6)]
    seen.clear()
    run(RECIPE.model_copy(update={"schedule": "cosine"}), epochs=2, on_step_end=lambda step, lr, net: seen.append(lr))
    assert seen == pytest.approx([0.01 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)])


def test_the_schedule_is_what_the_optimiser_steps_by():
    net, _ = run(epochs=2, schedule=lambda step: 0.0)
    assert same(state_of(net), state_of(network()))
    assert not same(state_of(run(epochs=2)[0]), state_of(network()))


def test_a_step_hook_can_change_the_weights():
    def zero(step, lr, net):
        with torch.no_grad():
            net[2].weight.zero_()

    net, _ = run(epochs=2, on_step_end=zero)
    assert not net[2].weight.any()


def test_one_sgd_step_is_the_closed_form():
    net, start = network(), network()
    one_batch = RECIPE.model_copy(update={"batch": 9, "weight_decay": 0.1})
    fit(net, data(), data(), one_batch, none(), len, epochs=1)
    images, labels = data().images.flatten(1) / 255, data().labels
    errors = start[2](images).softmax(1) - nn.functional.one_hot(labels, 2)
    gradient = errors.T @ images / 9 + 0.1 * start[2].weight
    assert torch.allclose(net[2].weight, start[2].weight - 0.01 * gradient, atol=1e-6)


def test_noise_and_dropout_change_training_and_repeat():
    def trained(noise, dropout):
        return state_of(run(RECIPE.model_copy(update={"noise": noise}), network(dropout))[0])

    for noise, dropout in ((0.25, 0.0), (0.0, 0.5)):
        assert same(trained(noise, dropout), trained(noise, dropout))
        assert not same(trained(noise, dropout), trained(0.0, 0.0))


def test_noise_has_the_stated_spread_and_stays_in_the_box():
    grey = torch.full((400, 1, 16, 16), 0.5)
    drawn = noisy(grey, 0.1, torch.Generator().manual_seed(0)) - 0.5
    sigmas = drawn.std(dim=(1, 2, 3))
    assert sigmas.max() < 0.115 and sigmas.min() < 0.005
    assert sigmas.mean().item() == pytest.approx(0.05, abs=0.005)
    loud = noisy(grey, 1.0, torch.Generator().manual_seed(0))
    assert (loud.min(), loud.max()) == (0, 1)


def test_the_global_generator_is_left_as_it_was():
    net = network(0.5)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    run(net=net)
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_image_is_seen_once_an_epoch_in_batches_of_like_size():
    sizes = []
    net = network()
    net.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])) if net.training else None)
    run(net=net, epochs=2)
    assert sizes == [3, 3, 3] * 2


def test_divergence_is_an_error():
    with pytest.raises(FloatingPointError, match="training diverged: the loss of epoch 1 is nan"):
        run(epochs=3, on_step_end=lambda step, lr, net: net[2].weight.data.fill_(math.nan))


@pytest.mark.parametrize("classes", [2, 5])
def test_macro_f1_equals_scikit_learns(classes):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        predictions, labels = torch.randint(0, classes, (2, 40), generator=generator)
        expected = f1_score(labels, predictions, average="macro", labels=range(classes))
        assert macro_f1(predictions, labels, classes) == pytest.approx(expected, abs=1e-12)
    constant = torch.zeros(10, dtype=torch.int64)
    assert macro_f1(constant, torch.arange(10) % 2, 2) == pytest.approx(1 / 3)
