"""The training loop: learns, can be interrupted anywhere, and says what it did."""

import io
import logging
import sys

import numpy as np
import pytest
import torch
from torch import nn

from workflow.lib.errors import InputError
from workflow.lib.training import loop
from workflow.lib.training.history import TRAINING, VALIDATION
from workflow.lib.training.loop import bar_of_job, fit

N, N_FEATURES, BATCH = 96, 6, 16


class KilledError(Exception):
    """What a kill is to the loop: it ends there, and nothing after it happens."""


class Classifier:
    """Two clouds, a network with dropout, Adam with a schedule, noise as augmentation."""

    def __init__(self, fail_at=None, scale=1.0):
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        self.labels = torch.tensor(np.arange(N) % 2)
        signal = np.outer(np.arange(N) % 2 - 0.5, np.ones(N_FEATURES)) * 2
        self.inputs = torch.tensor(signal + rng.standard_normal((N, N_FEATURES))).float() * scale
        self.network = nn.Sequential(
            nn.Linear(N_FEATURES, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
        )
        optimiser = torch.optim.Adam(self.network.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, step_size=5, gamma=0.9)
        self.parts = {"network": self.network, "optimiser": optimiser, "schedule": schedule}
        self.fail_at, self.taken, self.ended = fail_at, [], []

    def n_steps(self, epoch):
        return N // BATCH

    def step(self, epoch, step, rng):
        if (epoch, step) == self.fail_at:
            raise KilledError
        self.taken.append((epoch, step))
        order = np.random.default_rng(epoch).permutation(N)
        rows = order[step * BATCH : (step + 1) * BATCH]
        noise = torch.tensor(rng.standard_normal((BATCH, N_FEATURES))).float()
        self.network.train()
        loss = nn.functional.cross_entropy(
            self.network(self.inputs[rows] + 0.3 * noise), self.labels[rows]
        )
        self.parts["optimiser"].zero_grad()
        loss.backward()
        self.parts["optimiser"].step()
        self.parts["schedule"].step()
        return {"loss": loss.item()}

    def evaluate(self, epoch):
        self.network.eval()
        with torch.inference_mode():
            predicted = self.network(self.inputs).argmax(1)
        return {VALIDATION: {"accuracy": float((predicted == self.labels).float().mean())}}

    def after_epoch(self, epoch):
        """Draw from the global random state, which later steps must not notice."""
        self.ended.append(epoch)
        torch.rand(epoch + 1)

    def finish(self):
        return {"network": self.network}


def train(task, folder, *, n_epochs=6, settings=None, save_every=0.0):
    return fit(
        task,
        n_epochs=n_epochs,
        seed=1,
        purpose="test",
        checkpoint=folder / "net.checkpoint",
        settings=settings or {},
        save_every=save_every,
    )


def weights(task):
    return torch.cat([p.flatten() for p in task.network.parameters()]).detach()


def test_learns_and_tells_the_history(tmp_path):
    task = Classifier()
    before = task.evaluate(0)[VALIDATION]["accuracy"]
    history = train(task, tmp_path, n_epochs=12)
    values = history.set_index(["part", "measure", "epoch"])["value"].unstack()
    assert list(values.columns) == list(range(1, 13))
    assert values.loc[(VALIDATION, "accuracy"), 12] > max(0.85, before)
    assert values.loc[(TRAINING, "loss"), 12] < 0.6 * values.loc[(TRAINING, "loss"), 1]
    assert len(task.taken) == 12 * (N // BATCH)


@pytest.mark.parametrize("fail_at", [(0, 0), (0, 3), (2, 0), (3, 5), (5, 5)])
@pytest.mark.parametrize("every", [1, 4, 6, 9, 1000], ids="saved every {} steps".format)
def test_interrupted_run_ends_with_the_same_network(tmp_path, monkeypatch, fail_at, every):
    """Saved by time alone, which passes with steps here, of which an epoch has six."""
    whole = Classifier()
    expected = train(whole, tmp_path / "whole", save_every=1e9)
    cut = Classifier(fail_at=fail_at)
    monkeypatch.setattr(loop.time, "monotonic", lambda: len(cut.taken))
    with pytest.raises(KilledError):
        train(cut, tmp_path / "cut", save_every=every - 0.5)
    resumed = Classifier()
    history = train(resumed, tmp_path / "cut", save_every=1e9)
    assert torch.equal(weights(resumed), weights(whole))
    assert history.equals(expected)
    assert whole.ended == list(range(6))
    # Only what was not saved is done again.
    n_saved = len(cut.taken) // every * every
    assert resumed.taken[0] == divmod(n_saved, N // BATCH)
    # An epoch whose last step alone is saved has yet to end.
    first_ended = max(n_saved - 1, 0) // (N // BATCH)
    assert resumed.ended == list(range(first_ended, 6))


def test_nothing_is_saved_before_it_is_due_but_the_end(tmp_path, monkeypatch):
    """Epochs do not matter, whose state may take gigabytes."""
    saved = []
    real = loop.torch.save
    monkeypatch.setattr(loop.torch, "save", lambda state, file: saved.append(real(state, file)))
    train(Classifier(), tmp_path, save_every=1e9)
    assert len(saved) == 1


def test_the_result_alone_is_kept_of_a_training_that_has_ended(tmp_path):
    """Weights, and neither gradients' moments nor schedules."""
    task = Classifier()
    train(task, tmp_path)
    kept = torch.load(tmp_path / "net.checkpoint", weights_only=True)["parts"]
    assert list(kept) == ["network"]
    for name, value in task.network.state_dict().items():
        assert torch.equal(kept["network"][name], value)


def test_checkpoint_of_other_settings_is_not_taken_up(tmp_path, caplog):
    train(Classifier(), tmp_path, settings={"learning_rate": 0.1})
    task = Classifier()
    train(task, tmp_path, settings={"learning_rate": 0.2})
    assert task.taken[0] == (0, 0)
    assert "of other settings" in caplog.text


def test_checkpoint_of_other_parts_is_not_taken_up(tmp_path, caplog):
    train(Classifier(), tmp_path)
    task = Classifier()
    task.parts["second schedule"] = task.parts["schedule"]
    train(task, tmp_path)
    assert task.taken[0] == (0, 0)
    assert "of other settings" in caplog.text


def test_training_ends_with_an_epoch_without_steps(tmp_path):
    class Short(Classifier):
        def n_steps(self, epoch):
            return super().n_steps(epoch) if epoch < 2 else 0

    task = Short()
    history = train(task, tmp_path)
    assert task.ended == [0, 1]
    assert history["epoch"].max() == 2
    again = Short()
    assert train(again, tmp_path).equals(history)
    assert again.ended == []


def test_finished_training_is_not_repeated(tmp_path):
    first = Classifier()
    expected = train(first, tmp_path)
    again = Classifier()
    assert train(again, tmp_path).equals(expected)
    assert again.taken == []
    assert torch.equal(weights(again), weights(first))


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(InputError, match=r"found loss (nan|inf) at epoch 1, step 0"):
        train(Classifier(scale=np.inf), tmp_path)


class Screen(io.StringIO):
    """What a terminal is shown."""

    def isatty(self):
        return True


@pytest.fixture
def fresh_bar():
    """Let a test have the bar of a job that has trained nothing yet."""
    bar_of_job.cache_clear()
    yield
    bar_of_job.cache_clear()


def test_a_terminal_is_shown_one_bar_for_all_that_a_job_trains(tmp_path, monkeypatch, fresh_bar):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    for i in range(3):
        train(Classifier(), tmp_path / str(i), n_epochs=2)
    with pytest.raises(KilledError):
        train(Classifier(fail_at=(1, 2)), tmp_path / "cut", n_epochs=2, save_every=1e9)
    train(Classifier(), tmp_path / "cut", n_epochs=2)
    bar = bar_of_job()
    # Four whole trainings, and eight steps of one that was cut before it had saved any.
    assert bar.n == bar.total == (4 * 2) * (N // BATCH) + 8
    bar.close()
    shown = screen.getvalue()
    assert shown.count("\n") == 1
    assert "test, accuracy" in shown


def test_a_log_has_a_line_for_each_training_and_no_bar(tmp_path, monkeypatch, caplog, fresh_bar):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with caplog.at_level(logging.INFO, logger="workflow"):
        for i in range(3):
            train(Classifier(), tmp_path / str(i), n_epochs=2)
    assert stream.getvalue() == ""
    assert len(caplog.messages) == 3
    assert all(line.startswith("trained test, 2 epochs, accuracy ") for line in caplog.messages)
