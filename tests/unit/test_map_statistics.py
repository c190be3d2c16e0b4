"""Map statistics: against nilearn, complete enumerations, brute force, and known truths."""

import itertools
import warnings

import nibabel
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols
from nilearn.mass_univariate._utils import calculate_tfce
from nilearn.reporting import get_clusters_table
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist, squareform

from workflow.lib.errors import InputError
from workflow.lib.inference.orders import random_orders
from workflow.lib.searchlight import sphere_rdms, statistics
from workflow.lib.searchlight.clusters import CLUSTER_COLUMNS, cluster_table
from workflow.lib.searchlight.similarity import (
    control_basis,
    prepared_models,
    similarity_maps,
    without_controls,
)
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import (
    fisher_z,
    label_permutation_test,
    map_sign_flip_test,
    permuted_models,
    sign_flips,
)
from workflow.lib.searchlight.tfce import neighbour_table, tfce

AFFINE = np.array([[-3.0, 0, 0, 20], [0, 3, 0, -30], [0, 0, 3, 10], [0, 0, 0, 1]])
STRUCTURES = {6: 1, 18: 2, 26: 3}


def smooth_volume(rng, shape=(9, 8, 7)):
    return scipy.ndimage.gaussian_filter(rng.standard_normal(shape), 1) * 8


# TFCE.


def brute_force_tfce(volume, connectivity, extent, height):
    """Return TFCE by labelling the clusters above every value that occurs."""
    structure = scipy.ndimage.generate_binary_structure(3, STRUCTURES[connectivity])
    levels = np.unique(np.r_[0, volume[volume > 0]])
    found = np.zeros(volume.shape)
    for low, high in itertools.pairwise(levels):
        labels, _ = scipy.ndimage.label(volume > low, structure)
        sizes = np.bincount(labels.ravel()).astype(float)
        sizes[0] = 0
        power = height + 1
        found += np.where(labels > 0, sizes[labels] ** extent, 0) * (
            (high**power - low**power) / power
        )
    return found


@pytest.mark.parametrize("connectivity", STRUCTURES)
@pytest.mark.parametrize(("extent", "height"), [(0.5, 2), (1, 1), (0.5, 0), (0.25, 3)])
@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "tied"])
def test_tfce_equals_the_sum_over_all_levels(connectivity, extent, height, rounded):
    rng = np.random.default_rng(1)
    volume = smooth_volume(rng)
    volume = np.round(volume) if rounded else volume
    mask = rng.random(volume.shape) < 0.8
    neighbours = neighbour_table(mask, connectivity)
    found = tfce(volume[mask], neighbours, extent=extent, height=height)
    expected = brute_force_tfce(np.where(mask, volume, 0), connectivity, extent, height)
    np.testing.assert_allclose(found[0], expected[mask], rtol=1e-10, atol=1e-10)
    assert found.max() > 1


