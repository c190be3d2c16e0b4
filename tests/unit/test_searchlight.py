"""Searchlights: against loops over spheres with scipy and rsatoolbox, and planted regions."""

import logging

import nibabel
import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.maskers.nifti_spheres_masker import apply_mask_and_get_affinity
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util.searchlight import get_volume_searchlight
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import crossnobis_distances, pattern_distances
from workflow.lib.rsa.comparators import prepare
from workflow.lib.searchlight import sphere_rdms
from workflow.lib.searchlight.kernels import value_order
from workflow.lib.searchlight.similarity import (
    FEW_MODELS,
    control_basis,
    prepared_models,
    similarity_maps,
    without_controls,
)
from workflow.lib.searchlight.sphere_rdms import COMPARATORS, METRICS, Searchlight
from workflow.lib.searchlight.spheres import Spheres, sphere_offsets

RSATOOLBOX_COMPARATORS = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
}
AFFINE = np.array([[3.0, 0, 0, -20], [0, 3, 0, -30], [0, 0, 3, 10], [0, 0, 0, 1]])
# Voxels of other lengths along each axis, rotated and sheared.
OBLIQUE = np.array([[2.0, 0.3, 0, 5], [-0.4, 3.1, 0.5, 0], [0.1, -0.2, 4.2, -9], [0, 0, 0, 1]])


def ragged_mask(rng, shape=(7, 6, 5)):
    return rng.random(shape) < 0.7


def small_brain(seed, n_conditions=7, shape=(6, 5, 4), metric="correlation"):
    """Return patterns, voxels and mask; crossnobis has three runs."""
    rng = np.random.default_rng(seed)
    mask = ragged_mask(rng, shape)
    voxels = np.argwhere(mask)
    runs = (3,) if metric == "crossnobis" else ()
    patterns = rng.standard_normal((*runs, n_conditions, len(voxels))) + 5
    return patterns, voxels, mask


def brute_force_members(voxels, mask, affine, centre, radius, unit):
    """Return the channels of a sphere by the distance of every voxel from its centre."""
    scale = affine[:3, :3] if unit == "mm" else np.eye(3)
    distances = np.linalg.norm((voxels - centre) @ scale.T, axis=1)
    inside = mask[tuple(voxels.T)]
    return np.flatnonzero(inside & (distances <= radius + 1e-9))


# Spheres.


def test_a_sphere_of_three_voxels_holds_123():
    """The published number: Lee et al. 2023, Human Brain Mapping, radius 3 voxels."""
    assert len(sphere_offsets(AFFINE, 3)) == 123
    assert len(sphere_offsets(AFFINE, 9, "mm")) == 123


@pytest.mark.parametrize(
    ("radius", "size"), [(0, 1), (0.9, 1), (1, 7), (1.42, 19), (1.74, 27), (2, 33)]
)
def test_sizes_of_small_spheres_by_counting(radius, size):
    assert len(sphere_offsets(np.eye(4), radius)) == size


def test_a_voxel_on_the_surface_counts_although_affines_are_single_precision():
    affine = AFFINE.copy()
    affine[:3, :3] = np.diag(np.float32([3.0000002, 3.0000002, 3.0000002]))
    assert len(sphere_offsets(affine, 9, "mm")) == 123


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(("radius", "unit"), [(2.2, "voxel"), (7, "mm"), (1, "mm")])
def test_members_are_all_voxels_within_the_radius(affine, radius, unit):
    mask = ragged_mask(np.random.default_rng(1))
    # The order of channels has nothing to do with the order of voxels.
    voxels = np.random.default_rng(2).permutation(np.argwhere(mask))
    spheres = Spheres(mask, affine, radius=radius, unit=unit, voxels=voxels)
    for number, centre in enumerate(spheres.centres):
        expected = brute_force_members(voxels, mask, affine, centre, radius, unit)
        np.testing.assert_array_equal(spheres.members(number), expected)
        assert spheres.sizes[number] == len(expected)
        np.testing.assert_array_equal(voxels[spheres.channel[number]], centre)


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
def test_neighbourhoods_are_those_of_nilearn(affine):
    mask = ragged_mask(np.random.default_rng(3))
    voxels = np.argwhere(mask)
    spheres = Spheres(mask, affine, radius=7.5, unit="mm", voxels=voxels)
    image = nibabel.Nifti1Image(mask.astype(np.int8), affine)
    seeds = nibabel.affines.apply_affine(affine, voxels)
    _, affinity = apply_mask_and_get_affinity(seeds, None, 7.5, allow_overlap=True, mask_img=image)
    for number, row in enumerate(affinity.tolil().rows):
        np.testing.assert_array_equal(spheres.members(number), sorted(row))


