"""Calibration: simulated truths against brute force, and rates of exact tests and of misuse."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import pdist, squareform
from statsmodels.stats.proportion import proportion_confint

from scripts.calibration import geometries
from scripts.calibration import scenarios as calibration
from scripts.calibration.calibrate_tests import calibrate_tests
from scripts.calibration.geometries import (
    GEOMETRIES,
    features,
    geometry,
    noisy,
    population_rdms,
)
from scripts.calibration.plot_calibration import plot_calibration
from scripts.calibration.procedures import COVERAGE, EXACT, MISUSE, PROCEDURES, tabulate
from scripts.calibration.scenarios import calibrate
from scripts.calibration.truths import Design, truth_of
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import RESAMPLED
from workflow.lib.inference.study_resamples import MANY_IMAGES
from workflow.lib.rsa.comparators import COMPARATORS, compare, prepare

SMALL = Design(n_images=20, n_subjects=6, n_permutations=19, n_resamples=50)
NOMINAL = Design().nominal


@pytest.fixture
def few_pairs(monkeypatch):
    """Population values of less precision, where a test is not about them."""
    monkeypatch.setattr(geometries, "N_POPULATION_PAIRS", 5000)


def population_similarity(name, comparator, *, layer_noise, roi_noise, rng):
    """Return the similarity of RDMs of layers and a ROI over all images of a geometry."""
    roi, *layers = population_rdms(name, [roi_noise, *layer_noise], rng)
    return compare(np.stack(layers), roi[np.newaxis], comparator)[:, 0]


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize(("comparator", "r"), [("pearson", "pearsonr"), ("spearman", "spearmanr")])
def test_population_similarity_is_that_of_one_large_rdm(name, comparator, r):
    """Pairs of one RDM share images, disjoint pairs do not: the same value by another way."""
    noises = {"layer_noise": (0.5, 2.0), "roi_noise": 1.0}
    found = population_similarity(name, comparator, rng=np.random.default_rng(1), **noises)
    rng = np.random.default_rng(2)
    parts = []
    for _ in range(16):
        signal = features(geometry(name)(300, rng), rng)
        roi = pdist(noisy(signal, 1.0, rng))
        layers = [pdist(noisy(signal, noise, rng)) for noise in noises["layer_noise"]]
        parts.append([getattr(scipy.stats, r)(layer, roi)[0] for layer in layers])
    # Four standard errors, and the error of the population value itself.
    tolerance = 4 * np.std(parts, axis=0, ddof=1) / np.sqrt(len(parts)) + 0.007
    assert (np.abs(found - np.mean(parts, axis=0)) < tolerance).all()
    assert (tolerance < 0.06).all()


def test_without_noise_layer_and_roi_are_one():
    rng = np.random.default_rng(3)
    found = population_similarity("hubs", "pearson", layer_noise=[0.0], roi_noise=0.0, rng=rng)
    np.testing.assert_allclose(found, 1)


@pytest.mark.parametrize(
    ("name", "n_groups", "low", "high"),
    [("isotropic", 3, 0.95, 1.05), ("hubs", 2, 2.5, 3.5), ("clusters", 4, 1.6, 1.8)],
)
def test_geometries_are_what_their_names_say(name, n_groups, low, high):
    """By hand: sqrt((1 + 4^2) / 2) = 2.9 for hubs, sqrt((32 + 16) / 16) = 1.7 for clusters."""
    rng = np.random.default_rng(4)
    placement = geometry(name)(500, rng)
    assert len(np.unique(placement.groups)) == n_groups
    distances = squareform(pdist(features(placement, rng)))
    cloud = placement.groups == 0
    within = distances[np.ix_(cloud, cloud)].sum() / (cloud.sum() * (cloud.sum() - 1))
    assert low < distances[np.ix_(cloud, ~cloud)].mean() / within < high


def test_first_two_layers_are_equally_similar():
    truth = truth_of("clusters", SMALL, n_simulations=10, rng=np.random.default_rng(5))
    assert truth.similarity[0] == pytest.approx(truth.similarity[1], abs=0.005)
    assert (np.diff(truth.similarity[1:]) < 0).all()
    assert 1 < truth.of["centre_of_mass"] < 2.5


def test_rates_and_their_binomial_intervals():
    table = tabulate({"mantel": 50, "naive": 300, "bootstrap_t": 850}, 1000, NOMINAL)
    for row in table.itertuples():
        low, high = proportion_confint(row.hits, 1000, alpha=0.01, method="beta")
        assert (row.lower, row.upper) == pytest.approx((low, high))
    assert list(table["rate"]) == [0.05, 0.3, 0.85]
    assert list(table["nominal"]) == [0.05, 0.05, 0.95]
    assert list(table["verdict"]) == ["within", "above", "below"]


def test_every_procedure_is_tried_by_one_scenario(few_pairs):
    truth = truth_of("isotropic", SMALL, n_simulations=10, rng=np.random.default_rng(6))
    rng = np.random.default_rng(7)
    tried = [key for run in calibration.SCENARIOS for key in run("isotropic", SMALL, truth, rng)]
    assert sorted(tried) == sorted(PROCEDURES)


def test_intervals_miss_a_truth_that_is_not_theirs(few_pairs):
    """Coverage is not bought with endless intervals."""
    design = Design(n_images=60, n_resamples=100)
    truth = truth_of("clusters", design, n_simulations=10, rng=np.random.default_rng(8))
    wrong = dataclasses.replace(
        truth, of={key: value - 0.6 for key, value in truth.of.items()} | {"centre_of_mass": 3.5}
    )
    rng = np.random.default_rng(9)
    hits = [
        {key: hit for run in scenarios for key, hit in run("clusters", design, wrong, rng).items()}
        for scenarios in 10 * [calibration.SCENARIOS[4:-1]]
    ]
    covering = [key for key, procedure in PROCEDURES.items() if procedure.measure == COVERAGE]
    assert set(covering) == set(truth.of)
    for key in covering:
        assert sum(hit[key] for hit in hits) <= 1, key


def test_tests_find_what_is_there():
    """Layers against ROIs that they do resemble: the null of no scenario."""
    rng = np.random.default_rng(10)
    design = Design(n_images=60)
    signal = features(geometry("isotropic")(60, rng), rng)
    layers = np.stack([pdist(noisy(signal, noise, rng)) for noise in (0.3, 3.0)])
    roi = pdist(noisy(signal, 0.3, rng))[None]
    assert design.rejects(calibration._permuted(layers, roi, design, rng).family_wise_p()[0, 0])


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_control_that_is_left_in_would_be_found(name, monkeypatch, few_pairs):
    """The partial test keeps its rate because the control is taken out, not for lack of power."""

    def left_in(layer, brain, control, comparator):
        return prepare(layer, comparator), prepare(brain, comparator)

    monkeypatch.setattr(calibration, "partial_prepare", left_in)
    rng = np.random.default_rng(11)
    found = [
        calibration.unrelated_beside_control(name, Design(), None, rng)["partial_mantel"]
        for _ in range(20)
    ]
    assert sum(found) > 10


@pytest.mark.slow
def test_exact_tests_keep_their_rate_and_misuse_does_not(few_pairs):
    n = 120
    table = calibrate_tests(list(GEOMETRIES), SMALL, n_simulations=n, seed=3)
    low, high = scipy.stats.binom.ppf([0.0005, 0.9995], n, 0.05)
    exact = table[table["kind"] == EXACT]
    assert len(exact) == 12
    assert exact["hits"].between(low, high).all()
    misused = table[table["kind"] == MISUSE].groupby("procedure")["hits"].sum()
    assert (misused > 2 * 0.05 * 3 * n).all()


def test_a_seed_gives_one_table_whatever_else_is_simulated(few_pairs):
    alone = calibrate("hubs", SMALL, n_simulations=4, seed=1)
    both = calibrate_tests(["isotropic", "hubs"], SMALL, n_simulations=4, seed=1)
    of_hubs = both[both["geometry"] == "hubs"].reset_index(drop=True)
    assert of_hubs.equals(alone)
    assert list(both["geometry"].unique()) == ["isotropic", "hubs"]


def test_figure_names_what_misses_its_rate():
    hits = dict.fromkeys(PROCEDURES, 50) | {"partial_mantel": 120, "bootstrap_zero": 140}
    hits |= {key: 950 for key, value in PROCEDURES.items() if value.measure == COVERAGE}
    hits["percentile"] = 800
    table = tabulate(hits, 1000, NOMINAL)
    table.insert(0, "geometry", "hubs")
    sizes = {key: value for key, value in vars(Design()).items() if key != "alpha"}
    figure, caption = plot_calibration(table.assign(n_simulations=1000, **sizes))
    assert "reject too often: Mantel, control taken out (hubs, 0.12)." in caption
    assert "too seldom: bootstrap percentile (hubs, 0.8)." in caption
    assert "Exact tests off nominal: none." in caption
    assert "1,000 simulated data sets" in caption
    by_jackknife = caption[caption.index("the jackknife t replaces it") :]
    for comparator in set(COMPARATORS) - set(RESAMPLED):
        assert comparator in by_jackknife
    assert f"ranks of more than {MANY_IMAGES:,} images" in by_jackknife
    labels = [tick.get_text() for panel in figure.axes for tick in panel.get_yticklabels()]
    assert sorted(labels) == sorted(procedure.label for procedure in PROCEDURES.values())


@pytest.mark.parametrize(
    ("name", "design", "n_simulations", "message"),
    [
        ("spiral", SMALL, 5, "'spiral'"),
        ("hubs", SMALL, 0, "0 simulations"),
        ("hubs", dataclasses.replace(SMALL, n_subjects=5), 5, "5 subjects"),
    ],
)
def test_refuses(few_pairs, name, design, n_simulations, message):
    with pytest.raises(InputError, match=message):
        calibrate(name, design, n_simulations=n_simulations, seed=1)
