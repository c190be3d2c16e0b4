"""Networks trained on pairs: what is planted is found, a null is not, nothing held out is seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from scripts.dissimilarity.learning import pair_training
from scripts.dissimilarity.learning.pair_models import Items, Training, build
from scripts.dissimilarity.learning.pair_training import PairTask, scale_of
from tests.unit.pair_splits import make_splits
from workflow.lib.errors import InputError
from workflow.lib.pairs.sampling import PairSet
from workflow.lib.pairs.splits import CLEAN, LEAKED
from workflow.lib.training.history import TRAINING, VALIDATION

N, N_FEATURES = 100, 8
FAST = {
    "pair_mlp": {"n_epochs": 6, "n_steps": 20, "width": 16},
    "siamese": {"n_epochs": 6, "n_steps": 8, "batch": 64, "widths": (4, 8), "n_codes": 8},
    "contrastive": {"n_epochs": 6, "n_steps": 10, "n_codes": 8},
}
SYMMETRIC = [*FAST.items(), ("siamese", {**FAST["siamese"], "head": "sigmoid2"})]
PUBLISHED = [
    (kind, {**FAST[kind], "form": form})
    for kind in ("pair_mlp", "siamese")
    for form in ("published", "both_orders")
]


@pytest.fixture(scope="module")
def scenes():
    """Return items and dissimilarities: weighted distances of features, of patches of images."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((N, N_FEATURES))
    weights = np.array([4, 3, 2, 1, 0, 0, 0, 0])
    patches = rng.integers(0, 256, (N, 2, 2)).astype(np.uint8)
    images = patches.repeat(8, axis=1).repeat(8, axis=2)[..., None].repeat(3, axis=3)
    brain = {
        "features": pdist(features * np.sqrt(weights), "sqeuclidean"),
        "images": pdist(patches.reshape(N, -1)[:, :2].astype(float)),
    }
    items = Items(features=features.astype(np.float32), images=images)
    return items, {name: (v / v.mean()).astype(np.float32) for name, v in brain.items()}


def values_for(kind, scenes):
    return scenes[1][build(kind, {}).needs[0]]


def split_of(values, name=CLEAN, fold=0, n=N):
    splits = make_splits(values, n, n_folds=5, validation_share=0.25, rng=np.random.default_rng(1))
    return next(split for split in splits if (split.name, split.fold) == (name, fold))


def training_of(split, items, folder, **changes):
    training = Training(
        items=items,
        pairs=split.training,
        validation=split.validation,
        metric="correlation",
        checkpoint=folder / "fit.checkpoint",
        purpose="test",
        seed=1,
    )
    return replace(training, **changes)


def fitted(kind, options, training):
    model = build(kind, options)
    return model, model.fit(training)


def scores(model, items, pairs):
    first, second, true = pairs.all()
    found = model.predict(items, first, second)
    r2 = 1 - np.square(found - true).sum() / np.square(true - true.mean()).sum()
    return r2, spearmanr(found, true)[0]


@pytest.mark.parametrize(
    ("kind", "options", "least"),
    [
        ("pair_mlp", {"n_steps": 60, "width": 32}, 0.75),
        ("siamese", {"n_steps": 30, "batch": 256, "widths": (8, 16), "learning_rate": 0.003}, 0.5),
        ("contrastive", {"n_steps": 30, "n_codes": 8, "learning_rate": 0.003}, 0.5),
    ],
)
def test_planted_dissimilarities_are_found_for_images_never_seen(
    tmp_path, scenes, kind, options, least
):
    split = split_of(values_for(kind, scenes))
    model, history = fitted(kind, options, training_of(split, scenes[0], tmp_path))
    r2, spearman = scores(model, scenes[0], split.test)
    assert spearman > least
    assert r2 > 0.2
    loss = history[history.measure == "loss"].pivot(index="epoch", columns="part", values="value")
    assert list(loss.index) == list(range(1, 11))
    assert loss[TRAINING].iloc[-1] < loss[TRAINING].iloc[0]
    assert loss[VALIDATION].min() < loss[VALIDATION].iloc[0]


