"""The table "original against ours": its numbers are those of the procedures they stand for."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import scipy.stats
import torch
from scipy.spatial.distance import pdist

from scripts.digits.codes.codes import code_rdms
from scripts.digits.corrections.measure_group_null import (
    assignment_corrections,
    layer_share,
    null_corrections,
    null_findings,
)
from scripts.digits.corrections.measure_signs import sign_agreement, sign_corrections
from scripts.digits.corrections.measure_training import (
    accuracy,
    colour_shift,
    largest_change,
    penalty_share,
    published_colour_shift,
    training_corrections,
)
from scripts.digits.corrections.tabulate_corrections import (
    constant_corrections,
    fit_corrections,
    image_corrections,
    region_corrections,
    smallest_singular_value,
    subject_corrections,
)
from scripts.digits.data.labelled_images import ImageSet
from scripts.digits.network.augmentation import colour_components
from scripts.digits.network.trained import Trained, as_tensor, scaling_of
from scripts.digits.network.vgg import build_vgg
from scripts.digits.regions.choices import ALL_RUNS, CIRCULAR, HELD_OUT_RUNS
from scripts.digits.regions.published_clusters import (
    COLUMNS as REGION_COLUMNS,
)
from scripts.digits.regions.published_clusters import (
    FIRST,
    SECOND,
    WHOLE,
    group_regions,
    published_clusters,
)
from tests.digit_study import CATEGORIES, CODES, CONTRASTS, GROUPS, KINDS
from workflow.lib.corrections import COLUMNS, shown
from workflow.lib.inference.sign_flip import sign_flip_test
from workflow.lib.nifti.maps import BrainMaps
from workflow.lib.rdms.store import RDMStore, write_rdms
from workflow.lib.tables import read_table, write_table


def store_of(path, rdms, model="codes", **descriptors):
    write_rdms(
        path,
        [({"layer": name}, vector) for name, vector in rdms.items()],
        names=CATEGORIES,
        measure="cosine",
        descriptors={"model": model, **descriptors},
    )
    return RDMStore(path)


@pytest.fixture
def codes(tmp_path):
    return store_of(tmp_path / "codes.h5", code_rdms(CODES, KINDS, GROUPS))


# Training.


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 220, size=(24, 1, 1, 3)) + rng.integers(-25, 25, (24, 32, 32, 3))
    return ImageSet(colours.clip(0, 255).astype(np.uint8), np.array(["cat", "dog", "bird"] * 8))


@pytest.fixture(scope="module")
def trained(images):
    network = build_vgg("vgg_small", 3, seed=1).eval()
    return Trained(network, ["cat", "dog", "bird"], scaling_of(images.images))


def predictions_of(trained, images):
    with torch.inference_mode():
        logits = trained.network(trained.scaling(as_tensor(images.images)))
    names = [f"p_{category}" for category in trained.categories]
    return pd.DataFrame(torch.softmax(logits, 1).numpy(), columns=names)


HISTORY = pd.DataFrame(
    [
        (1, "training", "loss", 2.0),
        (1, "training", "penalty", 2.0),
        (2, "training", "loss", 0.6),
        (2, "training", "penalty", 0.2),
        (2, "validation", "loss", 9.0),
    ],
    columns=["epoch", "part", "measure", "value"],
)


def test_penalty_is_a_share_of_the_last_epochs_loss():
    assert penalty_share(HISTORY) == pytest.approx(0.25)


def test_colours_shift_by_as_much_as_in_training(images):
    """Against random moves along the components that training uses."""
    found = colour_components(images.images)
    moves = np.random.default_rng(2).normal(0, 0.1, size=(20_000, 3))
    light = 255 * (moves * found.spreads) @ np.asarray(found.directions).T
    assert colour_shift(images.images) == pytest.approx(np.sqrt(np.square(light).mean()), rel=0.02)


def test_published_colours_shift_by_shares_of_variances(images):
    """Against random numbers times the variances of each image, one number for all components."""
    rng = np.random.default_rng(3)
    shifts = []
    for image in images.images:
        values, directions = np.linalg.eigh(np.cov(image.reshape(-1, 3).T / 255))
        light = rng.normal(0, 0.1, size=(2000, 1)) * (directions @ values)
        shifts.append(np.sqrt(np.square(light).mean()))
    found = published_colour_shift(images.images)
    assert found == pytest.approx(np.mean(shifts), rel=0.02)
    assert found < colour_shift(images.images) / 100


def test_accuracy_in_evaluation_mode_is_that_of_the_network(trained, images):
    predicted = predictions_of(trained, images).to_numpy().argmax(axis=1)
    expected = np.mean(predicted == images.codes(trained.categories))
    assert accuracy(trained, images, dropout=False, seed=0) == pytest.approx(expected)


def test_dropout_changes_the_measured_accuracy_and_nothing_else(images):
    """A network that is right for all images is wrong for some without half of its units."""
    network = build_vgg("vgg_small", 3, seed=1).eval()
    trained = Trained(network, ["cat", "dog", "bird"], scaling_of(images.images))
    best = predictions_of(trained, images).to_numpy().argmax(axis=1)
    right = ImageSet(images.images, np.array(trained.categories)[best])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    with_dropout = [accuracy(trained, right, dropout=True, seed=seed) for seed in range(8)]
    assert accuracy(trained, right, dropout=False, seed=0) == 1
    assert np.mean(with_dropout) < 1
    assert accuracy(trained, right, dropout=True, seed=0) == with_dropout[0]
    assert not network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_differs_from_another_and_not_from_itself(trained, images):
    predictions = predictions_of(trained, images)
    assert largest_change(trained, images, predictions) < 1e-6
    other = Trained(build_vgg("vgg_small", 3, seed=2).eval(), *list(vars(trained).values())[1:])
    expected = np.abs(predictions.to_numpy() - predictions_of(other, images).to_numpy()).max()
    assert largest_change(other, images, predictions) == pytest.approx(expected, rel=1e-4)


def test_rows_of_training(trained, images):
    table = training_corrections(
        *(trained, images, images, HISTORY, predictions_of(trained, images)),
        coloured=["cat", "dog"],
        seed=0,
    )
    assert list(table.columns) == COLUMNS
    decay, colour, right, epochs, changed = table.itertuples()
    # Wilson's limits are the shares from which ours is 1.96 of their standard errors away.
    limits = np.array([right.low, right.high])
    errors = np.sqrt(limits * (1 - limits) / len(images))
    assert np.abs(right.ours - limits) == pytest.approx(1.959964 * errors, rel=1e-5)
    assert right.low < right.high
    assert (decay.original, decay.ours) == (0, 0.25)
    some = images.images[images.labels != "bird"]
    assert colour.ours == pytest.approx(colour_shift(some))
    # 56 epochs, saved after every tenth.
    assert (epochs.original, epochs.ours) == (6, 0)
    assert changed.ours < 1e-6


# Signs of components.


def test_signs_change_the_published_distance_by_what_they_do_to_it_and_ours_not_at_all():
    """Against scipy over all choices of the signs of five components."""
    means = np.random.default_rng(1).standard_normal((8, 5)) * [5, 3, 2, 1, 1]
    usual = pdist(means, "correlation")
    all_signs = itertools.product([-1, 1], repeat=5)
    each = [
        scipy.stats.spearmanr(usual, pdist(means * signs, "correlation")).statistic
        for signs in all_signs
    ]
    rng = np.random.default_rng(0)
    found = np.mean([sign_agreement(means, "correlation", rng) for _ in range(20)])
    # The standard error of 1,000 draws.
    assert found == pytest.approx(np.mean(each), abs=4 * np.std(each) / np.sqrt(1000))
    assert found < 0.95
    assert sign_agreement(means, "cosine", rng) == pytest.approx(1, abs=1e-12)
    assert np.isnan(sign_agreement(means[:, :1], "cosine", rng))


def test_row_of_signs_is_of_the_metric_of_the_study(trained, images):
    for metric, changed in (("cosine", "no choice of signs"), ("correlation", "as published")):
        options = {"variance": 0.9, "metric": metric, "seed": 0, "device": torch.device("cpu")}
        (row,) = sign_corrections(trained, images, **options)
        assert row.ours == (pytest.approx(1) if metric == "cosine" else row.original)
        assert row.original < 1
        assert changed in row.note


# Null subjects.

SHAPE = (14, 14, 12)
MASK = np.ones(SHAPE, dtype=bool)
N_VOXELS = MASK.sum()


def smooth_maps(seed, n_subjects=8, width=1.5):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_subjects, *SHAPE))
    maps = scipy.ndimage.gaussian_filter(noise, (0, width, width, width))
    return (maps / maps.std()).reshape(n_subjects, -1)


def found_in(maps, seed, alpha=0.05):
    return published_clusters(maps, MASK, alpha=alpha, rng=np.random.default_rng(seed))


def test_the_original_finds_clusters_in_smooth_noise():
    found = null_findings(smooth_maps(1), MASK, alpha=0.05, rng=np.random.default_rng(0))
    assert found.mean() > 0.8


@pytest.mark.parametrize(("n_subjects", "n_groups"), [(4, 14), (12, 100)])
def test_null_groups_are_neither_the_subjects_as_they_are_nor_their_negatives(
    monkeypatch, n_subjects, n_groups
):
    """Of all 16 patterns of four signs 14 have both."""
    # A voxel of its own for each subject, which tells its sign.
    maps, seen = np.eye(n_subjects), []
    monkeypatch.setattr(
        "scripts.digits.corrections.measure_group_null.published_clusters",
        lambda values, *_, **__: seen.append(values) or np.zeros(n_subjects),
    )
    mask, rng = np.ones((n_subjects, 1, 1), bool), np.random.default_rng(0)
    assert not null_findings(maps, mask, alpha=0.05, rng=rng).any()
    assert len(seen) == n_groups
    assert all(set(np.sign(values.diagonal())) == {-1, 1} for values in seen)


def test_fresh_groups_of_smooth_noise_are_found_by_the_original_and_seldom_by_ours():
    """Groups that share nothing: random signs stand for new subjects, and exact flips hold 5 %.

    12 or more of 80 groups have a probability of 0.0005 at 12 of 256 each.
    """
    groups = [smooth_maps([7, i]) for i in range(80)]
    assert np.mean([found_in(maps, i).any() for i, maps in enumerate(groups[:40])]) > 0.8
    rng = np.random.default_rng(0)
    ours = [(sign_flip_test(maps, rng=rng).p_max <= 0.05).any() for maps in groups]
    assert np.sum(ours) < 12


def test_unsmooth_noise_has_no_cluster_of_twenty_voxels():
    assert not found_in(np.random.default_rng(2).standard_normal((8, N_VOXELS)), 0, 0.01).any()


def planted_maps(seed, effect, n_voxels_wide=4):
    """Unsmooth noise, above zero in a cube and below it in another."""
    maps = np.random.default_rng(seed).standard_normal((8, *SHAPE))
    maps[:, :n_voxels_wide, :n_voxels_wide, :n_voxels_wide] += effect
    maps[:, -n_voxels_wide:, -n_voxels_wide:, -n_voxels_wide:] -= effect
    return maps.reshape(8, -1)


def test_clusters_have_the_sign_of_what_is_planted_and_twenty_voxels():
    found = found_in(planted_maps(3, 8), 0, 0.02).reshape(SHAPE)
    assert (found[:4, :4, :4] == 1).mean() > 0.8
    assert (found[-4:, -4:, -4:] == -1).mean() > 0.8
    assert np.count_nonzero(found) < 2 * 4**3 + 20
    # Cubes of eight voxels are too small.
    assert not found_in(planted_maps(3, 8, n_voxels_wide=2), 0, 0.005).any()


def test_what_all_subjects_have_is_in_no_null_subject():
    """Unsmooth noise has no clusters, so that groups with one have kept what was planted."""
    maps = planted_maps(3, 2.5)
    assert found_in(maps, 0).any()
    assert not null_findings(maps, MASK, alpha=0.05, rng=np.random.default_rng(0)).any()


def test_the_original_gives_a_layer_to_clusters_above_zero_alone():
    """One layer with a cube of 64 voxels, one without anything."""
    layers = np.stack([planted_maps(4, 8), planted_maps(5, 0)], axis=1)
    share = layer_share(layers, MASK, alpha=0.02, rng=np.random.default_rng(0))
    assert 0.8 * 64 < share * N_VOXELS < 64 + 20


def brain_maps(seed, tmp_path, n_subjects):
    volumes = smooth_maps(seed, n_subjects=2 * n_subjects).reshape(n_subjects, 2, *SHAPE) / 20
    volumes[:, :, 0] = np.nan
    return [BrainMaps(tmp_path / f"{i}.nii", one, np.eye(4)) for i, one in enumerate(volumes)]


VOLUMES = pd.DataFrame({"layer": ["Digit", "Versus"], "volume": [0, 1]})
RUN = {"alpha": 0.05, "seed": 0, "study": "s"}


def test_the_rate_of_ours_in_null_subjects_is_no_measurement(tmp_path):
    (row,) = null_corrections(brain_maps(4, tmp_path, 8), VOLUMES, **RUN)
    assert row.original > 0.5
    assert np.isnan(row.ours)
    assert "by construction" in row.note
    # Wilson's limits: shares from which this one of 100 is 1.96 of their standard errors away.
    low, high = map(float, re.search(r"100 groups: (\S+) to ([0-9.]+)", row.note).groups())
    for limit in (low, high):
        error = np.sqrt(limit * (1 - limit) / 100)
        assert abs(row.original - limit) == pytest.approx(1.96 * error, abs=0.01)
    (few,) = null_corrections(brain_maps(4, tmp_path, 5), VOLUMES, **RUN)
    assert "does not test fewer than 6 subjects" in few.note
    # Of two subjects either map less the mean is the other's negative.
    (two,) = null_corrections(brain_maps(4, tmp_path, 2), VOLUMES, **RUN)
    assert np.isnan(two.original)
    assert "not measured" in two.note
    assert not list(null_corrections(brain_maps(4, tmp_path, 1), VOLUMES, **RUN))


@pytest.mark.parametrize("n_subjects", [8, 1])
def test_layers_of_voxels_are_shares_of_the_whole_mask(tmp_path, n_subjects):
    histogram = pd.DataFrame(
        {
            "region": ["all voxels", "all voxels", "early", "early"],
            "n_voxels": [60, 40, 5, 0],
            "n_reliable": [20, 5, 5, 0],
            "n_in_region": [100, 100, 5, 5],
        }
    )
    maps = brain_maps(6, tmp_path, n_subjects)
    (row,) = assignment_corrections(maps, VOLUMES, histogram, **RUN)
    assert row.ours == pytest.approx(0.25)
    assert np.isnan(row.original) if n_subjects == 1 else 0 < row.original < 0.5


# Regions of the group.

ROWS = pd.DataFrame({"model": ["vgg", "codes"], "layer": ["fc8", "Versus"]})


def regions_of(parts):
    return group_regions(
        parts, MASK, ROWS, ["Versus"], alpha=0.05, rng=np.random.default_rng(0)
    ).set_index(["chosen_in", "layer"])


def test_regions_of_noise_are_above_zero_where_they_were_chosen_and_not_elsewhere():
    """Over 20 groups; the code is its own layer, and layers are independent of it."""
    tables = []
    for seed in range(20):
        names = enumerate((WHOLE, FIRST, SECOND))
        noise = {part: smooth_maps([seed, i], n_subjects=16) for i, part in names}
        tables.append(regions_of({part: z.reshape(8, 2, -1) for part, z in noise.items()}))
    table = pd.concat(tables).groupby(level=[0, 1])
    t, positive = table["t"].mean(), table["t_of_positive"].mean()
    assert t[ALL_RUNS, "Versus"] > 1.5
    assert t[CIRCULAR, "Versus"] > 1.5
    assert abs(t[HELD_OUT_RUNS, "Versus"]) < 0.5
    # The layer has nothing to do with the code, but its positive voxels are positive.
    assert abs(t[ALL_RUNS, "fc8"]) < 0.5
    assert positive[ALL_RUNS, "fc8"] > 0.5


def test_a_planted_region_is_found_in_either_half():
    """t of a mean of 8 in noise of 1, eight subjects: scipy's of the cube."""
    parts = {
        part: np.stack([planted_maps([6, i], 8), planted_maps([7, i], 8)], axis=1)
        for i, part in enumerate((WHOLE, FIRST, SECOND))
    }
    table = regions_of(parts)
    cube = np.zeros(SHAPE, dtype=bool)
    cube[:4, :4, :4] = True
    t = scipy.stats.ttest_1samp(parts[WHOLE][:, 1, cube.ravel()], 0).statistic
    assert table.loc[(ALL_RUNS, "Versus"), "n_voxels"] == pytest.approx(64, abs=20)
    assert table.loc[(ALL_RUNS, "Versus"), "t"] == pytest.approx(t.mean(), rel=0.2)
    assert table.loc[(HELD_OUT_RUNS, "fc8"), "t"] > 0.7 * t.mean()


