"""The network of emotions: counted parameters, shapes, the published file, and what it learns."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from torch import nn

from scripts.emotions.network.emotion_cnn import (
    PUBLISHED_SHAPE,
    PUBLISHED_WIDTHS,
    EmotionCNN,
    build_network,
    read_published_weights,
)
from scripts.emotions.network.emotion_training import (
    EmotionOptions,
    EmotionTask,
    Examples,
    examples_of,
    outputs_of,
)
from tests.published_network import published_state
from tests.unit.emotion_networks import probabilities_of
from workflow.lib.errors import InputError
from workflow.lib.training.history import TRAINING, VALIDATION
from workflow.lib.training.task import train

CPU = torch.device("cpu")
SHAPE = (8, 7, 6)
N_CLASSES = 3
WIDTHS = (4, 8, 8)


def test_published_size_has_the_counted_parameters():
    """By hand: convolutions and normalisations of each block, and the two ends."""
    stem = 27 * 32 + 2 * 32
    blocks = sum(
        i * 2 * i + 2 * 2 * i + 27 * 2 * i + 2 * 2 * i + 2 * i * o + 2 * o
        for i, o in ((32, 64), (64, 128), (128, 256), (256, 256))
    )
    counted = sum(p.numel() for p in EmotionCNN().parameters())
    assert counted == stem + blocks + 5 * (256 + 1) == 424_549


def test_published_size_steps_once():
    """A step on two published volumes changes every parameter, and the loss is that of a guess."""
    network = build_network(PUBLISHED_WIDTHS, 5, seed=1)
    before = [p.detach().clone() for p in network.parameters()]
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    torch.manual_seed(0)
    loss = nn.functional.cross_entropy(
        network(torch.randn(2, *PUBLISHED_SHAPE)), torch.tensor([0, 3])
    )
    loss.backward()
    optimiser.step()
    assert loss.item() == pytest.approx(np.log(5), abs=0.6)
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_blocks_halve_the_volume_and_the_mean_is_over_what_is_left():
    outputs = EmotionCNN((4, 6, 10), 3).eval().layer_outputs(torch.randn(2, 9, 8, 5))
    shapes = {name: tuple(value.shape) for name, value in outputs.items()}
    assert shapes == {
        "block1": (2, 6, 5, 4, 3),
        "block2": (2, 10, 3, 2, 2),
        "pooled": (2, 10),
        "logits": (2, 3),
    }
    torch.testing.assert_close(outputs["pooled"], outputs["block2"].flatten(2).mean(2))


def test_the_linear_layer_may_see_all_places():
    """Where a pattern lies makes no difference to means, but for the border, and does to places."""
    volumes = torch.zeros(2, 32, 32, 32)
    volumes[0, 8:12, 8:12, 8:12] = volumes[1, 16:20, 16:20, 16:20] = 1
    averaging = EmotionCNN((4, 6), 3).eval()
    placed = EmotionCNN((4, 6), 3, shape=(32, 32, 32)).eval()
    with torch.inference_mode():
        same, other = averaging(volumes), placed(volumes)
    torch.testing.assert_close(same[0], same[1], atol=1e-6, rtol=1e-5)
    assert (other[0] - other[1]).abs().max() > 1e-4
    assert EmotionCNN((4, 6, 8), 3, shape=(9, 8, 5)).head.in_features == 8 * 3 * 2 * 2


def test_a_channel_is_filtered_in_space_by_itself():
    """Of the filter of one channel alone its own channel depends."""
    block = EmotionCNN((4, 6), 2).blocks[0].eval()
    x = torch.randn(1, 4, 6, 6, 6)
    wide = block.expand(x)
    before = block.filter(wide)
    with torch.no_grad():
        block.filter.convolution.weight[3] += 1
    changed = (block.filter(wide) != before).flatten(2).any(2).squeeze()
    assert changed.nonzero().flatten().tolist() == [3]


def test_published_weights_are_read_under_our_names(tmp_path):
    state, expected = published_state()
    torch.save(state, tmp_path / "bestmodel.pth")
    network = build_network(PUBLISHED_WIDTHS, 5, seed=9).eval()
    network.load_state_dict(read_published_weights(tmp_path / "bestmodel.pth"))
    volume = torch.randn(1, 16, 16, 9)
    with torch.inference_mode():
        torch.testing.assert_close(network(volume), expected(volume))


class Trap:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return print, ("code in a file of weights was run",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("ds2.bn1.weight"),
            r"fit the published network \(keys: 1 missing, for example blocks\.1\.expand\.norm\.we",
        ),
        (
            lambda state: state.update({"fc.bias": torch.zeros(7)}),
            r"1 of another shape, for example 'head\.bias', \(7,\) in place of \(5,\)",
        ),
        (
            lambda state: state.update({"ds5.x": torch.zeros(1)}),
            r"1 unknown, for example blocks\.4\.x",
        ),
        (lambda state: state.update(a=Trap()), r"bestmodel\.pth: found more than tensors, which c"),
    ],
)
def test_other_weights_are_refused(tmp_path, capsys, change, message):
    state, _ = published_state()
    change(state)
    torch.save(state, tmp_path / "bestmodel.pth")
    with pytest.raises(InputError, match=message):
        read_published_weights(tmp_path / "bestmodel.pth")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 half an archive"])
def test_damaged_weights_are_refused(tmp_path, content):
    (tmp_path / "bestmodel.pth").write_bytes(content)
    unreadable = r"bestmodel\.pth: found (\d+ bytes that are no readable weights|more than tensors)"
    with pytest.raises(InputError, match=unreadable):
        read_published_weights(tmp_path / "bestmodel.pth")


def test_a_network_without_blocks():
    with pytest.raises(InputError, match=r"widths: found \[8\], expected"):
        build_network([8], 3, seed=1)


def test_a_seed_gives_one_network_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (build_network(WIDTHS, 4, seed=9) for _ in range(2))
    assert torch.rand(1) == expected
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


# Training.


class Planted:
    """Volumes of noise in which every class has a place of its own that is brighter."""

    shape = SHAPE

    def __init__(self, codes, n_subjects=2, strength=2.5, seed=0):
        rng = np.random.default_rng(seed)
        self.values = rng.standard_normal((n_subjects, len(codes), *SHAPE)).astype(np.float32)
        for code in range(N_CLASSES):
            where = (slice(None), codes == code, slice(2 * code, 2 * code + 3), slice(2, 5))
            self.values[where] += strength

    def read(self, subjects, rows):
        return self.values[subjects, rows]


N_ROWS = 90
CODES = np.random.default_rng(1).permutation(np.arange(N_ROWS) % (N_CLASSES + 1) - 1)


def parts(codes=CODES):
    """Return training, validation and test volumes: thirds of the rows, of both subjects."""
    chosen = np.zeros((3, 2, N_ROWS), bool)
    for number, rows in enumerate(np.array_split(np.arange(N_ROWS), 3)):
        chosen[number][:, rows] = codes[rows] >= 0
    return [examples_of(part, codes) for part in chosen]


def task_of(volumes, settings, codes=CODES, seed=1):
    training, validation, _ = parts(codes)
    network = build_network(WIDTHS, N_CLASSES, seed=seed)
    options = {"training": training, "validation": validation, "options": settings}
    return EmotionTask(network, volumes, **options, device=CPU, seed=seed, purpose="test")


def trained(task, checkpoint):
    return train(task, seed=1, purpose="test", checkpoint=checkpoint, code="")


SHORT = EmotionOptions(n_epochs=3, batch=8, learning_rate=0.01, patience=None)


def accuracy(task, examples):
    found = probabilities_of(task.network, task.volumes, examples)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    return (found.argmax(axis=1) == examples.codes).mean()


def test_examples_are_those_chosen():
    chosen = np.zeros((2, 4), bool)
    chosen[0, 1] = chosen[1, [0, 3]] = True
    found = examples_of(chosen, np.array([2, 0, -1, 1]))
    assert found.subjects.tolist() == [0, 1, 1]
    assert found.rows.tolist() == [1, 0, 3]
    assert found.codes.tolist() == [0, 2, 1]


def test_what_is_planted_is_learned_and_noise_is_not(tmp_path):
    settings = EmotionOptions(n_epochs=10, batch=8, learning_rate=0.01, patience=None)
    planted = task_of(Planted(CODES), settings)
    history = trained(planted, tmp_path / "a")
    test = parts()[2]
    assert accuracy(planted, test) > 0.8
    loss = history.query("measure == 'loss' and part == @VALIDATION")["value"]
    assert loss.iloc[-1] < 0.7 * np.log(N_CLASSES)
    noise = task_of(Planted(CODES, strength=0), settings)
    trained(noise, tmp_path / "b")
    # Two standard errors of a guess.
    assert accuracy(noise, test) < 1 / 3 + 2 * np.sqrt(2 / 9 / len(test))


def test_the_best_epoch_on_validation_volumes_is_kept(tmp_path):
    """Labels of validation volumes are wrong, so that training makes them worse."""
    wrong = CODES.copy()
    wrong[30:60] = np.where(CODES[30:60] >= 0, (CODES[30:60] + 1) % N_CLASSES, -1)
    settings = EmotionOptions(n_epochs=30, batch=8, learning_rate=0.01, patience=2)
    task = task_of(Planted(CODES), settings, codes=wrong)
    history = trained(task, tmp_path / "a")
    measured = history[history["part"] == VALIDATION].pivot(
        index="epoch", columns="measure", values="value"
    )
    best = measured.sort_values(["accuracy", "loss"], ascending=[False, True]).index[0]
    assert measured.index.max() == best + settings.patience < 30
    found = probabilities_of(task.network, task.volumes, task.validation)
    codes = task.validation.codes
    kept = -np.log(found[np.arange(len(codes)), codes]).mean()
    assert kept == pytest.approx(measured.loc[best, "loss"], rel=1e-4)
    assert (found.argmax(axis=1) == codes).mean() == pytest.approx(measured.loc[best, "accuracy"])


@pytest.mark.parametrize("balanced", [False, True])
def test_where_classes_weigh_the_same_the_best_epoch_is_best_on_their_mean(tmp_path, balanced):
    """Of validation volumes one class has five times the others', and training overshoots."""
    codes = CODES.copy()
    codes[30:60] = np.where(np.arange(30) % 7 < 5, 0, np.arange(30) % 7 - 4)
    settings = EmotionOptions(
        n_epochs=6, batch=8, learning_rate=0.03, patience=None, balanced=balanced
    )
    task = task_of(Planted(codes, strength=1.0), settings, codes=codes)
    history = trained(task, tmp_path / "a")
    validated = history[history["part"] == VALIDATION].pivot(
        index="epoch", columns="measure", values="value"
    )
    by = "balanced accuracy" if balanced else "accuracy"
    best = validated.sort_values([by, "loss"], ascending=[False, True]).index[0]
    assert task.best.epoch + 1 == best
    found = probabilities_of(task.network, task.volumes, task.validation).argmax(axis=1)
    score = balanced_accuracy_score if balanced else accuracy_score
    assert score(task.validation.codes, found) == pytest.approx(validated.loc[best, by])
    assert ("balanced accuracy" in validated) == balanced