def test_neighbourhoods_are_those_of_rsatoolbox():
    mask = ragged_mask(np.random.default_rng(4))
    spheres = Spheres(mask, np.eye(4), radius=2, unit="voxel", voxels=np.argwhere(mask))
    # rsatoolbox takes voxels nearer than the radius, outside the mask as well.
    centres, neighbours = get_volume_searchlight(mask.astype(float), radius=2.0001, threshold=0)
    flat = np.ravel_multi_index(spheres.centres.T, mask.shape)
    found = {int(c): set(np.ravel(n).tolist()) for c, n in zip(centres, neighbours, strict=True)}
    assert len(found) == len(flat)
    for number, place in enumerate(flat):
        inside = found[int(place)] & set(flat.tolist())
        assert set(flat[spheres.members(number)].tolist()) == inside


def test_channels_outside_the_mask_are_in_no_sphere():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1:3, 1:3, 1:3] = True
    everywhere = np.argwhere(np.ones_like(mask))
    spheres = Spheres(mask, AFFINE, radius=10, unit="voxel", voxels=everywhere)
    assert (spheres.sizes == 8).all()
    assert mask[tuple(everywhere[spheres.members(0)].T)].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((6, 5, 4))}, "mask without voxels"),
        ({"voxels": np.array([[0, 0, 0], [0, 0, 4]])}, "outside the mask's grid"),
        ({"voxels": np.array([[1, 1, 1], [1, 1, 1]])}, "several channels"),
        ({"radius": -1}, "radius of -1"),
        ({"radius": np.nan}, "radius of nan"),
        ({"unit": "cm"}, "unit 'cm'"),
        ({"affine": np.zeros((4, 4)), "unit": "mm"}, "gives voxels a volume"),
    ],
)
def test_spheres_that_cannot_be(change, message):
    given = {
        **{"mask": np.ones((6, 5, 4), bool), "affine": AFFINE, "radius": 2, "unit": "voxel"},
        **{"voxels": np.array([[1, 1, 1], [2, 2, 2]])},
    } | change
    with pytest.raises(InputError, match=message):
        Spheres(given.pop("mask"), given.pop("affine"), **given)


# RDMs.


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "crossnobis"])
def test_rdms_are_those_of_scipy(metric):
    patterns, voxels, mask = small_brain(5)
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1.8, metric=metric)
    rdms = light.rdms(light.computed)
    for rdm, centre in zip(rdms, light.computed, strict=True):
        own = patterns[:, light.spheres.members(centre)]
        expected = pdist(own, {"sq_euclidean": "sqeuclidean"}.get(metric, metric))
        np.testing.assert_allclose(rdm, expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(rdm, pattern_distances(own, metric), rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "crossnobis"])
def test_equal_patterns_are_at_distance_zero_and_tie(metric):
    patterns, voxels, mask = small_brain(8)
    patterns[4] = patterns[1]
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=2.5, metric=metric)
    for rdm in light.rdms(light.computed):
        square = squareform(rdm)
        assert square[1, 4] == 0
        np.testing.assert_array_equal(np.delete(square[1], [1, 4]), np.delete(square[4], [1, 4]))