def test_no_region_has_no_t():
    noise = np.random.default_rng(8).standard_normal((8, 2, N_VOXELS))
    rng = np.random.default_rng(0)
    table = group_regions({WHOLE: noise}, MASK, ROWS, ["Versus"], alpha=0.002, rng=rng)
    assert set(table["chosen_in"]) == {ALL_RUNS}
    assert (table["n_voxels"] == 0).all()
    assert table[["t", "t_of_positive"]].isna().all(axis=None)


# Codes.


def test_cosines_of_a_constant_rdm_are_the_known_ones(codes):
    table = pd.DataFrame(constant_corrections(codes))
    assert table["original"].round(3).tolist() == [0.612, 0.354, 0.707, 0.274, 0.274]
    assert (table["ours"] == 0).all()


def test_codes_that_add_up_to_one_have_no_fit_and_contrasts_have(codes):
    (row,) = fit_corrections(codes, CONTRASTS)
    assert row.original < 1e-12
    assert row.ours > 0.1


def test_singular_values_of_known_columns():
    """Two orthogonal columns: both are one. The same column twice: zero."""
    column = np.array([[1.0, -1.0, 1.0, -1.0]])
    assert smallest_singular_value(column) == pytest.approx(1)
    assert smallest_singular_value(np.vstack([column, 2 * column])) == pytest.approx(0, abs=1e-9)
    # At an angle of 60 degrees: the root of 1 - cos.
    leaning = 0.5 * np.ones((1, 4)) + np.sqrt(0.75) * column
    assert smallest_singular_value(leaning) == pytest.approx(np.sqrt(0.5))