def test_tfce_is_exactly_that_of_nilearn_where_clusters_change_at_whole_numbers():
    """nilearn adds e^E h^H at the steps h = 1, 2, ..., and a cluster has one size in between.

    The integral of h^2 from k - 1 to k is k^2 - k + 1/3.
    """
    volume = np.round(smooth_volume(np.random.default_rng(2)) * 3)
    structure = scipy.ndimage.generate_binary_structure(3, 1)

    def theirs(height):
        return calculate_tfce(
            volume[..., None], structure, E=0.5, H=height, dh=1, two_sided_test=False
        )[..., 0]

    assert volume.max() >= 10
    mask = np.ones(volume.shape, bool)
    found = tfce(volume[mask], neighbour_table(mask))[0]
    expected = (theirs(2) - theirs(1) + theirs(0) / 3)[mask]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_tfce_of_a_line_by_hand():
    # Above 2 one voxel, from 1 to 2 two, from 0 to 1 four of five, in a row.
    mask = np.ones((5, 1, 1), bool)
    found = tfce(np.array([1.0, 1, 2, 3, -4]), neighbour_table(mask), extent=1, height=1)[0]
    # Integral of h: 1/2 from 0 to 1, 3/2 to 2, 5/2 to 3.
    lowest, middle, highest = 4 / 2, 2 * 3 / 2, 5 / 2
    expected = [lowest, lowest, lowest + middle, lowest + middle + highest, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_tfce_of_nothing_is_nothing():
    mask = np.ones((3, 3, 3), bool)
    np.testing.assert_array_equal(tfce(-np.ones((2, 27)), neighbour_table(mask)), 0)


def test_tfce_prefers_neither_height_nor_extent_alone():
    """Multiplying a map by c multiplies TFCE by c^3: no threshold is chosen by the scale."""
    rng = np.random.default_rng(3)
    mask = np.ones((9, 8, 7), bool)
    values, neighbours = smooth_volume(rng)[mask], neighbour_table(mask)
    np.testing.assert_allclose(
        tfce(0.01 * values, neighbours), 1e-6 * tfce(values, neighbours), rtol=1e-9
    )


@pytest.mark.parametrize("connectivity", STRUCTURES)
def test_neighbours_are_those_that_touch(connectivity):
    rng = np.random.default_rng(4)
    mask = rng.random((4, 5, 3)) < 0.7
    table = neighbour_table(mask, connectivity)
    voxels = np.argwhere(mask)
    steps = np.abs(voxels[:, None] - voxels)
    touching = (steps.max(-1) == 1) & (steps.sum(-1) <= STRUCTURES[connectivity])
    for number, row in enumerate(table):
        np.testing.assert_array_equal(np.sort(row[row >= 0]), np.flatnonzero(touching[number]))


def test_an_unknown_connectivity_is_refused():
    with pytest.raises(InputError, match="connectivity 8"):
        neighbour_table(np.ones((2, 2, 2), bool), 8)


# Label permutation.


def small_searchlight(seed, n_conditions=5, shape=(4, 4, 3)):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.85
    voxels = np.argwhere(mask)
    patterns = rng.standard_normal((n_conditions, len(voxels)))
    patterns[:, 3] = np.nan
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=1.5, min_voxels=4)
    return light, rng


def every_order(n_conditions):
    return [np.array(order) for order in itertools.permutations(range(n_conditions))]


def null_maps(light, models, name, orders, neighbours=None):
    """Return (observed, null), (n_models, n) and (n_orders, n_models, n), by rsatoolbox."""
    method = {"pearson": "corr", "spearman": "spearman"}[name]
    valid = np.isfinite(light.rdms(np.arange(light.n_centres))).all(axis=1)
    brains = RDMs(light.rdms(np.flatnonzero(valid)))
    squares = [squareform(model) for model in models]

    def maps(order):
        relabelled = np.stack([squareform(square[np.ix_(order, order)]) for square in squares])
        return rsatoolbox_compare(RDMs(relabelled), brains, method)

    null = np.stack([maps(order) for order in orders])
    return maps(np.arange(light.n_conditions)), null, valid


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize("across", [False, True], ids=["each map", "all maps"])
def test_p_is_exact_over_all_permutations(name, across):
    """120 orders of five conditions, their own among them: each p is k / 120."""
    light, rng = small_searchlight(5)
    models = rng.random((2, light.n_pairs))
    models[1] = models[1] > 0.5
    prepared = prepared_models(models, name)
    found = label_permutation_test(
        light,
        prepared,
        name,
        observed=similarity_maps(light, prepared, name),
        n_permutations=120,
        rng=rng,
        across_models=across,
    )
    observed, null, valid = null_maps(light, models, name, every_order(5))
    volume = np.zeros(light.spheres.mask.shape, bool)
    volume[light.spheres.mask] = valid
    neighbours = neighbour_table(volume)
    enhanced = tfce(observed, neighbours)
    largest = null.max(axis=2)
    largest_tfce = np.stack([tfce(maps, neighbours).max(axis=1) for maps in null])
    if across:
        largest = largest.max(axis=1, keepdims=True)
        largest_tfce = largest_tfce.max(axis=1, keepdims=True)

    def p(null, observed):
        return (null >= observed - 1e-9).mean(axis=0)

    np.testing.assert_array_equal(found.p[:, valid], p(null, observed))
    np.testing.assert_array_equal(found.p_max[:, valid], p(largest[..., None], observed))
    np.testing.assert_array_equal(found.p_tfce[:, valid], p(largest_tfce[..., None], enhanced))
    for values in (found.p, found.p_max, found.p_tfce):
        assert np.isnan(values[:, ~valid]).all()
    assert 0 < valid.sum() < len(valid)
    assert (found.n_draws, found.complete) == (120, True)


