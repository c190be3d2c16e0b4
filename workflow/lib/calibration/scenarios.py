"""How often tests reject a null that is true, and intervals hold the true value.

Data sets are simulated from known geometries and handed to the very functions that the studies
use. A scenario draws one data set and says of each procedure whether it rejected, or whether its
interval held the truth; `calibrate` counts over many.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from workflow.lib.calibration.geometries import (
    features,
    geometry,
    noisy,
    population_similarity,
    rdms_of,
)
from workflow.lib.calibration.procedures import COVERAGE, FALSE_POSITIVES, PROCEDURES, tabulate
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities, image_counts, subject_counts
from workflow.lib.inference.jackknife import image_influence, standard_error
from workflow.lib.inference.layers import (
    Intervals,
    draw_intervals,
    interaction_test,
    layer_centre_of_mass,
    layer_centres,
    layer_differences,
    t_intervals,
    two_sided_p,
)
from workflow.lib.inference.permutation import (
    false_discovery_rate,
    permute_images,
    permute_prepared,
)
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, sign_flip_test
from workflow.lib.inference.variance import interval, two_factor_variance
from workflow.lib.rdms.distances import pattern_distances
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.partial import partial_prepare
from workflow.lib.seeds import generator

COMPARATOR = "pearson"
# Its intervals come from the jackknife in every study, since exact resamples take long.
RANK_COMPARATOR = "spearman"
# Layers resemble the ROIs less and less; the first two alike, so that their difference is null.
LAYER_NOISE = (0.7, 0.7, 1.4, 2.8)
# ROIs are alike, so that no layer x ROI interaction exists.
N_ROIS, ROI_NOISE = 3, 1.0
# Subjects differ in their noise; each value is as frequent as the others.
SUBJECT_NOISE = (0.5, 1.0, 2.0)

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
    """Population values of a geometry.

    Attributes
    ----------
    similarity : float64 array (n_layers,)
        Of each layer with any ROI.
    rank_similarity : float
        Of the first layer with any ROI, by `RANK_COMPARATOR`.
    subject_mean : float
        Of the first layer with a subject, averaged over subjects.
    """

    similarity: np.ndarray
    rank_similarity: float
    subject_mean: float

    @property
    def centre(self) -> float:
        """Layer centre of mass of any ROI."""
        return float(layer_centre_of_mass(self.similarity))


def truth_of(name: str, rng: np.random.Generator) -> Truth:
    """Return the population values of a geometry."""

    def value(comparator, layer_noise=LAYER_NOISE[:1], roi_noise=ROI_NOISE):
        return population_similarity(
            name, comparator, layer_noise=layer_noise, roi_noise=roi_noise, rng=rng
        )

    of_subjects = [value(COMPARATOR, roi_noise=noise) for noise in SUBJECT_NOISE]
    return Truth(
        similarity=value(COMPARATOR, LAYER_NOISE),
        rank_similarity=float(value(RANK_COMPARATOR)[0]),
        subject_mean=float(np.mean(of_subjects)),
    )


def unrelated(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Layers share nothing with the ROIs: two draws from the same geometry, layer and brain."""
    layer_signal, brain_signal = (
        features(geometry(name)(design.n_images, rng), rng) for _ in range(2)
    )
    layers = rdms_of([noisy(layer_signal, noise, rng) for noise in LAYER_NOISE])
    rois = rdms_of([noisy(brain_signal, ROI_NOISE, rng) for _ in range(N_ROIS)])
    test = _permuted(layers, rois, design, rng)
    draws = _resampled(layers[:1], rois[:1], design, rng)
    found = draw_intervals(
        compare(layers[:1], rois[:1], COMPARATOR), draws, n_drawn=design.n_images
    )
    naive = scipy.stats.pearsonr(layers[0], rois[0], alternative="greater").pvalue
    return {
        "naive": design.rejects(naive),
        "mantel": design.rejects(test.p[0, 0]),
        "mantel_max": design.rejects(test.family_wise_p()),
        "mantel_bh": design.rejects(false_discovery_rate(test.p)),
        "bootstrap_zero": design.rejects(two_sided_p(found, dof=design.n_images - 1)[0, 0]),
    }


