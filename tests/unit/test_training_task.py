"""What all trainings share, against plain PyTorch: steps, two optimisers, best epochs, resuming."""

import contextlib
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from torch import nn

from workflow.lib.features.initial import seeded_network, weights_seed
from workflow.lib.training import loop
from workflow.lib.training.batches import BatchOrder
from workflow.lib.training.best import Best
from workflow.lib.training.digest import digest_of_arrays
from workflow.lib.training.history import TRAINING, VALIDATION
from workflow.lib.training.measures import accuracy, balanced_accuracy, classified
from workflow.lib.training.options import TrainingOptions
from workflow.lib.training.samples import Samples
from workflow.lib.training.task import NetworkTask, SupervisedTask, adamw, train

N, N_FEATURES = 40, 5
OPTIONS = TrainingOptions(n_epochs=6, batch=8, learning_rate=0.05, weight_decay=0.1)


class KilledError(Exception):
    """What a kill is: nothing after it happens."""


def made_data(seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((N, N_FEATURES)).astype(np.float32)
    return inputs, (inputs @ np.arange(N_FEATURES)).astype(np.float32)


def regressor(seed=3):
    return seeded_network(lambda: nn.Linear(N_FEATURES, 1), seed)


class Regression(SupervisedTask):
    """A line, and validation losses that are given."""

    def __init__(self, options=OPTIONS, validated=(), data=None, fail_at=None, **parts):
        super().__init__(regressor(), options, **parts)
        self.inputs, self.targets = data or made_data()
        self.order = BatchOrder(N, options.batch, 1, "test")
        self.validated, self.fail_at, self.modes, self.kept = validated, fail_at, [], {}

    def n_batches(self, epoch):
        return self.order.n_batches

    def data_digest(self):
        return digest_of_arrays(self.inputs, self.targets)

    def loss(self, epoch, step, rng):
        if (epoch, step) == self.fail_at:
            raise KilledError
        self.modes.append(self.network.training)
        rows = self.order.rows(epoch, step)
        inputs, targets = (torch.from_numpy(v[rows]) for v in (self.inputs, self.targets))
        error = (self.network(inputs)[:, 0] - targets).square().mean()
        return error, {"root": error.sqrt().item()}

    def validate(self, epoch):
        assert not self.network.training
        assert not torch.is_grad_enabled()
        if not self.validated:
            return {}
        self.kept[epoch] = weights(self.network)
        return {VALIDATION: {"loss": self.validated[epoch]}}


def weights(*networks):
    return torch.cat([p.detach().flatten() for each in networks for p in each.parameters()])


def trained(task, folder, name="net", code="", **options):
    checkpoint = folder / f"{name}.checkpoint"
    return train(task, seed=1, purpose="test", checkpoint=checkpoint, code=code, **options)


# One network.


def test_steps_are_those_of_plain_pytorch(tmp_path):
    """The same rows, AdamW and a cosine over epochs, written out."""
    network, (inputs, targets) = regressor(), made_data()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.05, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 6)
    order, losses = BatchOrder(N, 8, 1, "test"), []
    for epoch in range(6):
        for step in range(5):
            rows = order.rows(epoch, step)
            found = network(torch.from_numpy(inputs[rows]))[:, 0]
            loss = (found - torch.from_numpy(targets[rows])).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        schedule.step()
    built = adamw(regressor(), OPTIONS)
    assert built.defaults["fused"]
    task = Regression()
    own = task.optimisers["network"]
    task.epoch_schedules["network"] = torch.optim.lr_scheduler.CosineAnnealingLR(own, 6)
    history = trained(task, tmp_path)
    torch.testing.assert_close(weights(task.network), weights(network), rtol=1e-5, atol=1e-6)
    of_training = history[history["part"] == TRAINING].pivot(
        index="epoch", columns="measure", values="value"
    )
    np.testing.assert_allclose(of_training["loss"], np.reshape(losses, (6, 5)).mean(1), rtol=1e-4)
    roots = np.sqrt(losses).reshape(6, 5).mean(1)
    np.testing.assert_allclose(of_training["root"], roots, rtol=1e-4)
    assert all(task.modes)
    assert not task.network.training


def test_a_schedule_may_follow_steps():
    network = regressor()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 2, 0.5)
    task = NetworkOf(network, optimiser, schedule)
    rates = []
    for step in range(5):
        rates.append(optimiser.param_groups[0]["lr"])
        task.step(0, step, None)
    assert rates == [1, 1, 0.5, 0.5, 0.25]