def test_p_of_partial_correlations_by_refitting():
    """Model labels are permuted, those of the control are not."""
    light, rng = small_searchlight(6)
    model, control = rng.random((2, light.n_pairs))
    prepared, basis = prepared_models(model, "pearson"), control_basis(control, "pearson", ["c"])
    observed = similarity_maps(light, without_controls(prepared, basis), "pearson", basis=basis)
    found = label_permutation_test(
        light, prepared, "pearson", observed=observed, n_permutations=120, rng=rng, basis=basis
    )
    orders = every_order(5)
    relabelled = np.stack([squareform(squareform(model)[np.ix_(o, o)]) for o in orders])
    design = np.stack([np.ones(light.n_pairs), control], axis=1)

    def residual(values):
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    for centre in np.flatnonzero(np.isfinite(observed[0]))[::4]:
        brain = residual(light.rdms([centre])[0])
        null = np.array([np.corrcoef(residual(one), brain)[0, 1] for one in relabelled])
        assert observed[0, centre] == pytest.approx(null[0], abs=1e-10)
        assert found.p[0, centre] == (null >= null[0] - 1e-9).mean()


def test_nothing_depends_on_the_size_of_a_block(monkeypatch):
    light, rng = small_searchlight(7, n_conditions=6)
    prepared = prepared_models(rng.random((3, light.n_pairs)), "spearman")
    observed = similarity_maps(light, prepared, "spearman")

    def test():
        return label_permutation_test(
            light,
            prepared,
            "spearman",
            observed=observed,
            n_permutations=50,
            rng=np.random.default_rng(8),
            groups=list("aabbbb"),
        )

    whole = test()
    for rows, maps, spheres in ((8 * 1024 * 3, 1 << 30, 5), (1 << 30, 8 * 30 * 9, 1), (1, 1, 7)):
        monkeypatch.setattr(statistics, "ROWS_BYTES", rows)
        monkeypatch.setattr(statistics, "MAPS_BYTES", maps)
        monkeypatch.setattr(sphere_rdms, "BLOCK_SPHERES", spheres)
        other = test()
        for name in ("p", "p_max", "p_tfce"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))


def test_permuted_models_are_relabelled_matrices():
    rng = np.random.default_rng(9)
    models = rng.random((2, 28))
    orders = list(random_orders(8, 3, rng))
    found = permuted_models(models, orders).reshape(3, 2, 28)
    for order, pair in zip(orders, found, strict=True):
        for model, permuted in zip(models, pair, strict=True):
            np.testing.assert_array_equal(
                squareform(permuted), squareform(model)[np.ix_(order, order)]
            )


def test_a_model_within_whose_groups_conditions_move_is_reached_by_all():
    """A category model does not change when conditions move within categories: p is 1."""
    light, rng = small_searchlight(10, n_conditions=8)
    category = np.repeat([0.0, 1], 4)
    prepared = prepared_models(pdist(category[:, None]), "spearman")
    found = label_permutation_test(
        light,
        prepared,
        "spearman",
        observed=similarity_maps(light, prepared, "spearman"),
        n_permutations=30,
        rng=rng,
        groups=list(map(str, category)),
    )
    for values in (found.p, found.p_max, found.p_tfce):
        np.testing.assert_array_equal(values[np.isfinite(values)], 1)