def test_a_run_that_is_cut_short_ends_with_the_same_network(tmp_path):
    whole = task_of(Planted(CODES), SHORT)
    expected = trained(whole, tmp_path / "whole")

    class Killed(Planted):
        n_reads = 0

        def read(self, subjects, rows):
            self.n_reads += 1
            if self.n_reads == 11:
                raise KeyboardInterrupt
            return super().read(subjects, rows)

    with pytest.raises(KeyboardInterrupt):
        trained(task_of(Killed(CODES), SHORT), tmp_path / "cut")
    again = task_of(Planted(CODES), SHORT)
    found = trained(again, tmp_path / "cut")
    np.testing.assert_array_equal(found["value"], expected["value"])
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_volume_is_seen_once_an_epoch():
    class Counted(Planted):
        seen = ()

        def read(self, subjects, rows):
            self.seen = [*self.seen, *zip(subjects.tolist(), rows.tolist(), strict=True)]
            return super().read(subjects, rows)

    volumes = Counted(CODES)
    task = task_of(volumes, EmotionOptions(n_epochs=1, batch=12, learning_rate=0.01))
    assert len(task.training) == 4 * 12
    for step in range(task.n_steps(0)):
        task.step(0, step, np.random.default_rng(0))
    trained = zip(task.training.subjects.tolist(), task.training.rows.tolist(), strict=True)
    assert sorted(volumes.seen) == sorted(trained)