class NetworkOf(NetworkTask):
    def __init__(self, network, optimiser, schedule):
        super().__init__(
            {"one": network}, {"one": optimiser}, OPTIONS, step_schedules={"one": schedule}
        )

    def n_batches(self, epoch):
        return 5

    def step(self, epoch, step, rng):
        self.descend(self.networks["one"](torch.ones(1, N_FEATURES)).sum(), "one")
        return {}


def test_weights_of_the_best_epoch_are_kept(tmp_path):
    task = Regression(validated=(3.0, 1.0, np.nan, 2.0, 1.0, 4.0))
    history = trained(task, tmp_path)
    assert task.best.epoch == 1
    assert set(history.loc[history["kept"] == 1, "epoch"]) == {2}
    assert torch.equal(weights(task.network), task.kept[1])
    assert not torch.equal(task.kept[1], task.kept[5])


def test_without_a_score_the_last_epoch_is_kept(tmp_path):
    class Unscored(Regression):
        def score(self, measures):
            return None

    task = Unscored(validated=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    history = trained(task, tmp_path)
    assert set(history.loc[history["kept"] == 1, "epoch"]) == {6}
    assert torch.equal(weights(task.network), task.kept[5])


@pytest.mark.parametrize(("patience", "n_epochs"), [(None, 6), (1, 3), (2, 4), (4, 6)])
def test_training_stops_when_patience_has_run_out(tmp_path, patience, n_epochs):
    """The second epoch is the best: patience lasts so many epochs after it."""
    options = TrainingOptions(n_epochs=6, batch=8, patience=patience)
    task = Regression(options, validated=(3.0, 1.0, 2.0, 2.0, 2.0, 2.0))
    history = trained(task, tmp_path)
    assert sorted(set(history["epoch"])) == list(range(1, n_epochs + 1))
    assert torch.equal(weights(task.network), task.kept[1])


def test_scores_break_ties_and_nan_is_never_best():
    best, networks = Best(), {"one": regressor()}
    offered = [(-0.5, np.nan), (-0.4, 1.0), (-0.5, 2.0), (-0.5, 2.0), (-0.5, 1.5), (-0.4, 0.1)]
    epochs = []
    for epoch, score in enumerate(offered):
        best.offer(score, epoch, networks)
        epochs.append(best.epoch)
    assert epochs == [-1, 1, 2, 2, 4, 4]


# Two networks.


@dataclass(kw_only=True)
class GanOptions(TrainingOptions):
    sample_every: int = 2


class Gan(NetworkTask):
    """Noise is brought to the place of the data by a generator that has to fool another network."""

    def __init__(self, fail_at=None, save_every=60.0):
        self.generator = seeded_network(lambda: nn.Linear(2, 1), 1)
        self.discriminator = seeded_network(
            lambda: nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1)), 2
        )
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        rates = {"generator": 0.02, "discriminator": 0.05}
        optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=rates[name], betas=(0.5, 0.999))
            for name, network in networks.items()
        }
        super().__init__(networks, optimisers, GanOptions(n_epochs=7, save_every=save_every))
        self.samples = self.parts["samples"] = Samples(7, every=self.options.sample_every)
        self.fail_at = fail_at

    def n_batches(self, epoch):
        return 6

    def losses(self, rng):
        real = torch.tensor(3 + 0.2 * rng.standard_normal((16, 1))).float()
        fake = self.generator(torch.randn(16, 2))
        told = nn.functional.softplus(-self.discriminator(real)).mean()
        told = told + nn.functional.softplus(self.discriminator(fake.detach())).mean()
        return fake, told

    def step(self, epoch, step, rng):
        if (epoch, step) == self.fail_at:
            raise KilledError
        self.training_mode()
        fake, told = self.losses(rng)
        self.descend(told, "discriminator")
        fooled = nn.functional.softplus(-self.discriminator(fake)).mean()
        self.descend(fooled, "generator")
        return {"discriminator loss": told.item(), "generator loss": fooled.item()}

    def after_epoch(self, epoch):
        if (epoch, "after") == self.fail_at:
            raise KilledError
        if self.samples.due(epoch):
            self.samples.add(epoch, self.generator(torch.ones(3, 2)))