@pytest.mark.parametrize(("kind", "options"), FAST.items())
def test_nothing_is_found_where_nothing_is(tmp_path, scenes, kind, options):
    found = []
    for seed in range(4):
        points = np.random.default_rng(seed).standard_normal((N, 6))
        split = split_of(pdist(points).astype(np.float32))
        model, _ = fitted(kind, options, training_of(split, scenes[0], tmp_path))
        (tmp_path / "fit.checkpoint").unlink()
        found.append(scores(model, scenes[0], split.test))
    r2, spearman = np.mean(found, axis=0)
    # Twenty test images: by permuting them, one null Spearman has a spread of 0.13 here.
    assert abs(spearman) < 3 * 0.13 / np.sqrt(4)
    assert r2 < 0.05


@pytest.mark.parametrize(("kind", "options"), SYMMETRIC)
def test_symmetric_models_give_the_same_in_both_orders(tmp_path, scenes, kind, options):
    split = split_of(values_for(kind, scenes))
    model, _ = fitted(kind, options, training_of(split, scenes[0], tmp_path))
    assert model.symmetric
    first, second, _ = split.test.all()
    forth = model.predict(scenes[0], first, second)
    assert forth.dtype == np.float64
    assert np.ptp(forth) > 0
    np.testing.assert_array_equal(forth, model.predict(scenes[0], second, first))


@pytest.mark.parametrize(("kind", "options"), PUBLISHED)
def test_published_models_do_not(tmp_path, scenes, kind, options):
    split = split_of(values_for(kind, scenes))
    model, _ = fitted(kind, options, training_of(split, scenes[0], tmp_path))
    assert not model.symmetric
    first, second, _ = split.test.all()
    forth, back = (model.predict(scenes[0], *pair) for pair in ((first, second), (second, first)))
    assert np.abs(forth - back).max() > 0.01 * forth.std()


def test_published_siamese_cannot_tell_a_pair_from_the_sum_of_its_images(tmp_path, scenes):
    split = split_of(values_for("siamese", scenes))
    options = {**FAST["siamese"], "form": "published"}
    model, _ = fitted("siamese", options, training_of(split, scenes[0], tmp_path))
    a, b, c, d = np.random.default_rng(0).permutation(N).reshape(4, -1)
    found = [model.predict(scenes[0], *pair) for pair in ((a, b), (a, d), (c, b), (c, d))]
    interaction = found[0] - found[1] - found[2] + found[3]
    assert np.abs(interaction).max() < 1e-5 * np.std(found)


@pytest.mark.parametrize("form", ["published", "both_orders"])
def test_published_training_shows_one_order(tmp_path, scenes, monkeypatch, form):
    shown = []

    def spy(network, inputs, first, second):
        shown.append(first < second)
        return compare(network, inputs, first, second)

    compare = pair_training.compare
    monkeypatch.setattr(pair_training, "compare", spy)
    split = split_of(scenes[1]["features"])
    options = {**FAST["pair_mlp"], "form": form}
    fitted("pair_mlp", options, training_of(split, scenes[0], tmp_path))
    share = np.concatenate(shown).mean()
    assert share == 1 if form == "published" else 0.45 < share < 0.55


