"""Mantel test and false discovery rate: against brute force, statsmodels, and known truths."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist, squareform
from statsmodels.stats.multitest import multipletests

from workflow.lib.inference import permutation
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.orders import count_orders, image_orders, random_orders
from workflow.lib.inference.permutation import PermutationTest, permute_images, permute_prepared
from workflow.lib.rdms import vectors as rdm
from workflow.lib.rsa.comparators import COMPARATORS, compare, mean_of_members, prepare

# Our name -> rsatoolbox's.
METHODS = {name: name for name in COMPARATORS} | {"pearson": "corr"}


def random_rdms(rng, n_rdms, n_images):
    return rng.random((n_rdms, n_images * (n_images - 1) // 2))


def tied_rdms(rng, n_rdms, n_images):
    """Ratings from 0 to 3, so that permuted similarities equal the observed one now and then."""
    return rng.integers(0, 4, (n_rdms, n_images * (n_images - 1) // 2)).astype(float)


def clustered_rdm(rng, n_images):
    """Distances between images of a large cluster and a small one, of random membership."""
    centres = 3 * rng.standard_normal((2, 4))
    cluster = rng.choice(2, n_images, p=[0.85, 0.15])
    return pdist(centres[cluster] + rng.standard_normal((n_images, 4)))


def brute_force_null(models, brains, method, orders):
    """Return rsatoolbox's similarities, one relabelled set of model RDMs after the other."""
    squares = [squareform(vector) for vector in models]
    null = []
    for order in orders:
        permuted = np.stack([squareform(square[np.ix_(order, order)]) for square in squares])
        null.append(rsatoolbox_compare(RDMs(permuted), RDMs(brains), method=method))
    return np.array(null)


def brute_force_p(models, brains, method, orders):
    """Return Mantel p-values by rsatoolbox."""
    observed = rsatoolbox_compare(RDMs(models), RDMs(brains), method=method)
    reached = (brute_force_null(models, brains, method, orders) >= observed - 1e-9).sum(axis=0)
    return (reached + 1) / (len(orders) + 1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [random_rdms, tied_rdms], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("n_models", "n_brains"), [(2, 3), (4, 2)])
@pytest.mark.parametrize("grouped", [False, True], ids=["free", "within groups"])
def test_equals_brute_force_over_the_same_permutations(name, kind, n_models, n_brains, grouped):
    rng = np.random.default_rng(31)
    n_images = 9
    models, brains = kind(rng, n_models, n_images), kind(rng, n_brains, n_images)
    groups = list("aabbbabcc") if grouped else None
    found = permute_images(
        models,
        brains,
        name,
        n_images=n_images,
        n_permutations=99,
        rng=np.random.default_rng(7),
        groups=groups,
    ).p
    orders = list(random_orders(n_images, 99, np.random.default_rng(7), groups))
    np.testing.assert_array_equal(found, brute_force_p(models, brains, METHODS[name], orders))


@pytest.mark.parametrize("n_images", [64, 65, 130])
def test_blocks_of_rows_meet(n_images):
    rng = np.random.default_rng(32)
    models, brains = random_rdms(rng, 2, n_images), random_rdms(rng, 2, n_images)
    found = permute_images(
        models,
        brains,
        "pearson",
        n_images=n_images,
        n_permutations=39,
        rng=np.random.default_rng(8),
    ).p
    orders = list(random_orders(n_images, 39, np.random.default_rng(8)))
    np.testing.assert_array_equal(found, brute_force_p(models, brains, "corr", orders))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_float32_agrees_with_brute_force_in_float64(name, monkeypatch):
    rng = np.random.default_rng(33)
    n_images = 70
    models = np.stack([clustered_rdm(rng, n_images) for _ in range(2)])
    brains = 0.2 * models + np.stack([clustered_rdm(rng, n_images) for _ in range(2)])
    monkeypatch.setattr(rdm, "FLOAT64_LIMIT", n_images - 1)
    monkeypatch.setattr(permutation, "ROWS", 16)
    assert rdm.working_dtype(n_images) is np.float32
    found = permute_images(
        models.astype(np.float32),
        brains.astype(np.float32),
        name,
        n_images=n_images,
        n_permutations=199,
        rng=np.random.default_rng(9),
    ).p
    orders = list(random_orders(n_images, 199, np.random.default_rng(9)))
    np.testing.assert_array_equal(found, brute_force_p(models, brains, METHODS[name], orders))


