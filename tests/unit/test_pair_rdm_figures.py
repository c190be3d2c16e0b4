"""Figures of measured dissimilarities show the RDMs, distributions and images that they name."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import gaussian_kde

from scripts.dissimilarity.data.pair_images import PairImages, write_pair_images
from scripts.dissimilarity.evaluation.find_extreme_pairs import find_extreme_pairs
from scripts.dissimilarity.figures.plot_distributions import Distribution, plot_distributions
from scripts.dissimilarity.figures.plot_extreme_pairs import (
    pictures,
    plot_extreme_pairs,
    published_note,
    shown_pairs,
)
from scripts.dissimilarity.figures.plot_fmri_rdms import image_order, plot_fmri_rdms
from workflow.lib.rdms.store import RDMStore, write_rdms

SUBJECTS = ("subj01", "subj02")
ROIS = ("V1", "hV4", "all")
METRICS = ("correlation", "euclidean")
N = 24


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("rdms"), np.random.default_rng(2)
    for subject in SUBJECTS:
        patterns = {roi: rng.standard_normal((N, 30)) for roi in ROIS}
        write_rdms(
            folder / f"{subject}.h5",
            [
                ({"roi": roi, "metric": metric}, pdist(patterns[roi], metric))
                for roi in ROIS
                for metric in METRICS
            ],
            names=[f"train-{i:04d}" for i in range(N)],
            measure=", ".join(METRICS),
            descriptors={"study": "scenes", "subject": subject},
        )
    return [RDMStore(folder / f"{subject}.h5") for subject in SUBJECTS]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Images of one grey each, which tells the subject and the image."""
    folder, found = tmp_path_factory.mktemp("images"), {}
    for number, subject in enumerate(SUBJECTS):
        levels = np.uint8(100 * number + np.arange(N)).reshape(N, 1, 1, 1)
        images = np.broadcast_to(levels, (N, 20, 20, 3))
        found[subject] = folder / f"{subject}.npz"
        names = [f"train-{i:04d}" for i in range(N)]
        write_pair_images(found[subject], PairImages(names, images, np.arange(N)))
    return found


def test_every_rdm_has_a_panel_with_its_values_in_one_order(stores):
    figure, caption = plot_fmri_rdms(
        stores[0], [], labels="training", title="Scenes", simulated=True
    )
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    order, _ = image_order(stores[0], 0, np.arange(N))
    assert sorted(order) == list(range(N))
    # A row of panels for each metric.
    rows = [(roi, metric) for metric in METRICS for roi in ROIS]
    for (roi, metric), square in zip(rows, shown, strict=True):
        vector = stores[0].vector(ROIS.index(roi) * 2 + METRICS.index(metric))
        np.testing.assert_allclose(square.filled(0), squareform(vector)[np.ix_(order, order)])
    assert f"n = {N} images ({N * (N - 1) // 2} pairs)" in caption
    assert "a single case" in caption


def test_images_are_sorted_along_the_axis_on_which_they_differ_most(tmp_path):
    rng = np.random.default_rng(0)
    place = rng.permutation(400) / 10.0
    points = np.column_stack([place, rng.standard_normal((400, 2))])
    write_rdms(
        tmp_path / "line.h5",
        [({"roi": "V1", "metric": "euclidean"}, pdist(points))],
        names=[str(i) for i in range(400)],
        measure="euclidean",
        descriptors={"study": "s", "subject": "subj01"},
    )
    store = RDMStore(tmp_path / "line.h5")
    shown = np.arange(0, 400, 3)
    order, sentence = image_order(store, 0, shown)
    assert sorted(order) == list(shown)
    assert abs(np.corrcoef(np.arange(len(order)), place[order])[0, 1]) > 0.99
    assert "without any signal too" in sentence
    figure, caption = plot_fmri_rdms(store, [], labels="all", title="s", simulated=False)
    assert "300 of them, evenly spread, are shown" in caption
    assert figure.axes[0].images[0].get_array().shape == (300, 300)


def test_images_with_groups_are_sorted_by_them(tmp_path):
    groups = ["face", "body"] * 6
    vector = np.random.default_rng(0).uniform(0, 1, 66)
    write_rdms(
        tmp_path / "brain.h5",
        [({"roi": "IT", "session": "mean"}, vector)],
        names=[str(i) for i in range(12)],
        groups=groups,
        measure="as published",
        descriptors={"study": "images92", "subject": "S1"},
    )
    store = RDMStore(tmp_path / "brain.h5")
    order, sentence = image_order(store, 0, np.arange(12))
    assert [groups[i] for i in order] == ["body"] * 6 + ["face"] * 6
    assert sentence == "Images are sorted by their group (body, face)."
    _, caption = plot_fmri_rdms(
        store, [], labels="as published", title="92 images", simulated=False
    )
    assert "dissimilarity, as published, of responses, of n = 12 images" in caption
    # Of which the studies of the challenge know nothing.
    assert "vertex" not in caption