def planted_brain(rng, effect, n_conditions=14, side=9):
    mask = np.ones((side, side, side), bool)
    voxels = np.argwhere(mask)
    region = np.linalg.norm(voxels - [5, 3, 4], axis=1) <= 2.5
    features = rng.standard_normal((n_conditions, 5))
    patterns = rng.standard_normal((n_conditions, len(voxels)))
    patterns[:, region] += effect * features @ rng.standard_normal((5, region.sum()))
    light = Searchlight(patterns, voxels, mask=mask, affine=AFFINE, radius=2)
    return light, pdist(features, "correlation"), voxels


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_region_is_found_and_none_elsewhere(seed):
    rng = np.random.default_rng(200 + seed)
    light, model, voxels = planted_brain(rng, effect=1.0)
    prepared = prepared_models(model, "spearman")
    found = label_permutation_test(
        light,
        prepared,
        "spearman",
        observed=similarity_maps(light, prepared, "spearman"),
        n_permutations=99,
        rng=rng,
    )
    # A sphere of radius 2 reaches what lies up to 4.5 from the centre of the region.
    beyond = np.linalg.norm(voxels - [5, 3, 4], axis=1) > 4.6
    for p in (found.p_max[0], found.p_tfce[0]):
        assert p[np.linalg.norm(voxels - [5, 3, 4], axis=1) <= 1].max() <= 0.05
        assert (p[beyond] <= 0.05).mean() < 0.02
    assert found.p_tfce[0].min() == 0.01


def test_family_wise_errors_of_null_brains_are_at_their_nominal_rate():
    """100 brains without the model's geometry: in how many is any voxel found at p <= 0.1?

    10 are expected, and the binomial count lies within its central 99.9 %.
    """
    rng = np.random.default_rng(11)
    any_found = np.zeros(2)
    for _ in range(100):
        light, _, _ = planted_brain(rng, effect=0, n_conditions=8, side=6)
        prepared = prepared_models(pdist(rng.standard_normal((8, 4))), "spearman")
        test = label_permutation_test(
            light,
            prepared,
            "spearman",
            observed=similarity_maps(light, prepared, "spearman"),
            n_permutations=39,
            rng=rng,
        )
        any_found += [np.nanmin(test.p_max) <= 0.1, np.nanmin(test.p_tfce) <= 0.1]
    low, high = scipy.stats.binom.interval(0.999, 100, 0.1)
    assert ((low <= any_found) & (any_found <= high)).all()


# Sign flips.


def group_maps(seed, n_subjects, shape=(6, 5, 4), n_maps=1):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.9
    maps = rng.standard_normal((n_subjects, n_maps, mask.sum()))
    maps[:, :, :12] += 0.8
    return maps, mask, rng


@pytest.mark.parametrize("n_maps", [1, 2])
def test_sign_flips_are_exact_over_all_of_them(n_maps):
    """2^7 = 128 sign flips: p = k / 128, the unflipped maps among the k."""
    maps, mask, rng = group_maps(12, 7, n_maps=n_maps)
    maps[3, 0, 5] = np.nan
    found = map_sign_flip_test(maps, mask, n_flips=128, rng=rng)
    assert found.status == "inferential"
    assert (found.test.n_draws, found.test.complete) == (128, True)
    valid = np.isfinite(maps).all(axis=(0, 1))
    assert valid.sum() == len(valid) - 1
    tested = maps[:, :, valid]
    null = np.stack(
        [
            scipy.stats.ttest_1samp(np.array(signs)[:, None, None] * tested, 0).statistic
            for signs in itertools.product((1, -1), repeat=7)
        ]
    )
    observed = null[0]
    np.testing.assert_allclose(found.t[:, valid], observed, rtol=1e-10)
    np.testing.assert_allclose(found.mean[:, valid], tested.mean(axis=0), rtol=1e-12)
    volume = mask.copy()
    volume[mask] = valid
    neighbours = neighbour_table(volume)
    largest_tfce = np.stack([tfce(one, neighbours).max(axis=1) for one in null])

    def p(null, observed):
        return (null >= observed - 1e-9 * np.maximum(1, np.abs(observed))).mean(axis=0)

    np.testing.assert_array_equal(found.test.p[:, valid], p(null, observed))
    np.testing.assert_array_equal(found.test.p_max[:, valid], p(null.max(2)[..., None], observed))
    np.testing.assert_array_equal(
        found.test.p_tfce[:, valid], p(largest_tfce[..., None], tfce(observed, neighbours))
    )
    assert np.isnan(found.test.p[:, ~valid]).all()
    assert np.isnan(found.t[:, ~valid]).all()
    assert found.test.p[:, valid].min() >= 1 / 128