def test_a_step_of_one_optimiser_leaves_the_other_network_alone():
    task = Gan()
    torch.manual_seed(0)
    fake, told = task.losses(np.random.default_rng(0))
    before = weights(task.generator)
    task.descend(told, "discriminator")
    assert torch.equal(weights(task.generator), before)
    gradients = [p.grad.clone() for p in task.discriminator.parameters()]
    own = weights(task.discriminator)
    task.descend(task.discriminator(fake).mean(), "generator")
    assert torch.equal(weights(task.discriminator), own)
    assert not torch.equal(weights(task.generator), before)
    for parameter, gradient in zip(task.discriminator.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_the_generator_is_drawn_to_the_data(tmp_path):
    task = Gan()
    with torch.no_grad():
        before = task.generator(torch.randn(200, 2)).mean().item()
    task.options.n_epochs = 60
    trained(task, tmp_path)
    with torch.no_grad():
        after = task.generator(torch.randn(200, 2)).mean().item()
    assert abs(after - 3) < 0.5 * abs(before - 3)


@pytest.mark.parametrize("fail_at", [(0, 0), (2, 3), (3, "after"), (6, 5)])
@pytest.mark.parametrize("every", [1, 4, 6, 1000], ids="saved every {} steps".format)
def test_two_networks_that_were_cut_short_end_the_same(tmp_path, monkeypatch, fail_at, every):
    """Saved by time alone, which passes with steps here, of which an epoch has six."""
    whole = Gan()
    expected = trained(whole, tmp_path)
    clock = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    with pytest.raises(KilledError):
        trained(Gan(fail_at, save_every=every - 0.5), tmp_path, "cut")
    monkeypatch.undo()
    again = Gan()
    assert trained(again, tmp_path, "cut").equals(expected)
    for name, network in whole.networks.items():
        assert torch.equal(weights(network), weights(again.networks[name]))
    for one, other in zip(whole.samples.grid(), again.samples.grid(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_training_that_has_ended_is_read_as_it_was(tmp_path):
    """Networks, samples, and which epoch is kept, from a file without what steps need."""
    whole = Gan()
    expected = trained(whole, tmp_path)
    again = Gan(fail_at=(0, 0))
    assert trained(again, tmp_path).equals(expected)
    for name, network in whole.networks.items():
        assert torch.equal(weights(network), weights(again.networks[name]))
        assert not again.networks[name].training
    for one, other in zip(whole.samples.grid(), again.samples.grid(), strict=True):
        np.testing.assert_array_equal(one, other)
    best = Regression(validated=(3.0, 1.0, 2.0, 2.0, 5.0, 5.0))
    history = trained(best, tmp_path, "best")
    read = Regression(fail_at=(0, 0))
    assert trained(read, tmp_path, "best").equals(history)
    assert torch.equal(weights(read.network), best.kept[1])
    assert torch.equal(weights(best.network), best.kept[1])


def test_samples_are_of_the_first_epoch_the_last_and_some_between(tmp_path):
    task = Gan()
    trained(task, tmp_path)
    epochs, rows = task.samples.grid()
    assert epochs.tolist() == [1, 2, 4, 6, 7]
    assert rows.shape == (5, 3, 1)
    with torch.no_grad():
        np.testing.assert_array_equal(rows[-1], task.generator(torch.ones(3, 2)))
    none = Samples(7, every=0)
    assert not any(none.due(epoch) for epoch in range(7))
    assert none.grid()[0].size == 0


# What is kept apart.


def test_a_training_on_other_data_starts_anew(tmp_path, caplog):
    trained(Regression(), tmp_path)
    other = Regression(data=made_data(seed=1))
    trained(other, tmp_path)
    assert "of other settings" in caplog.text
    fresh = Regression(data=made_data(seed=1))
    trained(fresh, tmp_path, "fresh")
    assert torch.equal(weights(other.network), weights(fresh.network))


class HalfAsSteep(Regression):
    """As `Regression` once its loss is edited."""

    def loss(self, epoch, step, rng):
        loss, measures = super().loss(epoch, step, rng)
        return loss / 2, measures


@pytest.mark.parametrize("fail_at", [(3, 2), None], ids=["cut short", "ended"])
@pytest.mark.parametrize("edited", [{"code": "edited"}, {"settings": {"dropout": 0.5}}], ids=str)
def test_a_training_by_other_code_or_settings_starts_anew(tmp_path, caplog, fail_at, edited):
    """Weights are then those of a training that nothing came before."""
    every_step = replace(OPTIONS, save_every=-1.0)
    with pytest.raises(KilledError) if fail_at else contextlib.nullcontext():
        trained(Regression(every_step, fail_at=fail_at), tmp_path)
    other = HalfAsSteep()
    trained(other, tmp_path, **edited)
    assert "of other settings" in caplog.text
    fresh = HalfAsSteep()
    trained(fresh, tmp_path, "fresh", **edited)
    assert torch.equal(weights(other.network), weights(fresh.network))


def test_a_training_by_the_same_code_goes_on(tmp_path, caplog):
    """Code decides whether a checkpoint is taken up, and nothing that is drawn."""
    of_run = {"code": "0123456789abcdef", "settings": {"dropout": 0.5, "widths": [4, 16]}}
    whole = Regression()
    trained(whole, tmp_path)
    every_step = replace(OPTIONS, save_every=-1.0)
    with pytest.raises(KilledError):
        trained(Regression(every_step, fail_at=(3, 2)), tmp_path, "cut", **of_run)
    again = Regression()
    trained(again, tmp_path, "cut", **of_run)
    assert "of other settings" not in caplog.text
    assert len(again.modes) == 3 * again.n_batches(0) - 2
    assert torch.equal(weights(again.network), weights(whole.network))


def test_a_supervised_training_that_was_cut_short_keeps_its_best_epoch(tmp_path):
    validated = (3.0, 1.0, 2.0, 2.0, 5.0, 5.0)
    whole = Regression(validated=validated)
    expected = trained(whole, tmp_path)
    with pytest.raises(KilledError):
        trained(Regression(validated=validated, fail_at=(4, 2)), tmp_path, "cut")
    again = Regression(validated=validated)
    assert trained(again, tmp_path, "cut").equals(expected)
    assert torch.equal(weights(again.network), weights(whole.network))


def test_digests_differ_by_values_shapes_types_and_places():
    values = np.arange(6)
    arrays = [
        (values,),
        (values[::-1],),
        (values.reshape(2, 3),),
        (values.astype(np.float64),),
        (values[:3], values[3:]),
        (np.array(["ab", "c"]),),
        (np.array(["a", "bc"]),),
    ]
    assert len({digest_of_arrays(*each) for each in arrays}) == len(arrays)
    assert digest_of_arrays(values[::2]) == digest_of_arrays(np.array([0, 2, 4]))
    assert digest_of_arrays(torch.arange(6)) == digest_of_arrays(values)


# Batches, seeds and measures.


def test_every_example_is_seen_once_an_epoch_in_another_order():
    order = BatchOrder(20, 5, 1, "a")
    assert order.n_batches == 4
    epochs = [np.concatenate([order.rows(epoch, step) for step in range(4)]) for epoch in (0, 1)]
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(20))
    assert not np.array_equal(*epochs)
    np.testing.assert_array_equal(order.rows(0, 2), epochs[0][10:15])
    assert not np.array_equal(BatchOrder(20, 5, 1, "b").rows(0, 0), epochs[0][:5])
    assert BatchOrder(3, 5, 1).n_batches == 1


def test_initial_weights_follow_from_the_seed_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = regressor(9), regressor(9)
    assert torch.rand(1) == expected
    assert torch.equal(weights(first), weights(second))
    torch.manual_seed(9)
    assert torch.equal(weights(nn.Linear(N_FEATURES, 1)), weights(first))
    seeds = {weights_seed(1), weights_seed(2), weights_seed(1, "a"), weights_seed(1, "b")}
    assert len(seeds) == 4


def test_measures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, codes = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    chosen = logits.argmax(1)
    found = torch.tensor(logits), torch.tensor(codes)
    assert accuracy(*found) == pytest.approx(accuracy_score(codes, chosen))
    keep = np.isin(chosen, codes)
    among = torch.tensor(logits[keep]), torch.tensor(codes[keep])
    expected = balanced_accuracy_score(codes[keep], chosen[keep])
    assert balanced_accuracy(*among) == pytest.approx(expected)
    both = classified(*found)
    expected = -torch.log_softmax(found[0], 1)[torch.arange(50), found[1]].mean()
    assert both == pytest.approx({"loss": expected.item(), "accuracy": accuracy(*found)})