def test_a_distribution_is_the_density_of_the_values():
    values = np.random.default_rng(1).normal(1, 0.1, 200_000)
    found = Distribution.of(values)
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    assert np.sum(found.density * np.diff(found.edges)) == pytest.approx(1)
    np.testing.assert_allclose(
        found.density, gaussian_kde(values[:20_000])(middles), atol=0.05 * found.density.max()
    )
    assert (found.low, found.high) == (values.min(), values.max())


def test_every_roi_and_metric_has_a_distribution_of_each_subject(stores):
    figure, caption = plot_distributions(stores, [], title="Scenes", simulated=True)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [panel.get_title() for panel in panels] == [*ROIS, *ROIS]
    assert all(len(panel.patches) == len(SUBJECTS) for panel in panels)
    # Where responses are not correlated is a place of correlations alone.
    assert [len(panel.lines) for panel in panels] == [1] * 3 + [0] * 3
    vector = stores[0].vector(0)
    assert f"V1, correlation: {vector.min():.3g} / {np.median(vector):.3g}" in caption


def test_pairs_show_the_images_of_their_subject(stores, files):
    table = shown_pairs(find_extreme_pairs(stores))
    assert list(dict.fromkeys(table["roi"])) == ["V1", "all"]
    assert len(table) == len(SUBJECTS) * 2 * 5
    for row, picture in zip(table.itertuples(), pictures(table, files), strict=True):
        offset = 100 * SUBJECTS.index(row.subject)
        left, right = (
            offset + int(name.removeprefix("train-")) for name in (row.first, row.second)
        )
        assert (picture[:, :20] == left).all()
        assert (picture[:, -20:] == right).all()
        assert (picture[:, 20:-20] == 255).all()


def test_pairs_stand_under_their_metric_beside_their_roi(stores, files):
    table = shown_pairs(find_extreme_pairs(stores))
    pairs = pictures(table, files)
    figure, _ = plot_extreme_pairs(table, pairs, n_subjects=2, title="Scenes", simulated=True)
    grid = np.array([axis for axis in figure.axes if axis.images]).reshape(4, 5)
    for row, picture in zip(table.itertuples(), pairs, strict=True):
        line = SUBJECTS.index(row.subject) * 2 + ["V1", "all"].index(row.roi)
        column = ["smallest", "closest to 1", "largest"].index(row.which)
        column = column if row.metric == "correlation" else 3 + column // 2
        assert grid[line, column].get_title() == f"{row.value:#.4g}"
        np.testing.assert_array_equal(grid[line, column].images[0].get_array(), picture)


def test_published_extremes_stand_beside_ours_where_there_are_any(stores, files):
    table = shown_pairs(find_extreme_pairs(stores))
    pairs = pictures(table, files)
    published = {
        "V1": {"correlation": {"largest": 1.63}, "euclidean": {"smallest": 38.154}},
        "all": {"euclidean": {"largest": 573.075}},
    }
    options = {"n_subjects": 2, "title": "NSD", "simulated": False}
    _, without = plot_extreme_pairs(table, pairs, **options)
    _, real = plot_extreme_pairs(table, pairs, **options, published=published)
    assert "ublished" not in without
    ours = [store.vector(0).max() for store in stores]
    assert f"V1, correlation, largest 1.630 ({min(ours):.3f} to {max(ours):.3f})" in real
    assert "V1, euclidean, smallest 38.154" in real
    assert "all, euclidean, largest 573.075" in real
    assert published_note(table[table["roi"] == "hV4"], published) == ""


def test_without_the_rois_of_the_publication_the_first_two_are_shown(stores):
    table = find_extreme_pairs(stores)
    others = table.assign(roi=table["roi"].map({"V1": "EVC", "hV4": "V4", "all": "IT"}))
    assert list(dict.fromkeys(shown_pairs(others)["roi"])) == ["EVC", "V4"]


def test_of_many_subjects_the_first_are_shown_and_the_others_counted(stores):
    table = pd.concat(
        [find_extreme_pairs(stores[:1]).assign(subject=f"subj{i:02d}") for i in range(1, 9)],
        ignore_index=True,
    )
    shown = shown_pairs(table)
    assert list(dict.fromkeys(shown["subject"])) == ["subj01", "subj02", "subj03", "subj04"]
    blank = [np.zeros((4, 9, 3), np.uint8)] * len(shown)
    _, caption = plot_extreme_pairs(shown, blank, n_subjects=8, title="NSD", simulated=False)
    assert "n = 4 subjects of 8, the others are in the table" in caption
