"""RDMs of emotions: distances against rsatoolbox and brute force, and what observers wrote."""

import itertools

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

from scripts.emotions.data.timeseries import TimeSeries, write_timeseries
from scripts.emotions.labelling.labels import Labels
from scripts.emotions.rsa.emotion_rdms import (
    ClassMeans,
    affect_distances,
    affect_of,
    channel_distances,
    class_means,
    cooccurrence_distances,
    run_distances,
)
from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import crossnobis_distances

CLASSES = ("FEAR", "LOVE", "JOY", "SADNESS")
RUNS = ("1", "2", "3")
PAIRS = list(itertools.combinations(range(len(CLASSES)), 2))


def labels_of(names, *, n_runs=3, counts=None):
    """Return labels whose every run shows the classes in `names`, one volume after another."""
    rows = [
        {"run": run, "volume": volume, "time": 2.0 * volume, "used": True, "label": name}
        | {"agreement": 5, "episode": volume, "sampled": True}
        for run in RUNS[:n_runs]
        for volume, name in enumerate(names)
    ]
    table = pd.DataFrame(rows)
    for name in CLASSES:
        table[f"n_{name}"] = 0 if counts is None else np.tile(counts[name], n_runs)
    return Labels(table, CLASSES)


def series_of(path, labels, rng, signal=0.0):
    """Write responses of 6 channels: noise, and a pattern per class of size `signal`."""
    patterns = signal * rng.standard_normal((len(CLASSES), 6))
    runs = {}
    for run in labels.runs:
        codes = labels.codes[labels.of_run(run)]
        noise = rng.standard_normal((len(codes), 6)) * np.arange(1, 7)
        runs[run] = noise + np.where(codes[:, None] >= 0, patterns[codes], 0)
    names = [str(number) for number in range(6)]
    write_timeseries(path, runs, subject="01", tr=2.0, names=names)
    return TimeSeries(path)


def test_distances_are_those_of_rsatoolbox_where_all_runs_show_all(tmp_path):
    rng = np.random.default_rng(0)
    labels = labels_of([*CLASSES] * 5)
    series = series_of(tmp_path / "01.h5", labels, rng, signal=1.0)
    means = class_means(series, labels)
    ours = channel_distances(means, CLASSES)
    values = series.all(labels.table).astype(np.float64)
    residuals = np.concatenate(
        [
            values[rows] - values[rows].mean(axis=0)
            for run in RUNS
            for code in range(len(CLASSES))
            if (rows := np.flatnonzero((labels.table["run"] == run) & (labels.codes == code))).size
        ]
    )
    noise = (residuals**2).sum(axis=0) / (len(values) - len(RUNS) * len(CLASSES))
    np.testing.assert_allclose(means.noise, noise)
    data = Dataset(
        values / np.sqrt(noise),
        obs_descriptors={"label": list(labels.codes), "run": list(labels.table["run"])},
    )
    oracle = calc_rdm(data, method="crossnobis", descriptor="label", cv_descriptor="run")
    np.testing.assert_allclose(ours.mean(axis=1), oracle.dissimilarities[0], rtol=1e-5)


def test_distances_are_crossnobis_of_the_library(tmp_path):
    rng = np.random.default_rng(1)
    means = rng.standard_normal((4, len(CLASSES), 9))
    of = ClassMeans(means, np.full(means.shape[:2], 3), np.ones(9))
    np.testing.assert_allclose(
        channel_distances(of, CLASSES).mean(axis=1), crossnobis_distances(means)
    )


def brute_force(means, counts):
    """Return cross-validated distances by loops over pairs of volumes of two runs, one channel."""

    def product(i, j):
        both = [
            means[r, i] * means[s, j]
            for r, s in itertools.permutations(range(len(means)), 2)
            for _ in range(counts[r, i] * counts[s, j])
        ]
        return np.mean(both)

    return [product(i, i) + product(j, j) - 2 * product(i, j) for i, j in PAIRS]


def test_runs_that_lack_an_emotion_take_no_part_in_it():
    rng = np.random.default_rng(2)
    counts = np.array([[3, 2, 0, 1], [2, 2, 2, 0], [1, 0, 4, 2], [2, 3, 1, 0]])
    means = np.where(counts > 0, rng.standard_normal(counts.shape), 0)
    of = ClassMeans(means[:, :, np.newaxis], counts, np.ones(1))
    np.testing.assert_allclose(channel_distances(of, CLASSES)[:, 0], brute_force(means, counts))