def permuted_ols_of(maps, mask, **options):
    """Return the one-sided one-sample test of nilearn."""
    image = nibabel.Nifti1Image(mask.astype(np.int8), AFFINE)
    masker = NiftiMasker(mask_img=image, standardize=None).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return permuted_ols(
            np.ones((len(maps), 1)),
            maps[:, 0],
            model_intercept=False,
            two_sided_test=False,
            random_state=0,
            masker=masker,
            **options,
        )


def test_equal_to_permuted_ols_of_nilearn():
    """t to rounding; p of both within sampling error of 4,000 flips each."""
    maps, mask, rng = group_maps(13, 14)
    theirs = permuted_ols_of(maps, mask, n_perm=4000, output_type="dict")
    ours = map_sign_flip_test(maps, mask, n_flips=4000, rng=rng, connectivity=None)
    np.testing.assert_allclose(ours.t[0], theirs["t"][0], rtol=1e-8)
    expected = 10 ** -theirs["logp_max_t"][0]
    # Four standard errors of the difference of two proportions.
    error = np.sqrt(2 * expected * (1 - expected) / 4000)
    np.testing.assert_array_less(np.abs(ours.test.p_max[0] - expected), 4 * error + 2 / 4000)
    assert ours.test.p_max.min() < 0.05
    assert not ours.test.complete
    assert np.isnan(ours.test.p_tfce).all()


def test_tfce_of_a_group_is_that_of_nilearn():
    """nilearn adds a hundred steps of height, and does not multiply by the step, max(t) / 100.

    The step differs from one null map to the next, so that its p-values are those of another
    statistic; here only the observed map is compared, to the error of a hundred steps.
    """
    maps, mask, _ = group_maps(13, 12)
    theirs = permuted_ols_of(maps, mask, n_perm=1, tfce=True)
    t = theirs["t"][0]
    expected = theirs["tfce"][0] * t.max() / 100
    ours = tfce(t, neighbour_table(mask))[0]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.02 * ours.max())
    assert np.corrcoef(ours, expected)[0, 1] > 0.9999


@pytest.mark.parametrize(
    ("n_subjects", "status"),
    [(1, "single case"), (2, "descriptive"), (5, "descriptive"), (6, "inferential")],
)
def test_few_subjects_carry_no_claim(n_subjects, status):
    maps, mask, rng = group_maps(14, n_subjects)
    found = map_sign_flip_test(maps, mask, n_flips=1000, rng=rng)
    assert (found.status, found.n_subjects) == (status, n_subjects)
    assert (found.test is None) == (status != "inferential")
    assert np.isnan(found.t).all() == (n_subjects == 1)
    np.testing.assert_allclose(found.mean, maps.mean(axis=0), rtol=1e-12)


def test_all_sign_flips_are_taken_once_when_they_are_few():
    signs, complete = sign_flips(6, 64, np.random.default_rng(15))
    assert complete
    assert len(np.unique(signs, axis=0)) == 64
    np.testing.assert_array_equal(np.abs(signs), 1)
    signs, complete = sign_flips(6, 63, np.random.default_rng(15))
    assert not complete
    assert signs.shape == (64, 6)
    np.testing.assert_array_equal(signs[0], 1)