@pytest.mark.parametrize("n_runs", [2, 3, 5])
def test_crossnobis_is_that_of_rsatoolbox(n_runs):
    rng = np.random.default_rng(6)
    mask = ragged_mask(rng, (5, 4, 4))
    voxels = np.argwhere(mask)
    patterns = rng.standard_normal((n_runs, 5, len(voxels))) + 3
    light = Searchlight(
        patterns, voxels, mask=mask, affine=AFFINE, radius=1.5, metric="crossnobis", min_voxels=1
    )
    names = {"condition": np.tile(np.arange(5), n_runs), "run": np.repeat(np.arange(n_runs), 5)}
    for rdm, centre in zip(light.rdms(light.computed), light.computed, strict=True):
        own = patterns[:, :, light.spheres.members(centre)]
        dataset = Dataset(own.reshape(n_runs * 5, -1), obs_descriptors=names)
        expected = calc_rdm(dataset, "crossnobis", "condition", cv_descriptor="run")
        np.testing.assert_allclose(rdm, expected.dissimilarities[0], rtol=0, atol=1e-10)
        np.testing.assert_allclose(rdm, crossnobis_distances(own), rtol=0, atol=1e-10)


def test_a_large_offset_does_not_spoil_the_correlation():
    """Raw images lie around 10,000: the difference of patterns must not drown in rounding."""
    patterns, voxels, mask = small_brain(7)
    near, far = (
        Searchlight(patterns + offset, voxels, mask=mask, affine=AFFINE, radius=1.8)
        for offset in (0, 1e4)
    )
    np.testing.assert_allclose(near.rdms(near.computed), far.rdms(far.computed), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", COMPARATORS)
@pytest.mark.parametrize("metric", METRICS)
def test_maps_equal_a_loop_over_spheres_with_rsatoolbox(name, metric):
    patterns, voxels, mask = small_brain(8, metric=metric)
    light = Searchlight(
        patterns, voxels, mask=mask, affine=OBLIQUE, radius=6, unit="mm", metric=metric
    )
    models = np.random.default_rng(9).random((3, light.n_pairs))
    models[2] = models[2] > 0.5  # tied
    found = similarity_maps(light, prepared_models(models, name), name)
    distances = crossnobis_distances if metric == "crossnobis" else None
    for centre in light.computed:
        own = patterns[..., light.spheres.members(centre)]
        rdm = distances(own) if distances else pattern_distances(own, metric)
        expected = rsatoolbox_compare(RDMs(models), RDMs(rdm), RSATOOLBOX_COMPARATORS[name])
        np.testing.assert_allclose(found[:, centre], expected[:, 0], rtol=0, atol=1e-10)
    assert light.computed.size > 50


@pytest.mark.parametrize("name", COMPARATORS)
def test_prepared_spheres_are_those_of_the_comparators(name):
    patterns, voxels, mask = small_brain(10)
    # Whole numbers: many equal distances.
    light = Searchlight(
        np.round(patterns), voxels, mask=mask, affine=AFFINE, radius=1, metric="sq_euclidean"
    )
    for centres, prepared in light.prepared_blocks(name):
        rdms = light.rdms(centres)
        assert len(np.unique(np.round(rdms[0], 9))) < rdms.shape[1]
        np.testing.assert_allclose(prepared, prepare(rdms, name), rtol=0, atol=1e-12)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 2.0]),
            st.floats(-1e3, 1e3),
            st.floats(1 - 1e-9, 1 + 1e-9),
            st.floats(-1e300, 1e300),
            st.floats(0, 1e-300),
        ),
        min_size=1,
        max_size=200,
    )
)
@settings(deadline=None)
def test_values_are_put_in_order_however_they_are_spread(values):
    values = np.array(values)
    np.testing.assert_array_equal(values[value_order(values)], np.sort(values))


@pytest.mark.parametrize("n", [2, 3, 100, 5000, 40_000])
def test_ranks_of_long_vectors(n):
    values = np.random.default_rng(n).standard_cauchy(n)
    ranks = np.empty(n)
    ranks[value_order(values)] = np.arange(1, n + 1)
    np.testing.assert_array_equal(ranks, rankdata(values))


