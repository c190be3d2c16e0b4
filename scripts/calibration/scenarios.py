"""How often tests reject a null that is true, and intervals hold the true value.

Data sets are simulated from known geometries and handed to the very functions that the studies
use. A scenario draws one data set and says of each procedure whether it rejected, or whether its
interval held the truth; `calibrate` counts over many.
"""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pandas as pd
import scipy.stats

from scripts.calibration.geometries import features, geometry, noisy, rdms_of
from scripts.calibration.procedures import PROCEDURES, tabulate
from scripts.calibration.truths import (
    COMPARATOR,
    GROUP_SIZE,
    JACKKNIFED,
    LAYER_NOISE,
    N_ROIS,
    ROI_NOISE,
    SHARING,
    SUBJECT_NOISE,
    Design,
    Truth,
    around,
    fixed_strengths,
    in_new_groups,
    n_groups,
    share_of_first,
    truth_of,
    two_views,
)
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_ceilings, bootstrap_similarities
from workflow.lib.inference.counts import image_counts, subject_counts
from workflow.lib.inference.intervals import Intervals, draw_intervals, t_intervals, two_sided_p
from workflow.lib.inference.jackknife import image_influence, standard_error
from workflow.lib.inference.layers import (
    ceiling_differences,
    interaction_test,
    layer_centres,
    layer_differences,
)
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.permutation import permute_images, permute_prepared
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, sign_flip_test
from workflow.lib.inference.study_resamples import RESAMPLING, n_drawn, stretched
from workflow.lib.inference.variance import (
    interval,
    one_factor_variance,
    two_factor_variance,
)
from workflow.lib.rdms.distances import pattern_distances
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling
from workflow.lib.rsa.partial import partial_prepare
from workflow.lib.seeds import generator


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


def unrelated_groups(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Layer and brain have images alike within the same groups, and nothing else in common."""
    layer, brain = (rdms_of([in_new_groups(name, design, rng)]) for _ in range(2))
    images = dataclasses.replace(design, n_images=GROUP_SIZE * n_groups(design))
    groups = np.arange(images.n_images) // GROUP_SIZE
    return {
        "mantel_groups": design.rejects(_permuted(layer, brain, images, rng, clusters=groups).p),
        "mantel_over_groups": design.rejects(_permuted(layer, brain, images, rng).p),
    }


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
    } | {
        key: _jackknifed(layers[:1], rois[:1], comparator, design)
        for key, comparator in JACKKNIFED.items()
    }
    centres = layer_centres(estimate[:1], draws[:, :1], level=level)
    differences = layer_differences(estimate[:1, :2], draws[:, :1, :2], **sizes)
    return {
        **{key: _holds(found, truth.of[key]) for key, found in intervals.items()},
        "centre_of_mass": centres.lower[0] <= truth.of["centre_of_mass"] <= centres.upper[0],
        "layer_difference": design.rejects(differences.p[0, 0]),
        "interaction": design.rejects(interaction_test(estimate, draws, **sizes).omnibus_p),
    }


def sharing(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Two layers explain a ROI, each a part of its own and one in common."""
    signal = features(geometry(name)(design.n_images, rng), rng)
    layers = rdms_of([noisy(signal, LAYER_NOISE[layer], rng) for layer in SHARING])
    roi = rdms_of([noisy(signal, ROI_NOISE, rng)])
    others = np.concatenate([layers, roi])
    both = compare(layers, others, COMPARATOR), _resampled(layers, others, design, rng)
    estimate, draws = (share_of_first(table[..., :2], table[..., 2:]) for table in both)
    variance = one_factor_variance(draws, design.n_images)
    lower, upper = interval(estimate, variance, design.n_images - 1, 1 - design.alpha)
    return {"variance_share": (lower <= truth.of["variance_share"] <= upper).item()}


def in_groups(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """Images come in groups: of new groups as well, or new images of the same groups."""
    return {
        procedure: _holds(
            _over_groups(*two_views(signal, rng), resample, design, rng), truth.of[procedure]
        )
        for procedure, resample, signal in (
            ("groups_drawn", "groups", in_new_groups(name, design, rng)),
            ("within_groups", "within_groups", around(truth.group_centres, rng)),
        )
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
    return {"two_factor": lower <= truth.of["two_factor"] <= upper}


def beneath_the_ceiling(name: str, design: Design, truth: Truth, rng: np.random.Generator) -> dict:
    """The same subjects, whatever the images: a layer less similar to them than they are."""
    signal = features(geometry(name)(design.n_images, rng), rng)
    layer = rdms_of([noisy(signal, LAYER_NOISE[0], rng)])
    subjects = rdms_of([noisy(signal, noise, rng) for noise in fixed_strengths(design)])
    counts = image_counts(design.n_images, design.n_resamples, rng)
    sizes = {"n_images": design.n_images}
    similarities = bootstrap_similarities(layer, subjects, COMPARATOR, counts, **sizes)
    ceilings, _ = bootstrap_ceilings(subjects, COMPARATOR, counts, **sizes)
    found = ceiling_differences(
        compare(layer, subjects, COMPARATOR).mean(axis=1, keepdims=True),
        similarities.mean(axis=2, keepdims=True),
        ceiling=noise_ceiling(subjects, COMPARATOR)[0].mean(keepdims=True),
        ceiling_draws=ceilings.mean(axis=1, keepdims=True),
        n_drawn=design.n_images,
        level=1 - design.alpha,
    )
    return {"below_ceiling": _holds(found.intervals, truth.of["below_ceiling"])}


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
    unrelated_groups,
    unrelated_beside_control,
    related,
    sharing,
    in_groups,
    related_subjects,
    beneath_the_ceiling,
    unrelated_subjects,
)


def _permuted(models, brains, design, rng, **exchanged):
    return permute_images(
        models,
        brains,
        COMPARATOR,
        n_images=design.n_images,
        n_permutations=design.n_permutations,
        rng=rng,
        **exchanged,
    )


def _resampled(models, brains, design, rng):
    counts = image_counts(design.n_images, design.n_resamples, rng)
    return bootstrap_similarities(models, brains, COMPARATOR, counts, n_images=design.n_images)


def _over_groups(layer, roi, resample, design, rng):
    """Return the interval of one similarity as a study with such resamples has it."""
    # All that resamples need to know of the images.
    n_images = GROUP_SIZE * n_groups(design)
    images = SimpleNamespace(n_images=n_images, groups=np.arange(n_images) // GROUP_SIZE)
    counts = RESAMPLING[resample](images, design.n_resamples, rng)
    draws = bootstrap_similarities(layer, roi, COMPARATOR, counts, n_images=n_images)
    return draw_intervals(
        compare(layer, roi, COMPARATOR),
        stretched(draws, images, resample),
        n_drawn=n_drawn(images, resample),
        level=1 - design.alpha,
    )


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
    name : a key of `scripts.calibration.geometries.GEOMETRIES`
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
    rng = generator(seed, "calibration", "population", name)
    truth = truth_of(name, design, n_simulations=n_simulations, rng=rng)
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
