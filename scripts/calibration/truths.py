"""The designs of simulated data sets, and the true values that their intervals are to hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scripts.calibration.geometries import (
    features,
    geometry,
    noisy,
    population_rdms,
    rdms_of,
)
from scripts.calibration.procedures import COVERAGE, FALSE_POSITIVES
from workflow.lib.inference.layers import layer_centre_of_mass
from workflow.lib.rsa.comparators import COMPARATORS, compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling
from workflow.lib.rsa.partial import correlation_shares

COMPARATOR = "pearson"
# Intervals by the jackknife: of tau and the whitened comparators in every study, of ranks where
# there are many images.
JACKKNIFED = {
    "jackknife_t": COMPARATOR,
    "jackknife_spearman": "spearman",
    "jackknife_tau": "tau-a",
    "jackknife_corr_cov": "corr_cov",
}
# Layers resemble the ROIs less and less; the first two alike, so that their difference is null.
LAYER_NOISE = (0.7, 0.7, 1.4, 2.8)
# ROIs are alike, so that no layer x ROI interaction exists.
N_ROIS, ROI_NOISE = 3, 1.0
# Subjects differ in their noise; each value is as frequent as the others.
SUBJECT_NOISE = (0.5, 1.0, 2.0)
# Layers that share out the variance of a ROI.
SHARING = [0, 2]
# Images of a group, where groups are drawn or images within them, and how far they lie apart.
GROUP_SIZE, GROUP_SPREAD = 4, 0.5
# Truths that depend on the number of images are means over so many data sets for each simulated
# one that they are surer than its rate by far.
DATA_SETS_PER_SIMULATION = 8

# A p-value of k / N equals alpha up to rounding where it does by arithmetic.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Design:
    """Size of one simulated data set, and of the resampling in it.

    Attributes
    ----------
    n_images, n_subjects, n_resamples : int
    n_permutations : int
        With 239, the smallest p of 12 cells can pass the Benjamini-Hochberg correction alone.
    alpha : float
        Nominal rate of false positives; intervals are meant to hold the truth at 1 - alpha.
    """

    n_images: int = 40
    n_subjects: int = 8
    n_permutations: int = 239
    n_resamples: int = 200
    alpha: float = 0.05

    def rejects(self, p: np.ndarray | float) -> bool:
        """Return whether a test, or any of several, rejects."""
        return bool(np.min(p) <= self.alpha + TOLERANCE)

    @property
    def nominal(self) -> dict[str, float]:
        """What the rate of each measure should be."""
        return {FALSE_POSITIVES: self.alpha, COVERAGE: 1 - self.alpha}


@dataclass(frozen=True)
class Truth:
    """What intervals are to hold.

    Attributes
    ----------
    similarity : float64 array (n_layers,)
        Of each layer with any ROI, in the population.
    of : dict, key of `PROCEDURES` -> float
        What the interval of each procedure is about: of the first layer with any ROI, or with
        subjects.
    group_centres : float64 array (n_groups, n_features)
        Where the groups lie within which images are drawn.
    """

    similarity: np.ndarray
    of: Mapping[str, float]
    group_centres: np.ndarray


def truth_of(name: str, design: Design, *, n_simulations: int, rng: np.random.Generator) -> Truth:
    """Return the true values of a geometry.

    They are those of the population of images. Where they depend on the number of images (of
    whitened comparators), or on groups, they are means over data sets of the design.

    Parameters
    ----------
    name : a key of `scripts.calibration.geometries.GEOMETRIES`
    design : Design
    n_simulations : int
        Data sets that are to be judged by them.
    rng : numpy Generator
    """
    n_data_sets = DATA_SETS_PER_SIMULATION * n_simulations
    roi, *layers = population_rdms(name, [ROI_NOISE, *LAYER_NOISE], rng)
    similarity = compare(np.stack(layers), roi, COMPARATOR)[:, 0]
    centres = features(geometry(name)(n_groups(design), rng), rng)
    signals = {
        "jackknife_corr_cov": lambda: features(geometry(name)(design.n_images, rng), rng),
        "groups_drawn": lambda: in_new_groups(name, design, rng),
        "within_groups": lambda: around(centres, rng),
    }
    values = {
        "bootstrap_t": similarity[0],
        "percentile": similarity[0],
        **{
            key: compare(layers[0], roi, comparator).item()
            for key, comparator in JACKKNIFED.items()
            if not COMPARATORS[comparator].whitened
        },
        **{
            key: _mean_over_data_sets(signal, n_data_sets, JACKKNIFED.get(key, COMPARATOR), rng)
            for key, signal in signals.items()
        },
        "centre_of_mass": layer_centre_of_mass(similarity),
        "variance_share": _population_share(np.stack(layers), roi),
        **_over_subjects(name, design, rng),
    }
    return Truth(similarity, {key: float(value) for key, value in values.items()}, centres)


def _over_subjects(name: str, design: Design, rng: np.random.Generator) -> dict[str, float]:
    """Return the mean similarity with subjects, and how far it lies below their ceiling."""
    layer, *of_each_strength = population_rdms(name, [LAYER_NOISE[0], *SUBJECT_NOISE], rng)
    layer_again, *fixed = population_rdms(name, [LAYER_NOISE[0], *fixed_strengths(design)], rng)
    ceiling = noise_ceiling(np.stack(fixed), COMPARATOR)[0].mean()
    return {
        "two_factor": compare(layer, np.stack(of_each_strength), COMPARATOR).mean(),
        "below_ceiling": ceiling - compare(layer_again, np.stack(fixed), COMPARATOR).mean(),
    }


def _population_share(layers: np.ndarray, roi: np.ndarray) -> float:
    chosen = layers[SHARING]
    return share_of_first(
        compare(chosen, chosen, COMPARATOR), compare(chosen, roi, COMPARATOR)
    ).item()


def _mean_over_data_sets(
    signal: Callable[[], np.ndarray], n_data_sets: int, comparator: str, rng: np.random.Generator
) -> float:
    found = [compare(*two_views(signal(), rng), comparator) for _ in range(n_data_sets)]
    return float(np.mean(found))


def two_views(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return RDMs (1, n_pairs) of a layer and a ROI that share a signal."""
    layer, roi = rdms_of([noisy(signal, noise, rng) for noise in (LAYER_NOISE[0], ROI_NOISE)])
    return layer[np.newaxis], roi[np.newaxis]


def fixed_strengths(design: Design) -> np.ndarray:
    """Return the noise of each subject where subjects do not vary, (n_subjects,)."""
    return np.resize(SUBJECT_NOISE, design.n_subjects)


def n_groups(design: Design) -> int:
    """Return the number of groups of `GROUP_SIZE` images."""
    return design.n_images // GROUP_SIZE


def in_new_groups(name: str, design: Design, rng: np.random.Generator) -> np.ndarray:
    """Return features of images whose groups are drawn from a geometry."""
    return around(features(geometry(name)(n_groups(design), rng), rng), rng)


def around(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return features of the images of groups, (n_groups * GROUP_SIZE, n_features)."""
    return noisy(np.repeat(centres, GROUP_SIZE, axis=0), GROUP_SPREAD, rng)


def share_of_first(among: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return what the first of two models explains alone of one RDM, (...)."""
    return correlation_shares(among, across)[1][..., 0, 0]