def test_balanced_classes_weigh_the_same():
    """The loss of class k has weight n / (n_classes n_k), as scikit-learn's `balanced`."""
    few = np.where((CODES == 0) & (np.arange(N_ROWS) % 2 == 0), -1, CODES)
    task = task_of(Planted(few), EmotionOptions(n_epochs=1, batch=8, balanced=True), codes=few)
    counts = np.bincount(task.training.codes)
    assert counts[0] < counts[1]
    expected = counts.sum() / (3 * counts)
    np.testing.assert_allclose(task.class_weights.numpy(), expected, rtol=1e-6)


def test_noise_is_added_within_the_brain_in_training():
    class Empty(Planted):
        def read(self, subjects, rows):
            values = super().read(subjects, rows)
            values[:, 0] = 0
            return values

    task = task_of(Empty(CODES), EmotionOptions(n_epochs=1, batch=8, noise=2.0))
    volumes = torch.from_numpy(task.volumes.read(task.training.subjects, task.training.rows))
    torch.manual_seed(0)
    added = task._noisy(volumes) - volumes
    assert (added[:, 0] == 0).all()
    assert added[:, 1:].std().item() == pytest.approx(2, rel=0.02)


def test_the_learning_rate_falls_as_a_cosine():
    task = task_of(Planted(CODES), SHORT)
    rates = []
    for epoch in range(3):
        rates.append(task.optimisers["network"].param_groups[0]["lr"])
        task.step(epoch, 0, np.random.default_rng(0))
        task.evaluate(epoch)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(3) / 3)) / 2
    np.testing.assert_allclose(rates, expected)