def test_blocks_of_flips_meet(monkeypatch):
    maps, mask, _ = group_maps(16, 9, n_maps=2)
    whole = map_sign_flip_test(maps, mask, n_flips=100, rng=np.random.default_rng(1))
    monkeypatch.setattr(statistics, "MAPS_BYTES", 1)
    single = map_sign_flip_test(maps, mask, n_flips=100, rng=np.random.default_rng(1))
    for name in ("p", "p_max", "p_tfce"):
        np.testing.assert_array_equal(getattr(whole.test, name), getattr(single.test, name))


def test_family_wise_errors_of_null_groups_are_at_their_nominal_rate():
    rng = np.random.default_rng(17)
    mask = np.ones((5, 5, 5), bool)
    any_found = np.zeros(2)
    for _ in range(200):
        test = map_sign_flip_test(rng.standard_normal((8, 1, 125)), mask, n_flips=99, rng=rng).test
        any_found += [test.p_max.min() <= 0.1, test.p_tfce.min() <= 0.1]
    low, high = scipy.stats.binom.interval(0.999, 200, 0.1)
    assert ((low <= any_found) & (any_found <= high)).all()


def test_subjects_without_a_common_voxel_are_refused():
    maps, mask, rng = group_maps(18, 6)
    maps[0] = np.nan
    with pytest.raises(InputError, match="in the maps of all 6 subjects"):
        map_sign_flip_test(maps, mask, n_flips=64, rng=rng)


def test_fisher_z_is_arctanh_and_finite():
    r = np.array([-1.0, -0.5, 0, 0.5, 1.0, np.nan])
    z = fisher_z(r)
    np.testing.assert_allclose(z[1:4], [-0.5 * np.log(3), 0, 0.5 * np.log(3)], rtol=1e-12)
    assert np.isfinite(z[[0, 4]]).all()
    assert np.isnan(z[5])


# Clusters.


def test_clusters_are_those_of_nilearn():
    rng = np.random.default_rng(19)
    shape = (14, 13, 12)
    mask = np.ones(shape, bool)
    volume = smooth_volume(rng, shape)
    threshold = np.quantile(volume, 0.9)
    values = volume[mask]
    p = np.where(values > threshold, 0.01, 0.5)
    found = cluster_table(values, p, mask, AFFINE, min_voxels=4)
    theirs = get_clusters_table(
        nibabel.Nifti1Image(volume, AFFINE), threshold, cluster_threshold=4, two_sided=False
    )
    theirs = theirs[theirs["Cluster Size (mm3)"].ne("")].sort_values("Peak Stat")
    ours = found.sort_values("value")
    assert len(ours) > 3
    np.testing.assert_allclose(
        ours[["x_mm", "y_mm", "z_mm"]], theirs[["X", "Y", "Z"]].astype(float)
    )
    np.testing.assert_allclose(ours["value"], theirs["Peak Stat"].astype(float), rtol=1e-6)
    np.testing.assert_allclose(
        ours["volume_mm3"], theirs["Cluster Size (mm3)"].astype(float), atol=1
    )
    assert found["n_voxels"].is_monotonic_decreasing
    assert found["cluster"].tolist() == list(range(1, len(found) + 1))


def test_a_cluster_by_hand():
    mask = np.ones((4, 4, 4), bool)
    mask[0] = False
    values, p = np.zeros(mask.shape), np.ones(mask.shape)
    p[1, 1, 1] = p[1, 1, 2] = 0.05
    p[3, 3, 3] = 0.01
    values[1, 1, 2] = 5
    (row, small) = cluster_table(values[mask], p[mask], mask, AFFINE).to_dict("records")
    assert row["n_voxels"] == 2
    assert row["volume_mm3"] == pytest.approx(54)
    assert (row["x_mm"], row["y_mm"], row["z_mm"]) == (17, -27, 16)
    assert (row["i"], row["j"], row["k"], row["value"], row["p"]) == (1, 1, 2, 5, 0.05)
    assert small["n_voxels"] == 1
    nothing = cluster_table(values[mask], np.full(48, np.nan), mask, AFFINE)
    assert nothing.empty
    assert list(nothing.columns) == list(CLUSTER_COLUMNS)