def test_validation_images_are_compared_with_stimuli_layer_by_layer(tmp_path):
    rng = np.random.default_rng(5)
    first, second = rng.random((2, 120))
    compared = store_of(tmp_path / "a.h5", {"conv1_1": first, "fc8": second}, "vgg")
    validation = store_of(
        tmp_path / "b.h5", {"conv1_1": first**2, "fc8": second.max() - second}, "vgg"
    )
    # The same order, and the opposite one.
    (row,) = image_corrections(compared, validation, "stimuli")
    assert row.original == pytest.approx(0, abs=1e-6)
    assert row.ours == 1
    (row,) = image_corrections(compared, compared, "validation")
    assert np.isnan(row.original)
    assert "not mended" in row.note


def regions(*chosen_in):
    rows = [
        {
            **{"code": code, "chosen_in": chosen, "model": model, "layer": layer},
            **{"t": t, "t_of_positive": t + 1, "n_voxels": 30.0},
        }
        for code in ("Digit", "Versus")
        for chosen in chosen_in
        for model, layer, t in (("vgg", "fc6", 1.0), ("vgg", "fc8", 2.0), ("codes", code, 5.0))
    ]
    return pd.DataFrame(rows, columns=REGION_COLUMNS)


def test_regions_stand_beside_the_published_ones_of_as_many_runs():
    """In all runs t is larger by 2, whatever is chosen where; positive t are larger by 1."""
    table = regions(ALL_RUNS, HELD_OUT_RUNS, CIRCULAR)
    more = table["chosen_in"] == ALL_RUNS
    table.loc[more, ["t", "t_of_positive"]] += 2
    table.loc[table["chosen_in"] == CIRCULAR, ["t", "t_of_positive"]] += 0.5
    rows = region_corrections(table, ["Digit", "Versus"], "vgg")
    assert [row.measure.partition(":")[0] for row in rows] == ["Digit"] * 4 + ["Versus"] * 4
    itself, positive, layers, _ = rows[:4]
    assert (itself.original, itself.ours) == pytest.approx((6.5, 5))
    assert (positive.original, positive.ours) == pytest.approx((6, 5))
    assert positive.correction == "positive voxels alone"
    assert (layers.original, layers.ours) == pytest.approx((3, 1.5))
    assert "here 30 voxels" in layers.note
    assert "of all runs: 4.5" in layers.note


def test_regions_without_halves_are_not_mended():
    for row in region_corrections(regions(ALL_RUNS), ["Digit"], "vgg"):
        assert np.isfinite(row.original)
        assert np.isnan(row.ours)
        assert "not mended" in row.note


def test_one_subject_has_no_region_of_a_group(tmp_path):
    write_table(regions(), tmp_path / "clusters.csv")
    rows = region_corrections(read_table(tmp_path / "clusters.csv"), ["Digit", "Versus"], "vgg")
    assert len(rows) == 4
    assert all(np.isnan([row.original, row.ours]).all() for row in rows)
    assert "several subjects" in rows[0].note


def test_one_subject_is_a_single_case():
    assert "single case" in subject_corrections(1)[0].note
    assert "not tested" in subject_corrections(5)[0].note
    assert subject_corrections(8)[0].note.endswith("here the group is tested")


def test_what_there_is_not_is_a_dash():
    numbers = {"original": [np.nan, 1e-17], "ours": [0.123456, 8.0]}
    table = shown(pd.DataFrame({**numbers, "low": [0.1, np.nan], "high": [0.15678, np.nan]}))
    assert table.to_numpy().tolist() == [["-", "0.123 [0.1, 0.157]"], ["0", "8"]]