def test_history_has_both_parts(tmp_path):
    history = trained(task_of(Planted(CODES), SHORT), tmp_path / "a")
    rows = set(map(tuple, history[["epoch", "part", "measure"]].to_numpy().tolist()))
    measures = ("loss", "accuracy")
    assert rows == {(e, p, m) for e in (1, 2, 3) for p in (TRAINING, VALIDATION) for m in measures}


def test_outputs_do_not_depend_on_how_many_volumes_go_together(monkeypatch):
    task = task_of(Planted(CODES), SHORT)
    test = parts()[2]
    whole = probabilities_of(task.network, task.volumes, test)
    monkeypatch.setattr(
        "scripts.emotions.network.emotion_training.VOXELS_AT_ONCE", 5 * np.prod(SHAPE)
    )
    sizes = [len(out["pooled"]) for out in outputs_of(task.network, task.volumes, test)]
    assert max(sizes) == 5
    np.testing.assert_allclose(
        probabilities_of(task.network, task.volumes, test), whole, rtol=1e-5, atol=1e-6
    )


def test_a_class_without_training_volumes_is_refused():
    missing = np.where(np.arange(N_ROWS) < 30, np.where(CODES == 1, -1, CODES), CODES)
    with pytest.raises(InputError, match="found no training volume of class 2 of 3"):
        task_of(Planted(CODES), SHORT, codes=missing)


def test_fewer_volumes_than_a_batch_are_refused():
    with pytest.raises(InputError, match=r"found \d+ training volumes, expected a batch of 500"):
        task_of(Planted(CODES), EmotionOptions(batch=500))


def test_no_volumes_have_no_probabilities():
    nothing = Examples(*(np.zeros(0, int) for _ in range(3)))
    task = task_of(Planted(CODES), SHORT)
    assert probabilities_of(task.network, task.volumes, nothing).shape == (0, N_CLASSES)