@pytest.mark.parametrize(("kind", "options"), [*SYMMETRIC, *PUBLISHED])
def test_nothing_held_out_is_seen(tmp_path, scenes, kind, options):
    values = values_for(kind, scenes)
    split = split_of(values)
    model, history = fitted(kind, options, training_of(split, scenes[0], tmp_path / "clean"))
    # All that training must not see is spoilt: test images, and all pairs but its own.
    tested = split.test.images
    items = Items(features=scenes[0].features.copy(), images=scenes[0].images.copy())
    items.features[tested] = np.nan
    items.images[tested] = 255 - items.images[tested]
    hidden = np.full_like(values, np.nan)
    for pairs in (split.training, split.validation):
        hidden[pairs.index()] = values[pairs.index()]
    spoilt = training_of(split_of(hidden), items, tmp_path / "spoilt")
    other, other_history = fitted(kind, options, spoilt)
    assert other_history.equals(history)
    first, second, _ = split.test.all()
    both = [each.predict(scenes[0], first, second) for each in (model, other)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize(("kind", "options"), FAST.items())
def test_the_best_epoch_predicts(tmp_path, scenes, kind, options):
    # So fast that it does not get better with every epoch.
    options = {**options, "learning_rate": 0.05, "n_epochs": 8}
    split = split_of(values_for(kind, scenes))
    model, history = fitted(kind, options, training_of(split, scenes[0], tmp_path))
    first, second, true = split.validation.all()
    found = model.predict(scenes[0], first, second)
    validated = history[history.part == VALIDATION].pivot(
        index="epoch", columns="measure", values="value"
    )
    if kind == "contrastive":
        assert np.corrcoef(found, true)[0, 1] == pytest.approx(validated["pearson"].max(), abs=1e-5)
    else:
        best = validated["loss"].idxmin()
        r2 = 1 - np.square(found - true).mean() / true.var()
        assert r2 == pytest.approx(validated["r2"][best], abs=1e-5)


def test_training_stops_when_patience_has_run_out(tmp_path, scenes):
    split = split_of(np.random.default_rng(0).random(N * (N - 1) // 2).astype(np.float32))
    options = {**FAST["pair_mlp"], "n_epochs": 30, "patience": 2}
    _, history = fitted("pair_mlp", options, training_of(split, scenes[0], tmp_path))
    loss = history[(history.part == VALIDATION) & (history.measure == "loss")]
    assert len(loss) == loss["value"].to_numpy().argmin() + 1 + 2 < 30


@pytest.mark.parametrize(("kind", "options"), FAST.items())
def test_leaked_splits_and_no_validation(tmp_path, scenes, kind, options):
    split = split_of(values_for(kind, scenes), LEAKED)
    training = training_of(split, scenes[0], tmp_path, validation=None)
    model, history = fitted(kind, options, training)
    assert VALIDATION not in set(history.part)
    first, second, _ = split.test.all()
    assert np.isfinite(model.predict(scenes[0], first, second)).all()
    model, history = fitted(kind, options, replace(training, validation=split.validation))
    assert VALIDATION in set(history.part)


class KilledError(Exception):
    """What a kill is: nothing after it happens."""


@pytest.mark.parametrize(("kind", "options"), [*SYMMETRIC, PUBLISHED[0], PUBLISHED[2]])
def test_a_training_that_was_killed_ends_with_the_same_weights(
    tmp_path, scenes, monkeypatch, kind, options
):
    options = {**options, "patience": 5, "save_every": 0}
    split = split_of(values_for(kind, scenes))
    whole, history = fitted(kind, options, training_of(split, scenes[0], tmp_path / "whole"))
    cut = training_of(split, scenes[0], tmp_path / "cut")
    taken = []

    def step(self, epoch, step, rng):
        taken.append((epoch, step))
        if len(taken) == 2 * options["n_steps"] + 3:
            raise KilledError
        return unkilled(self, epoch, step, rng)

    unkilled = PairTask.step
    monkeypatch.setattr(PairTask, "step", step)
    with pytest.raises(KilledError):
        fitted(kind, options, cut)
    again, history_again = fitted(kind, options, cut)
    # No step of the six epochs was repeated but the one that was cut.
    assert len(taken) == 6 * options["n_steps"] + 1
    assert history_again.equals(history)
    for a, b in zip(
        whole._network.state_dict().values(), again._network.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


def test_fits_of_other_purposes_and_pairs_do_not_take_up_each_others_state(tmp_path, scenes):
    split, other = (split_of(scenes[1]["features"], fold=fold) for fold in (0, 1))
    training = training_of(split, scenes[0], tmp_path)
    first, second, _ = split.test.all()
    predictions = []
    for changed in (
        training,
        training,
        replace(training, purpose="other"),
        replace(training, pairs=other.training),
    ):
        model, _ = fitted("pair_mlp", FAST["pair_mlp"], changed)
        predictions.append(model.predict(scenes[0], first, second))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    assert not np.allclose(predictions[0], predictions[2])
    assert not np.allclose(predictions[2], predictions[3])


@pytest.mark.parametrize(("kind", "options"), [*SYMMETRIC, *PUBLISHED])
def test_pairs_are_predicted_alike_however_many_at_once(
    tmp_path, scenes, monkeypatch, kind, options
):
    split = split_of(values_for(kind, scenes))
    model, _ = fitted(kind, options, training_of(split, scenes[0], tmp_path))
    first, second, _ = split.test.all()
    whole = model.predict(scenes[0], first, second)
    monkeypatch.setattr(pair_training, "AT_ONCE", 200)
    monkeypatch.setattr(pair_training, "IMAGES_AT_ONCE", 7)
    np.testing.assert_allclose(model.predict(scenes[0], first, second), whole, rtol=1e-5)
    single = model.predict(scenes[0], first[:1], second[:1])
    np.testing.assert_allclose(single, whole[:1], rtol=1e-5)


@pytest.mark.parametrize(("kind", "options"), FAST.items())
def test_units_of_the_dissimilarities_do_not_matter(tmp_path, scenes, kind, options):
    values = values_for(kind, scenes)
    first, second, _ = split_of(values).test.all()
    found = []
    # Powers of two, so that rounding is the same and paths of training do not part.
    for name, scaled in (("one", values), ("other", values * 256)):
        training = training_of(split_of(scaled), scenes[0], tmp_path / name)
        model, _ = fitted(kind, options, replace(training, metric="euclidean"))
        found.append(model.predict(scenes[0], first, second))
    np.testing.assert_allclose(found[1], found[0] * 256, rtol=1e-4)


@pytest.mark.parametrize(
    ("targets", "head", "metric", "expected"),
    [
        ("standardised", "linear", "euclidean", lambda v: (v.mean(), v.std())),
        ("raw", "linear", "euclidean", lambda v: (0, 1)),
        ("standardised", "sigmoid2", "correlation", lambda v: (0, 1)),
        ("raw", "sigmoid2", "euclidean", lambda v: (0, v.mean())),
    ],
)
def test_targets_are_scaled_by_training_pairs_alone(
    tmp_path, scenes, targets, head, metric, expected
):
    split = split_of(300 + scenes[1]["features"])
    training = training_of(split, scenes[0], tmp_path, metric=metric)
    scale = scale_of(training, targets, head)
    assert (scale.offset, scale.spread) == pytest.approx(expected(split.training.all()[2]))
    values = np.array([280.0, 310.0])
    np.testing.assert_allclose(scale.back(scale(values)), values)


def test_options_are_checked(tmp_path, scenes):
    with pytest.raises(InputError, match="found the option 'layers' for the kind pair_mlp"):
        build("pair_mlp", {"layers": 3})
    split = split_of(scenes[1]["features"])
    training = training_of(split, scenes[0], tmp_path)
    for kind, options, match in (
        ("pair_mlp", {"form": "twin"}, "found the form 'twin'"),
        ("pair_mlp", {"targets": "ranks"}, "found the targets 'ranks', expected one of stand"),
        ("siamese", {"side": 64}, "found images of 16 pixels, expected 64 or more"),
    ):
        with pytest.raises(InputError, match=match):
            fitted(kind, options, training)
    with pytest.raises(InputError, match="found no features"):
        fitted("pair_mlp", {}, replace(training, items=Items()))
    none = PairSet.among(scenes[1]["features"], N, np.array([3]))
    for kind, options in FAST.items():
        with pytest.raises(InputError, match="found no training pairs"):
            fitted(kind, options, replace(training, pairs=none))


@pytest.mark.parametrize("colour", [False, True])
def test_pixels_are_scaled_by_training_images_alone(tmp_path, scenes, colour):
    split = split_of(scenes[1]["images"])
    training = training_of(split, scenes[0], tmp_path)
    model, _ = fitted("siamese", {**FAST["siamese"], "colour": colour}, training)
    seen = scenes[0].images[split.training.images].astype(np.float64)
    pixels = model._network.pixels
    found = pixels.offset.ravel().numpy(), pixels.spread.ravel().numpy()
    if colour:
        expected = seen.mean(axis=(0, 1, 2)), seen.std(axis=(0, 1, 2))
    else:
        expected = [seen.min()], [np.ptp(seen)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_pairs_leak_what_is_special_about_an_image(tmp_path):
    """The published form learns images that it saw in other pairs: the score is not of pairs."""
    rng = np.random.default_rng(3)
    items = Items(features=rng.standard_normal((N, N_FEATURES)).astype(np.float32))
    # An image far from all others is so for reasons that its features know nothing of.
    special = rng.standard_normal(N)
    first, second = np.triu_indices(N, 1)
    values = (special[first] + special[second]).astype(np.float32)
    options = {"n_steps": 40, "batch": 256, "width": 64, "form": "both_orders"}
    r2 = {}
    for name in (CLEAN, LEAKED):
        split = split_of(values, name)
        model, _ = fitted("pair_mlp", options, training_of(split, items, tmp_path / name))
        r2[name], _ = scores(model, items, split.test)
    assert r2[LEAKED] > 0.6
    assert r2[CLEAN] < 0.1