def unrelated_within_groups(
    name: str, design: Design, truth: Truth, rng: np.random.Generator
) -> dict:
    """Layer and brain have the same hubs or categories, and nothing else in common."""
    placement = geometry(name)(design.n_images, rng)
    layer, brain = (rdms_of([features(placement, rng)]) for _ in range(2))
    test = _permuted(layer, brain, design, rng, groups=placement.groups)
    return {"mantel_within": test.p[0, 0] <= design.alpha}


def unrelated_beside_control(
    name: str, design: Design, truth: Truth, rng: np.random.Generator
) -> dict:
    """Layer and brain have the features of a control in common, and nothing else."""
    # Squared distances of joined features are sums, so that the control explains all they share.
    control, *own = (
        pattern_distances(features(geometry(name)(design.n_images, rng), rng), "sq_euclidean")
        for _ in range(3)
    )
    layer, brain = partial_prepare(
        *(control[np.newaxis] + part for part in own), control[np.newaxis], COMPARATOR
    )
    test = permute_prepared(
        layer, brain, n_images=design.n_images, n_permutations=design.n_permutations, rng=rng
    )
    return {"partial_mantel": design.rejects(test.p)}


def related(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Layers resemble all ROIs alike, the first two layers equally well."""
    signal = features(geometry(name)(design.n_images, rng), rng)
    layers = rdms_of([noisy(signal, noise, rng) for noise in LAYER_NOISE])
    rois = rdms_of([noisy(signal, ROI_NOISE, rng) for _ in range(N_ROIS)])
    estimate = compare(layers, rois, COMPARATOR).T
    draws = _resampled(layers, rois, design, rng).swapaxes(1, 2)
    sizes = {"n_drawn": design.n_images}
    level = 1 - design.alpha
    intervals = {
        "bootstrap_t": draw_intervals(estimate, draws, level=level, **sizes),
        "percentile": draw_intervals(estimate, draws, level=level, kind="percentile", **sizes),
        "jackknife_t": _jackknifed(layers[:1], rois[:1], COMPARATOR, design),
    }
    by_rank = _jackknifed(layers[:1], rois[:1], RANK_COMPARATOR, design)
    centres = layer_centres(estimate[:1], draws[:, :1], level=level)
    differences = layer_differences(estimate[:1, :2], draws[:, :1, :2], **sizes)
    return {
        **{key: _holds(found, truth.similarity[0]) for key, found in intervals.items()},
        "jackknife_spearman": _holds(by_rank, truth.rank_similarity),
        "centre_of_mass": centres.lower[0] <= truth.centre <= centres.upper[0],
        "layer_difference": design.rejects(differences.p[0, 0]),
        "interaction": design.rejects(interaction_test(estimate, draws, **sizes).omnibus_p),
    }


def related_subjects(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Subjects share a geometry with a layer, each under noise of its own strength."""
    signal = features(geometry(name)(design.n_images, rng), rng)
    layer = rdms_of([noisy(signal, LAYER_NOISE[0], rng)])
    strengths = rng.choice(SUBJECT_NOISE, design.n_subjects)
    subjects = rdms_of([noisy(signal, noise, rng) for noise in strengths])
    similarities = compare(layer, subjects, COMPARATOR)[0]
    variance = two_factor_variance(
        similarities,
        _resampled(layer, subjects, design, rng)[:, 0],
        subject_counts(design.n_subjects, design.n_resamples, rng),
        n_images=design.n_images,
    )
    dof = min(design.n_subjects, design.n_images) - 1
    lower, upper = interval(similarities.mean(), variance, dof, 1 - design.alpha)
    return {"two_factor": lower <= truth.subject_mean <= upper}


def unrelated_subjects(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Layers share nothing with subjects, who share nothing with one another, or else a geometry.

    Only the first is the null of a sign-flip: values of subjects are then independent.
    """
    layers = rdms_of(
        [noisy(features(geometry(name)(design.n_images, rng), rng), 0, rng) for _ in LAYER_NOISE]
    )
    strengths = rng.choice(SUBJECT_NOISE, design.n_subjects)
    apart = [features(geometry(name)(design.n_images, rng), rng) for _ in strengths]
    shared = [features(geometry(name)(design.n_images, rng), rng)] * design.n_subjects
    tests = {}
    for what, signals in (("apart", apart), ("shared", shared)):
        subjects = rdms_of(
            [noisy(signal, noise, rng) for signal, noise in zip(signals, strengths, strict=True)]
        )
        tests[what] = sign_flip_test(compare(layers, subjects, COMPARATOR).T, rng=rng)
    return {
        "sign_flip": design.rejects(tests["apart"].p[0]),
        "sign_flip_max": design.rejects(tests["apart"].p_max),
        "sign_flip_shared": design.rejects(tests["shared"].p[0]),
    }


SCENARIOS: tuple[Callable[..., dict], ...] = (
    unrelated,
    unrelated_within_groups,
    unrelated_beside_control,
    related,
    related_subjects,
    unrelated_subjects,
)


def _permuted(models, brains, design, rng, groups=None):
    return permute_images(
        models,
        brains,
        COMPARATOR,
        n_images=design.n_images,
        n_permutations=design.n_permutations,
        rng=rng,
        groups=groups,
    )


def _resampled(models, brains, design, rng):
    counts = image_counts(design.n_images, design.n_resamples, rng)
    return bootstrap_similarities(models, brains, COMPARATOR, counts, n_images=design.n_images)


def _jackknifed(models, brains, comparator, design):
    """Return the interval of one similarity by the infinitesimal jackknife."""
    influence = image_influence(models, brains, comparator, n_images=design.n_images)
    return t_intervals(
        compare(models, brains, comparator),
        standard_error(influence),
        dof=design.n_images - 1,
        level=1 - design.alpha,
    )


def _holds(found: Intervals, truth: float) -> bool:
    return bool(found.lower.flat[0] <= truth <= found.upper.flat[0])


def calibrate(name: str, design: Design, *, n_simulations: int, seed: int) -> pd.DataFrame:
    """Return how every procedure does on simulated data sets of one geometry.

    Parameters
    ----------
    name : a key of `workflow.lib.calibration.geometries.GEOMETRIES`
    design : Design
    n_simulations : int
        Data sets per scenario.
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per procedure
        geometry, procedure, label, measure, kind; nominal rate, hits, rate with its 99 % binomial
        interval (lower, upper), verdict (within, above or below nominal); the design.

    Raises
    ------
    InputError
        No simulation, an unknown geometry, or too few subjects for a sign-flip.
    """
    if n_simulations < 1 or design.n_subjects < MIN_SUBJECTS:
        raise InputError(
            f"found {n_simulations} simulations and {design.n_subjects} subjects, expected at "
            f"least 1 and {MIN_SUBJECTS}; raise them in the config"
        )
    truth = truth_of(name, generator(seed, "calibration", "population", name))
    hits: dict[str, int] = dict.fromkeys(PROCEDURES, 0)
    for scenario in SCENARIOS:
        rng = generator(seed, "calibration", scenario.__name__, name)
        for _ in range(n_simulations):
            for procedure, hit in scenario(name, design, truth, rng).items():
                hits[procedure] += bool(hit)
    table = tabulate(hits, n_simulations, design.nominal)
    table.insert(0, "geometry", name)
    sizes = {key: value for key, value in vars(design).items() if key != "alpha"}
    return table.assign(n_simulations=n_simulations, **sizes)