def test_float32_sees_ties(monkeypatch):
    # Relabelling the images of the brain RDM within categories leaves its similarity with a
    # category model as it is, up to rounding: the same numbers are summed in another order.
    # The models are more, so that it is the brain RDM that is relabelled.
    rng = np.random.default_rng(34)
    n_images = 60
    category = np.repeat([0, 1, 2], n_images // 3)
    model = pdist(category[:, None], lambda a, b: float(a[0] != b[0]))
    brain = clustered_rdm(rng, n_images)
    monkeypatch.setattr(rdm, "FLOAT64_LIMIT", n_images - 1)
    p = permute_images(
        np.stack([model, 1 - model]).astype(np.float32),
        brain.astype(np.float32),
        "pearson",
        n_images=n_images,
        n_permutations=50,
        rng=rng,
        groups=list(map(str, category)),
    ).p
    np.testing.assert_array_equal(p, 1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_images", [3, 4, 5])
@pytest.mark.parametrize("kind", [random_rdms, tied_rdms], ids=lambda kind: kind.__name__)
def test_few_images_are_tested_over_all_their_orders(name, n_images, kind):
    rng = np.random.default_rng(35)
    models, brains = kind(rng, 2, n_images), kind(rng, 3, n_images)
    for side in (models, brains):
        side[:, 0] += 5  # none is constant
    orders = [np.array(order) for order in itertools.permutations(range(n_images))]
    null = brute_force_null(models, brains, METHODS[name], orders)
    # k / N: the identity, the first of all orders, is one of the k that reach the observed.
    exact = (null >= null[0] - 1e-9).mean(axis=0)
    # One order less than there are is a random sample, with the identity added to it.
    for n_permutations, complete in [(len(orders), True), (5000, True), (len(orders) - 1, False)]:
        test = permute_images(
            models, brains, name, n_images=n_images, n_permutations=n_permutations, rng=rng
        )
        assert test.complete is complete
        assert len(test.null) == (len(orders) if complete else n_permutations + 1)
        if complete:
            np.testing.assert_allclose(test.p, exact, rtol=1e-14)
            np.testing.assert_allclose(test.null, null, rtol=0, atol=1e-10)


def test_within_groups_all_orders_are_those_of_the_groups():
    rng = np.random.default_rng(43)
    models, brains = random_rdms(rng, 1, 6), random_rdms(rng, 1, 6)
    groups = list("abacbb")
    orders = [
        order
        for order in itertools.permutations(range(6))
        if all(groups[image] == groups[place] for place, image in enumerate(order))
    ]
    assert len(orders) == 2 * 6 * 1
    null = brute_force_null(models, brains, "corr", map(np.array, orders))
    test = permute_images(
        models, brains, "pearson", n_images=6, n_permutations=12, rng=rng, groups=groups
    )
    assert test.complete
    np.testing.assert_allclose(np.sort(test.null, axis=0), np.sort(null, axis=0), atol=1e-10)
    np.testing.assert_allclose(test.p, (null >= null[0] - 1e-9).mean(axis=0))


def test_whole_clusters_change_places_with_those_of_their_size():
    """By hand: two clusters of two and two single images, 2! * 2! orders; the one of three stays.

    Of all 9! orders those keep clusters together, and the order of their images.
    """
    clusters = list("abxaybzbb")
    clusters[6:] = ["c", "b", "c"]
    members = {label: [i for i, own in enumerate(clusters) if own == label] for label in "abcxy"}
    assert sorted(map(len, members.values())) == [1, 1, 2, 2, 3]

    def is_whole(order):
        return all([order[i] for i in own] in members.values() for own in members.values())

    expected = [order for order in itertools.permutations(range(9)) if is_whole(order)]
    orders, complete = image_orders(9, 4, np.random.default_rng(0), clusters=clusters)
    found = [tuple(map(int, order)) for order in orders]
    assert complete
    assert found[0] == tuple(range(9))
    assert sorted(found) == expected
    assert count_orders(9, clusters=clusters) == len(expected) == 4
    drawn = random_orders(9, 2400, np.random.default_rng(1), clusters=clusters)
    seen, counts = np.unique([tuple(order) for order in drawn], axis=0, return_counts=True)
    np.testing.assert_array_equal(seen, sorted(expected))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_images_change_places_within_groups_or_in_whole_clusters_not_both():
    with pytest.raises(ValueError, match="not both"):
        count_orders(2, groups=["a", "b"], clusters=["a", "b"])


@pytest.mark.parametrize("name", METHODS)
def test_the_null_is_that_of_brute_force_on_clustered_and_tied_rdms(name):
    rng = np.random.default_rng(44)
    n_images = 12
    models = np.vstack([clustered_rdm(rng, n_images), tied_rdms(rng, 1, n_images)])
    brains = np.vstack([models + random_rdms(rng, 2, n_images), tied_rdms(rng, 1, n_images)])
    orders = list(random_orders(n_images, 30, np.random.default_rng(10)))
    expected = brute_force_null(models, brains, METHODS[name], [np.arange(n_images), *orders])
    test = permute_images(
        models,
        brains,
        name,
        n_images=n_images,
        n_permutations=30,
        rng=np.random.default_rng(10),
    )
    np.testing.assert_allclose(test.null, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(test.similarity, test.null[0])
    np.testing.assert_allclose(test.similarity, compare(models, brains, name), atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_members_of_a_group_are_tested_by_their_mean_similarity(name):
    rng = np.random.default_rng(45)
    models, brains = random_rdms(rng, 5, 11), random_rdms(rng, 2, 11)
    members = [0, 1, 1, 2, 1]
    settings = {"n_images": 11, "n_permutations": 40}
    grouped = permute_images(
        models, brains, name, **settings, rng=np.random.default_rng(11), members=members
    )
    single = permute_images(models, brains, name, **settings, rng=np.random.default_rng(11))
    expected = np.stack([single.null[:, np.equal(members, g)].mean(axis=1) for g in range(3)], 1)
    np.testing.assert_allclose(grouped.null, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["pearson", "cosine_cov"])
def test_prepared_rdms_are_tested_as_they_are(name):
    rng = np.random.default_rng(46)
    models, brains = random_rdms(rng, 3, 10), random_rdms(rng, 2, 10)
    settings = {"n_images": 10, "n_permutations": 50}
    left, right = mean_of_members(prepare(models, name), [0, 0, 1]), prepare(brains, name)
    test = permute_prepared(left, right, **settings, rng=np.random.default_rng(12))
    expected = permute_images(
        models, brains, name, **settings, rng=np.random.default_rng(12), members=[0, 0, 1]
    )
    np.testing.assert_array_equal(test.null, expected.null)
    p = permute_prepared(left, right, **settings, rng=np.random.default_rng(12)).p
    np.testing.assert_array_equal(p, test.p)


@pytest.mark.parametrize("name", ["pearson", "corr_cov", "tau-a"])
def test_neither_threads_nor_batches_change_the_result(name, monkeypatch):
    rng = np.random.default_rng(47)
    models, brains = random_rdms(rng, 2, 14), random_rdms(rng, 3, 14)
    results = []
    for threads, batch in [("1", 512), ("3", 512), ("2", 7)]:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setattr(permutation, "BATCH", batch)
        test = permute_images(
            models,
            brains,
            name,
            n_images=14,
            n_permutations=60,
            rng=np.random.default_rng(13),
        )
        results.append(test.null)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


# The largest of several cells.


def test_family_wise_p_by_hand():
    # Two cells, four orders. Deviations from the means 2 and 0: (1, -1, 1, -1), (20, -20, 0, 0);
    # standard deviations 1 and sqrt(200): scores (1, -1, 1, -1) and (1.41, -1.41, 0, 0), largest
    # per order 1.41, -1, 1, 0. The first cell's 1 is reached twice, the second's 1.41 once.
    null = np.array([[[3.0, 20]], [[1, -20]], [[3, 0]], [[1, 0]]])
    test = PermutationTest(null[0], null, tolerance=1e-9, complete=True)
    np.testing.assert_array_equal(test.p, [[2 / 4, 1 / 4]])
    np.testing.assert_array_equal(test.family_wise_p(), [[2 / 4, 1 / 4]])


def test_the_cell_of_the_widest_null_does_not_decide_alone():
    # Deviations (3, -1, -1, -1) / 4 and (0, 20, -20, 0), standard deviations sqrt(3) / 4 and
    # sqrt(200): scores (1.73, -0.58, -0.58, -0.58) and (0, 1.41, -1.41, 0), largest per order
    # 1.73, 1.41, -0.58, 0. Undivided, the 20 of the second order would reach the first cell's 3/4.
    null = np.array([[[1.0, 0]], [[0, 20]], [[0, -20]], [[0, 0]]])
    test = PermutationTest(null[0], null, tolerance=1e-9, complete=True)
    np.testing.assert_array_equal(test.family_wise_p(), [[1 / 4, 3 / 4]])


def test_a_family_of_one_cell_needs_no_correction():
    rng = np.random.default_rng(48)
    test = permute_images(
        random_rdms(rng, 1, 12),
        random_rdms(rng, 3, 12),
        "spearman",
        n_images=12,
        n_permutations=99,
        rng=rng,
    )
    np.testing.assert_array_equal(test.family_wise_p(families=["a", "b", "c"]), test.p)
    assert np.all(test.family_wise_p() >= test.p)
    together = test.family_wise_p(families=["a", "b", "a"])
    assert together[0, 1] == test.p[0, 1]
    pair = PermutationTest(
        test.similarity[:, ::2], test.null[:, :, ::2], tolerance=1e-9, complete=False
    )
    np.testing.assert_array_equal(together[:, ::2], pair.family_wise_p())


def test_a_cell_that_no_order_changes_spoils_no_other():
    rng = np.random.default_rng(49)
    alike, varied = np.ones((50, 1, 1)), rng.standard_normal((50, 1, 1))
    both = np.concatenate([alike, varied], axis=2)
    test = PermutationTest(both[0], both, tolerance=1e-9, complete=False)
    alone = PermutationTest(varied[0], varied, tolerance=1e-9, complete=False)
    np.testing.assert_array_equal(test.family_wise_p(), [[1, alone.p.item()]])


def test_no_similarity_has_no_p():
    null = np.random.default_rng(3).standard_normal((50, 2, 2))
    null[:, 0, 1] = np.nan
    test = PermutationTest(null[0], null, 1e-9, False)
    for p in (test.p, test.family_wise_p(), test.family_wise_p(["a", "b"])):
        np.testing.assert_array_equal(np.isnan(p), [[False, True], [False, False]])


def test_family_wise_error_is_held_over_cells_of_unequal_spread():
    """400 nulls of 3 x 2 cells: one or more p <= 0.05 in 5 % of them, within 99.99 % limits."""
    rng = np.random.default_rng(50)
    n_images, n_simulations = 16, 400
    hits = {"corrected": 0, "uncorrected": 0}
    for _ in range(n_simulations):
        models = np.stack([clustered_rdm(rng, n_images) for _ in range(2)])
        models = np.vstack([models, random_rdms(rng, 1, n_images)])
        brains = np.vstack([clustered_rdm(rng, n_images), random_rdms(rng, 1, n_images)])
        test = permute_images(
            models, brains, "pearson", n_images=n_images, n_permutations=99, rng=rng
        )
        hits["corrected"] += test.family_wise_p().min() <= 0.05
        hits["uncorrected"] += test.p.min() <= 0.05
    low, high = scipy.stats.binom.interval(0.9999, n_simulations, 0.05)
    assert low <= hits["corrected"] <= high
    assert hits["uncorrected"] > 0.15 * n_simulations


def test_permutations_are_rearrangements_and_all_equally_likely():
    rng = np.random.default_rng(36)
    orders = [tuple(order) for order in random_orders(4, 4800, rng)]
    seen, counts = np.unique(orders, axis=0, return_counts=True)
    assert [tuple(order) for order in seen] == list(itertools.permutations(range(4)))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_within_groups_images_stay_in_their_group_and_move_freely_there():
    rng = np.random.default_rng(37)
    groups = ["x", "y", "x", "z", "y", "y"]
    orders = [tuple(order) for order in random_orders(6, 2400, rng, groups)]
    for order in orders:
        assert sorted(order) == list(range(6))
        assert [groups[image] for image in order] == groups
    # Two images of x and three of y: 2! * 3! = 12 ways.
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 12
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_p_is_uniform_under_a_clustered_null_where_that_over_pairs_is_not():
    """Two geometries that have nothing in common, each with clusters of its own.

    Of 400 such pairs of RDMs, 5 % should have p <= 0.05: a binomial count, within its central
    99.99 %. The p-value of a correlation takes 1,770 dissimilarities of 60 images for independent
    ones: it is too small at 0.05 more than four times as often, at 0.001 more than fifty times.
    """
    rng = np.random.default_rng(38)
    n_images, n_simulations = 60, 400
    mantel, pairs = np.empty((2, n_simulations))
    for i in range(n_simulations):
        model, brain = clustered_rdm(rng, n_images), clustered_rdm(rng, n_images)
        mantel[i] = permute_images(
            model, brain, "pearson", n_images=n_images, n_permutations=99, rng=rng
        ).p.item()
        pairs[i] = scipy.stats.pearsonr(model, brain, alternative="greater").pvalue
    low, high = scipy.stats.binom.interval(0.9999, n_simulations, 0.05)
    assert low <= np.count_nonzero(mantel <= 0.05) <= high
    # p is 0.01, 0.02, ..., 1.00, all equally likely: forty in each tenth.
    tenths = np.bincount(np.ceil(mantel * 10 - 1e-9).astype(int) - 1, minlength=10)
    assert scipy.stats.chisquare(tenths).pvalue > 1e-3
    assert np.mean(pairs <= 0.05) > 4 * 0.05
    assert np.mean(pairs <= 0.001) > 50 * 0.001


def grouped_rdm(rng, n_groups, size):
    """Distances of images that are alike within groups, which lie anywhere."""
    centres = np.repeat(rng.standard_normal((n_groups, 6)), size, axis=0)
    return pdist(centres + 0.5 * rng.standard_normal(centres.shape))


def test_whole_groups_are_what_is_exchangeable_where_images_of_a_group_are_alike():
    """Model and brain lie groups out anew; that images of a group are alike is all they share.

    Of 300 such pairs 5 % have p <= 0.05 where whole groups change places: a binomial count, within
    its central 99.99 %. Single images that change places over the groups find their sameness.
    """
    rng = np.random.default_rng(52)
    n_groups, size, n_simulations = 10, 4, 300
    settings = {"n_images": n_groups * size, "n_permutations": 99, "rng": rng}
    groups = np.repeat(np.arange(n_groups), size)
    whole, single = 0, 0
    for number in range(n_simulations):
        model, brain = (grouped_rdm(rng, n_groups, size) for _ in range(2))
        p = permute_images(model, brain, "pearson", clusters=groups, **settings).p
        whole += p.item() <= 0.05
        if number < 20:
            single += permute_images(model, brain, "pearson", **settings).p.item() <= 0.05
    low, high = scipy.stats.binom.interval(0.9999, n_simulations, 0.05)
    assert low <= whole <= high
    assert single > 10


def test_arrangement_of_groups_that_model_and_brain_share_is_found():
    rng = np.random.default_rng(53)
    groups = np.repeat(np.arange(10), 4)
    centres = rng.standard_normal((10, 6))[groups]
    model, brain = (pdist(centres + rng.standard_normal(centres.shape)) for _ in range(2))
    settings = {"n_images": 40, "n_permutations": 199, "rng": rng}
    p = permute_images(model, brain, "pearson", clusters=groups, **settings).p
    assert p.item() == 1 / 200


def test_planted_effect_is_found_and_only_there():
    rng = np.random.default_rng(39)
    n_images, n_permutations = 40, 199
    planted, other = (rng.standard_normal((n_images, 10)) for _ in range(2))
    brain = pdist(planted + 1.5 * rng.standard_normal(planted.shape), "correlation")
    models = np.stack([pdist(planted, "correlation"), pdist(other, "correlation")])
    p = permute_images(
        models, brain, "spearman", n_images=n_images, n_permutations=n_permutations, rng=rng
    ).p
    assert p.shape == (2, 1)
    assert p[0] == 1 / (n_permutations + 1)
    assert p[1] > 0.05


def test_group_structure_counts_between_groups_only():
    # Model and brain share nothing but that two groups lie apart.
    rng = np.random.default_rng(40)
    groups = ["scene"] * 20 + ["object"] * 20
    apart = 4 * (np.array(groups) == "scene")[:, None]
    model, brain = (pdist(rng.standard_normal((40, 8)) + apart) for _ in range(2))
    p = {
        within: permute_images(
            model,
            brain,
            "pearson",
            n_images=40,
            n_permutations=199,
            rng=np.random.default_rng(1),
            groups=groups if within else None,
        ).p.item()
        for within in (False, True)
    }
    assert p[False] == 1 / 200
    assert p[True] > 0.05


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_permutations", [1, 9, 99])
def test_p_is_never_below_one_in_n_plus_one(name, n_permutations):
    rng = np.random.default_rng(41)
    model = random_rdms(rng, 1, 20)
    p = permute_images(
        model,
        np.vstack([model, -model]),
        name,
        n_images=20,
        n_permutations=n_permutations,
        rng=rng,
    ).p
    # The model itself is reached by none of the permutations, its opposite by all.
    np.testing.assert_array_equal(p, [[1 / (n_permutations + 1), 1]])


def test_one_stream_of_random_numbers_gives_one_result():
    rng = np.random.default_rng(42)
    models, brains = random_rdms(rng, 2, 15), random_rdms(rng, 3, 15)

    def p(seed, brains):
        stream = np.random.default_rng(seed)
        return permute_images(
            models, brains, "pearson", n_images=15, n_permutations=49, rng=stream
        ).p

    np.testing.assert_array_equal(p(3, brains), p(3, brains))
    assert np.any(p(3, brains) != p(4, brains))
    # A cell does not depend on which others are tested beside it.
    np.testing.assert_array_equal(p(3, brains)[:, :2], p(3, brains[:2]))


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=1, max_dims=2, max_side=12),
        elements=st.one_of(st.floats(0, 1), st.sampled_from([0.001, 0.01, 0.05, 1.0])),
    )
)
def test_false_discovery_rate_is_that_of_statsmodels(p):
    expected = multipletests(p.ravel(), method="fdr_bh")[1].reshape(p.shape)
    np.testing.assert_allclose(false_discovery_rate(p), expected, rtol=1e-12, atol=0)


def test_false_discovery_rate_by_hand():
    # 0.01 * 4/1 = 0.04; 0.02 * 4/2 = 0.04; 0.04 * 4/3 = 0.0533, above 0.05 * 4/4 = 0.05.
    q = false_discovery_rate(np.array([[0.04, 0.01], [0.05, 0.02]]))
    np.testing.assert_allclose(q, [[0.05, 0.04], [0.05, 0.04]], rtol=1e-12)


def test_untested_cells_stay_untested():
    assert np.isnan(false_discovery_rate(np.full((2, 3), np.nan))).all()


def test_cells_without_a_test_do_not_count():
    p = np.array([0.01, np.nan, 0.04, 0.2])
    expected = [0.03, np.nan, 0.06, 0.2]
    np.testing.assert_allclose(false_discovery_rate(p), expected)