def test_nothing_depends_on_the_size_of_a_block(monkeypatch):
    patterns, voxels, mask = small_brain(11)
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1.8)
    models = prepared_models(np.random.default_rng(12).random((2, light.n_pairs)), "spearman")
    found = []
    for spheres in (1, 3, 7, 1024):
        monkeypatch.setattr(sphere_rdms, "BLOCK_SPHERES", spheres)
        assert light.block_spheres == spheres
        found.append(similarity_maps(light, models, "spearman"))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_blocks_shrink_as_rdms_grow():
    """The RDMs of a block take no more than 16 MB, unless a single one does."""
    for n_conditions, expected in ((8, 1024), (60, 1024), (200, 105), (1000, 4), (3000, 1)):
        light = object.__new__(Searchlight)
        light.n_pairs = n_conditions * (n_conditions - 1) // 2
        assert light.block_spheres == expected


def test_many_models_are_compared_as_few_are():
    patterns, voxels, mask = small_brain(13)
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1.8)
    models = np.random.default_rng(14).random((FEW_MODELS + 1, light.n_pairs))
    prepared = prepared_models(models, "pearson")
    many = similarity_maps(light, prepared, "pearson")
    few = similarity_maps(light, prepared[:2], "pearson")
    np.testing.assert_allclose(many[:2], few, rtol=0, atol=1e-14)


# Controls.


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_partial_correlations_are_those_of_pingouin(name):
    patterns, voxels, mask = small_brain(15, shape=(4, 3, 3))
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1.5)
    rng = np.random.default_rng(16)
    models, controls = rng.random((2, light.n_pairs)), rng.random((2, light.n_pairs))
    models += controls[0]
    basis = control_basis(controls, name, ["a", "b"])
    found = similarity_maps(
        light, without_controls(prepared_models(models, name), basis), name, basis=basis
    )
    for centre in light.computed[::3]:
        table = pd.DataFrame({"brain": light.rdms([centre])[0], "c": controls[0], "d": controls[1]})
        for model, similarity in zip(models, found[:, centre], strict=True):
            expected = pingouin.partial_corr(
                table.assign(model=model), "model", "brain", ["c", "d"], method=name
            )
            assert similarity == pytest.approx(expected["r"].item(), abs=1e-10)


def test_controls_that_cannot_be():
    rng = np.random.default_rng(17)
    controls = rng.random((3, 21))
    controls[2] = controls[0] + 2 * controls[1]
    with pytest.raises(InputError, match="'c' made up of the others"):
        control_basis(controls, "pearson", ["a", "b", "c"])
    with pytest.raises(InputError, match="only a correlation can be partial"):
        control_basis(controls[:2], "cosine", ["a", "b"])


def test_nothing_is_left_of_a_model_that_the_controls_make_up():
    controls = np.random.default_rng(18).random((2, 21))
    basis = control_basis(controls, "pearson", ["a", "b"])
    left = without_controls(prepared_models(controls[:1] * 3 - controls[1:], "pearson"), basis)
    np.testing.assert_array_equal(left, 0)


# What cannot be computed is NaN, and counted.


def test_unusable_voxels_are_in_no_sphere_and_hold_no_centre(caplog):
    patterns, voxels, mask = small_brain(19)
    damaged = patterns.copy()
    damaged[2, 5] = np.nan
    damaged[0, 11] = np.inf
    damaged[:, 17] = 0.25
    bad = [5, 11, 17]
    with caplog.at_level(logging.INFO, logger="workflow"):
        light = Searchlight(damaged, voxels, mask=mask, affine=AFFINE, radius=1.8)
    assert light.excluded["without a usable voxel"] == 3
    assert "2 not finite, 1 constant" in caplog.text
    good = np.setdiff1d(np.arange(len(voxels)), bad)
    without = mask.copy()
    without[tuple(voxels[bad].T)] = False
    other = Searchlight(patterns[:, good], voxels[good], mask=without, affine=AFFINE, radius=1.8)
    assert np.isnan(light.rdms(bad)).all()
    np.testing.assert_array_equal(light.rdms(good), other.rdms(np.arange(len(good))))


def test_spheres_with_too_few_voxels_are_left_out_and_counted():
    patterns, voxels, mask = small_brain(20)
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1, min_voxels=5)
    few = light.spheres.sizes < 5
    assert 0 < few.sum() < len(few)
    assert light.excluded["with fewer than 5 voxels"] == few.sum()
    maps = similarity_maps(light, prepared_models(np.arange(21.0), "spearman"), "spearman")
    np.testing.assert_array_equal(np.isnan(maps[0]), few)