def test_noise_adds_nothing_on_average_and_signal_what_it_is():
    rng = np.random.default_rng(3)
    patterns = rng.standard_normal((len(CLASSES), 1))
    true = [float((patterns[i] - patterns[j])[0] ** 2) for i, j in PAIRS]
    shape = (5, len(CLASSES), 20_000)
    for size, expected in ((0.0, np.zeros(len(PAIRS))), (1.0, true)):
        means = size * patterns + rng.standard_normal(shape)
        of = ClassMeans(means, np.ones(shape[:2], int), np.ones(shape[2]))
        np.testing.assert_allclose(channel_distances(of, CLASSES).mean(axis=1), expected, atol=0.06)


def test_runs_count_by_their_volumes():
    """Means of single volumes beside those of a hundred add little noise."""
    rng = np.random.default_rng(4)
    counts = np.array([[100, 100], [100, 100], [1, 100], [100, 1]])
    noise = rng.standard_normal((4, 2, 5000)) / np.sqrt(counts)[:, :, np.newaxis]
    weighted, equal = (
        channel_distances(ClassMeans(noise, own, np.ones(5000)), CLASSES[:2]).std()
        for own in (counts, np.ones_like(counts))
    )
    assert weighted < 0.2 * equal


def test_an_emotion_in_one_run_is_refused():
    counts = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])
    of = ClassMeans(np.zeros((2, 4, 3)), counts, np.ones(3))
    with pytest.raises(InputError, match="SADNESS: found it in 1 run"):
        channel_distances(of, CLASSES)


def test_channel_without_noise_has_no_distance():
    of = ClassMeans(np.zeros((2, 4, 2)), np.ones((2, 4), int), np.array([1.0, 0.0]))
    distances = channel_distances(of, CLASSES)
    assert np.isnan(distances[:, 1]).all()
    assert np.isfinite(distances[:, 0]).all()


def test_one_volume_of_each_says_nothing_of_noise(tmp_path):
    labels = labels_of(CLASSES)
    with pytest.raises(InputError, match="expected several of some"):
        class_means(series_of(tmp_path / "01.h5", labels, np.random.default_rng(0)), labels)


# What observers wrote.


def annotations(*rows):
    columns = ("emotions", "arousal", "valence")
    return pd.DataFrame(rows, columns=columns)


ROWS = annotations(
    (("FEAR",), "HIGH", "NEG"),
    (("FEAR", "SADNESS"), "HIGH", "NEG"),
    (("LOVE",), "LOW", "POS"),
    (("LOVE",), "", "POS"),
    (("JOY",), "HIGH", "POS"),
    (("JOY",), "LOW", "POS"),
    (("SADNESS",), "LOW", "NEG"),
    ((), "LOW", "NEG"),
)


def test_affect_is_the_mean_over_rows_that_name_the_emotion():
    table = affect_of(ROWS, CLASSES)
    assert table["arousal"].tolist() == [1, -1, 0, 0]
    assert table["valence"].tolist() == [-1, 1, 1, -1]


def test_affect_distances_are_euclidean_in_that_plane():
    # FEAR (1, -1), LOVE (-1, 1), JOY (0, 1), SADNESS (0, -1)
    expected = [np.sqrt(8), np.sqrt(5), 1, 1, np.sqrt(5), 2]
    np.testing.assert_allclose(affect_distances(ROWS, CLASSES), expected)


def test_emotion_without_affect_is_refused():
    with pytest.raises(InputError, match="LOVE: found no row"):
        affect_distances(ROWS[ROWS["valence"] != "POS"], CLASSES)


def test_cooccurrence_is_one_minus_jaccard_of_counts():
    counts = {
        "FEAR": [3, 0, 2, 0],
        "LOVE": [0, 4, 0, 0],
        "JOY": [1, 4, 0, 0],
        "SADNESS": [3, 0, 2, 0],
    }
    distances = cooccurrence_distances(labels_of([*CLASSES], counts=counts))
    of = dict(zip(PAIRS, distances, strict=True))
    assert of[(0, 1)] == 1
    assert of[(0, 3)] == 0
    # Minima 0 + 4, maxima 1 + 4.
    assert of[(1, 2)] == pytest.approx(1 - 4 / 5)


def test_runs_of_emotions():
    table = labels_of(["FEAR", "LOVE"], n_runs=2).table
    other = labels_of(["JOY", "JOY"], n_runs=3).table.query("run == '3'")
    table = pd.concat([table, other, other.assign(label="SADNESS")], ignore_index=True)
    of = dict(zip(PAIRS, run_distances(Labels(table, CLASSES)), strict=True))
    assert of[(0, 1)] == 0
    assert of[(2, 3)] == 0
    assert of[(0, 2)] == of[(1, 3)] == 1