def test_a_radius_below_a_voxel_leaves_the_centre_alone():
    patterns, voxels, mask = small_brain(21)
    light = Searchlight(
        patterns, voxels, mask=mask, affine=AFFINE, radius=2.9, unit="mm",
        metric="euclidean", min_voxels=1,
    )  # fmt: skip
    assert (light.spheres.sizes == 1).all()
    np.testing.assert_allclose(light.rdms([3])[0], pdist(patterns[:, 3:4]), rtol=0, atol=1e-12)
    with pytest.raises(InputError, match=r"no centre with 2 usable voxels within 2\.9 mm"):
        Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=2.9, unit="mm")


def test_a_condition_without_pattern_makes_its_spheres_nan(caplog):
    patterns, voxels, mask = small_brain(22)
    corner = (voxels[:, 0] < 3).nonzero()[0]
    patterns[4, corner] = 7.0
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1)
    with caplog.at_level(logging.INFO, logger="workflow"):
        maps = similarity_maps(light, prepared_models(np.arange(21.0), "pearson"), "pearson")
    flat = [np.ptp(patterns[4, light.spheres.members(centre)]) == 0 for centre in light.computed]
    assert 0 < sum(flat) < len(flat)
    np.testing.assert_array_equal(np.isnan(maps[0, light.computed]), flat)
    assert f"{sum(flat)} centres with a constant pattern or RDM are NaN" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "mahalanobis"}, "metric 'mahalanobis'"),
        ({"metric": "crossnobis"}, "runs x conditions"),
        ({"patterns": np.ones((2, 120))}, "at least 3 conditions"),
        ({"patterns": np.ones((7, 5))}, "conditions x 120 channels"),
        ({"min_voxels": 1}, "min_voxels 1"),
        ({"patterns": np.ones((7, 120))}, "found no centre"),
    ],
)
def test_searchlights_that_cannot_be(change, message):
    mask = np.ones((6, 5, 4), bool)
    given = {
        **{"patterns": np.random.default_rng(0).random((7, 120)), "voxels": np.argwhere(mask)},
        **{"mask": mask, "affine": AFFINE, "radius": 2},
    } | change
    with pytest.raises(InputError, match=message):
        Searchlight(given.pop("patterns"), given.pop("voxels"), **given)


def test_models_over_other_conditions_are_refused():
    patterns, voxels, mask = small_brain(23)
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=2)
    with pytest.raises(InputError, match="model RDMs of 28 pairs, expected 21 for 7 conditions"):
        similarity_maps(light, prepared_models(np.arange(28.0), "pearson"), "pearson")
    with pytest.raises(InputError, match="comparator 'tau-a' for a searchlight"):
        prepared_models(np.arange(21.0), "tau-a")


# Truth.


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_region_is_where_the_map_is_high(seed):
    """Patterns of a region follow the model's geometry, all others are noise."""
    rng = np.random.default_rng(100 + seed)
    mask = np.ones((12, 12, 12), bool)
    voxels = np.argwhere(mask)
    region = np.linalg.norm(voxels - [8, 4, 6], axis=1) <= 3
    features = rng.standard_normal((20, 6))
    patterns = rng.standard_normal((20, len(voxels)))
    patterns[:, region] += features @ rng.standard_normal((6, region.sum()))
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=2)
    models = np.stack([pdist(features, "correlation"), pdist(rng.standard_normal((20, 6)))])
    planted, other = similarity_maps(light, prepared_models(models, "spearman"), "spearman")
    inside = np.linalg.norm(voxels - [8, 4, 6], axis=1) <= 1.5
    far = np.linalg.norm(voxels - [8, 4, 6], axis=1) > 5.5
    assert planted[inside].min() > 0.3 > planted[far].max()
    assert region[planted.argmax()]
    # 190 pairs of 20 independent patterns: no similarity of the second model is that high.
    assert other.max() < 0.35
