"""Similarities of RDMs against rsatoolbox, scipy, hand-worked values, and what must not matter."""

import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util.inference_util import pool_rdm
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.plotting import SIMILARITY_LABELS
from workflow.lib.rdms.store import write_rdms
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.rsa import comparators
from workflow.lib.rsa.comparators import (
    COMPARATORS,
    compare,
    dot_products,
    mean_of_members,
    prepare,
    rank,
)

# Our name -> rsatoolbox's.
METHODS = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "tau-a": "tau-a",
    "tau-b": "tau-b",
    "cosine_cov": "cosine_cov",
    "corr_cov": "corr_cov",
}
LINEAR = [name for name, chosen in COMPARATORS.items() if chosen.linear]
RANKS = [name for name, chosen in COMPARATORS.items() if chosen.ranks]
TIGHT = 1e-10
# The first example waits for the compiler of ranks and counts.
compiled = settings(deadline=None)


def random_rdms(rng, n_rdms, n_images):
    return rng.random((n_rdms, n_images * (n_images - 1) // 2))


def tied_rdms(rng, n_rdms, n_images):
    """Ratings from 0 to 3, which leave most pairs tied."""
    return rng.integers(0, 4, (n_rdms, n_images * (n_images - 1) // 2)).astype(float)


def category_and_graded_rdms(rng, n_rdms, n_images):
    """Models of two values only (same category or not) beside RDMs without ties."""
    category = rng.integers(0, 3, n_images)
    category[:2] = 0, 1
    binary = pdist(category[:, None], lambda a, b: float(a[0] != b[0]))
    return np.vstack([binary[None], random_rdms(rng, n_rdms - 1, n_images)])


def clustered_rdms(rng, n_rdms, n_images):
    """Distances between images of three clusters: two modes, hardly any ties."""
    centres = 5 * rng.standard_normal((3, 6))
    cluster = rng.integers(0, 3, n_images)
    return np.stack(
        [
            pdist(centres[cluster] + rng.standard_normal((n_images, 6)), "sqeuclidean")
            for _ in range(n_rdms)
        ]
    )


def tiny_rdms(rng, n_rdms, _n_images):
    return random_rdms(rng, n_rdms, 4)


def signed_rdms(rng, n_rdms, n_images):
    """Cross-validated distances are negative as often as not where there is no signal."""
    return rng.standard_normal((n_rdms, n_images * (n_images - 1) // 2))


KINDS = [
    random_rdms,
    tied_rdms,
    category_and_graded_rdms,
    clustered_rdms,
    tiny_rdms,
    signed_rdms,
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def rdms(request):
    """Three model RDMs and four brain RDMs over 23 images (4 for the tiny ones)."""
    both = request.param(np.random.default_rng(4021), 7, 23)
    return both[:3], both[3:]


@pytest.mark.parametrize("name", METHODS)
def test_agrees_with_rsatoolbox(rdms, name):
    models, brains = rdms
    expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=METHODS[name])
    found = compare(models, brains, name)
    assert found.shape == (3, 4)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("pearson", lambda a, b: scipy.stats.pearsonr(a, b).statistic),
        ("spearman", lambda a, b: scipy.stats.spearmanr(a, b).statistic),
        ("tau-b", lambda a, b: scipy.stats.kendalltau(a, b).statistic),
        ("cosine", lambda a, b: 1 - scipy.spatial.distance.cosine(a, b)),
    ],
)
def test_agrees_with_scipy(rdms, name, statistic):
    models, brains = rdms
    expected = [[statistic(model, brain) for brain in brains] for model in models]
    np.testing.assert_allclose(compare(models, brains, name), expected, rtol=0, atol=TIGHT)


def test_rho_a_is_the_mean_of_spearman_over_all_ways_to_break_ties():
    # Six pairs of four images. The first RDM has ties {a, b} and {c, d}, the second {e, f}: eight
    # ways to break them, each equally likely.
    first, second = np.array([1.0, 1, 2, 2, 3, 4]), np.array([3.0, 1, 2, 5, 4, 4])
    broken = [
        scipy.stats.spearmanr(
            first + 0.1 * np.array([ab, -ab, cd, -cd, 0, 0]),
            second + 0.1 * np.array([0, 0, 0, 0, ef, -ef]),
        ).statistic
        for ab in (1, -1)
        for cd in (1, -1)
        for ef in (1, -1)
    ]
    assert len(set(np.round(broken, 12))) > 1
    assert compare(first, second, "rho-a").item() == pytest.approx(np.mean(broken), abs=TIGHT)


def test_hand_worked_values():
    # Deviations from the mean: (-1, 0, 1) and (-1, 1, 0): r = 1 / (sqrt 2 * sqrt 2) = 1/2.
    # Raw: 1*1 + 2*3 + 3*2 = 13 over lengths sqrt 14 * sqrt 14.
    model, brain = np.array([1.0, 2, 3]), np.array([1.0, 3, 2])
    assert compare(model, brain, "pearson").item() == pytest.approx(1 / 2, abs=TIGHT)
    assert compare(model, brain, "spearman").item() == pytest.approx(1 / 2, abs=TIGHT)
    assert compare(model, brain, "cosine").item() == pytest.approx(13 / 14, abs=TIGHT)
    # One tie: ranks (1.5, 1.5, 3) and (1, 3, 2), deviations (-.5, -.5, 1) and (-1, 1, 0), dot
    # product 0; against (1, 2, 3) it is 1.5, over (27 - 3) / 12 = 2.
    tied = np.array([1.0, 1, 3])
    assert compare(tied, brain, "rho-a").item() == pytest.approx(0, abs=TIGHT)
    assert compare(tied, model, "rho-a").item() == pytest.approx(3 / 4, abs=TIGHT)
    assert compare(tied, model, "spearman").item() == pytest.approx(np.sqrt(3) / 2, abs=TIGHT)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_images", [24, 120])
def test_float32_agrees_with_float64(name, n_images):
    # Images of five clusters, as RDMs of many images are held.
    rng = np.random.default_rng(77)
    models, brains = (clustered_rdms(rng, 4, n_images).astype(np.float32) for _ in range(2))
    exact = rsatoolbox_compare(
        RDMs(models.astype(np.float64)), RDMs(brains.astype(np.float64)), method=METHODS[name]
    )
    assert name not in LINEAR or prepare(models, name).dtype == np.float32
    np.testing.assert_allclose(compare(models, brains, name), exact, rtol=0, atol=1e-6)


def test_float32_holds_where_the_mean_dwarfs_the_spread():
    # Correlation distances lie around 1; a float32 mean of many would be off by more than 1e-6.
    rng = np.random.default_rng(78)
    signal = rng.standard_normal(499_500)
    models = (1 + 0.01 * (signal + rng.standard_normal((2, signal.size)))).astype(np.float32)
    exact = np.corrcoef(models.astype(np.float64))[0, 1]
    assert compare(models[0], models[1], "pearson").item() == pytest.approx(exact, abs=1e-6)


def test_blocks_of_a_product_add_up(monkeypatch):
    monkeypatch.setattr(comparators, "BLOCK", 7)
    rng = np.random.default_rng(5)
    left, right = rng.random((2, 45)), rng.random((3, 45))
    np.testing.assert_allclose(dot_products(left, right), left @ right.T, rtol=1e-13)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_of_a_table_add_up(rdms, name, block, monkeypatch):
    models, brains = rdms
    expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=METHODS[name])
    monkeypatch.setattr(comparators, "BLOCK", block)
    np.testing.assert_allclose(compare(models, brains, name), expected, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", LINEAR)
def test_a_table_holds_the_dot_products_of_prepared_rdms(rdms, name):
    models, brains = rdms
    products = dot_products(prepare(models, name), prepare(brains, name))
    np.testing.assert_allclose(compare(models, brains, name), products, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", RANKS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_stand_for_their_rdms(rdms, name, dtype):
    models, brains = rdms
    ranks = [rank(side, dtype) for side in rdms]
    assert ranks[0].dtype == dtype
    expected = rsatoolbox_compare(RDMs(models), RDMs(brains), method=METHODS[name])
    found = compare(*ranks, name)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)
    if name in LINEAR and dtype == np.float64:
        np.testing.assert_array_equal(prepare(ranks[0], name), prepare(models, name))


@pytest.mark.parametrize("name", METHODS)
def test_a_group_has_the_mean_similarity_of_its_members(rdms, name):
    models, brains = rdms
    similarities = compare(models, brains, name)
    expected = [similarities[[0, 2]].mean(axis=0), similarities[1]]
    groups = [0, 1, 0]
    np.testing.assert_allclose(mean_of_members(similarities, groups), expected, rtol=1e-14)
    if name in LINEAR:
        vectors = mean_of_members(prepare(models, name), groups)
        found = dot_products(vectors, prepare(brains, name))
        np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)
    assert mean_of_members(similarities, None) is similarities


@pytest.mark.parametrize("name", METHODS)
def test_pooled_rdms_are_compared_like_those_of_rsatoolbox(rdms, name):
    _, brains = rdms
    pooled = np.sum([COMPARATORS[name].pool(brain) for brain in brains], axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the ceiling of tau, which pools ranks
        expected = pool_rdm(RDMs(brains), method=METHODS[name])
    # Scale, and where a mean is taken off offset, do not matter to the comparator.
    found = compare(pooled, brains, name)
    theirs = rsatoolbox_compare(expected, RDMs(brains), method=METHODS[name])
    np.testing.assert_allclose(found, theirs, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", ["tau-a", "tau-b"])
def test_counts_are_no_dot_products(name):
    with pytest.raises(InputError, match=rf"found the comparator '{name}', expected one that is"):
        prepare(np.ones((1, 3)), name)


def test_every_comparator_has_an_oracle():
    assert set(COMPARATORS) == set(METHODS)


def test_unknown_comparator_is_refused_by_name():
    with pytest.raises(InputError, match=r"'kendal'.*pearson, cosine, .*tau-b, cosine_cov"):
        compare(np.arange(3.0), np.arange(3.0), "kendal")


# Few distinct values make ties, signs and extremes common. A spread far below the size of the
# values themselves has no correlation to speak of in float64, so values are rounded.
VALUES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)),
)


@compiled
@given(arrays(np.float64, st.integers(1, 60), elements=VALUES))
def test_rank_is_scipys(values):
    np.testing.assert_array_equal(rank(values)[0], scipy.stats.rankdata(values))


@compiled
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 30)),
        elements=st.floats(-5, 5, width=16),
    )
)
def test_rank_is_scipys_row_by_row_in_float32(values):
    ranks = rank(values)
    assert ranks.dtype == np.float64
    np.testing.assert_array_equal(ranks, scipy.stats.rankdata(values, axis=1))


@st.composite
def pairs_of_rdms(draw):
    n_images = draw(st.integers(3, 9))
    vectors = arrays(np.float64, n_images * (n_images - 1) // 2, elements=VALUES)
    varied = vectors.filter(lambda vector: np.ptp(vector) > 0)
    return n_images, draw(varied), draw(varied)


@given(pairs_of_rdms(), st.sampled_from(sorted(METHODS)))
@settings(max_examples=150, deadline=None)
def test_any_pair_agrees_with_rsatoolbox_and_is_symmetric(pair, name):
    _, model, brain = pair
    found = compare(model, brain, name).item()
    expected = rsatoolbox_compare(RDMs(model[None]), RDMs(brain[None]), method=METHODS[name]).item()
    assert found == pytest.approx(expected, abs=TIGHT)
    assert found == pytest.approx(compare(brain, model, name).item(), abs=TIGHT)
    assert abs(found) <= 1 + TIGHT


@compiled
@given(pairs_of_rdms(), st.sampled_from(sorted(METHODS)), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(pair, name, random):
    n_images, model, brain = pair
    order = list(range(n_images))
    random.shuffle(order)
    shuffled = compare(
        take_conditions(model, np.array(order)), take_conditions(brain, np.array(order)), name
    )
    assert shuffled.item() == pytest.approx(compare(model, brain, name).item(), abs=TIGHT)


@compiled
@given(pairs_of_rdms(), st.sampled_from(RANKS))
def test_rank_comparators_see_only_the_order_of_dissimilarities(pair, name):
    _, model, brain = pair
    # Cube roots keep the order of the values, negative ones included, and part none that are tied.
    monotone = compare(np.cbrt(model), brain, name).item()
    assert monotone == pytest.approx(compare(model, brain, name).item(), abs=TIGHT)
    # The ranks of the opposite are the opposite ranks.
    assert compare(-model, brain, name).item() == pytest.approx(-monotone, abs=TIGHT)


@compiled
@given(pairs_of_rdms(), st.floats(0.01, 100), st.floats(-100, 100))
def test_scale_and_offset(pair, scale, offset):
    _, model, brain = pair
    scaled = model * scale
    for name in ("pearson", "cosine"):
        expected = compare(model, brain, name).item()
        assert compare(scaled, brain, name).item() == pytest.approx(expected, abs=1e-7)
    # Rounding of the sum eats into the spread of RDMs that hardly vary, hence not 1e-10.
    if np.ptp(scaled) > 1e-2:
        expected = compare(model, brain, "pearson").item()
        found = compare(scaled + offset, brain, "pearson").item()
        assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", [name for name in METHODS if not name.endswith("-a")])
def test_an_rdm_is_most_similar_to_itself(rdms, name):
    models, _ = rdms
    np.testing.assert_allclose(np.diagonal(compare(models, models, name)), 1, atol=TIGHT)


def test_preparing_leaves_the_rdms_as_they_were(rdms):
    models, _ = rdms
    before = models.copy()
    for name in METHODS:
        compare(models, models, name)
    for name in LINEAR:
        prepare(models, name)
    np.testing.assert_array_equal(models, before)


def test_an_rdm_that_is_constant_over_the_images_compared_is_refused(tmp_path):
    # Its correlation with anything is 0/0; a category model over images of one category is one.
    constant = [({"layer": "animacy"}, np.full(6, 0.1))]
    with pytest.raises(InputError, match=r"model_a\.h5, animacy: found all 6 .* equal to 0\.1"):
        write_rdms(tmp_path / "model_a.h5", constant, names=list("abcd"), measure="as published")
    assert list(tmp_path.iterdir()) == []


def test_figures_name_every_comparator():
    assert set(SIMILARITY_LABELS) == set(COMPARATORS)


@pytest.mark.parametrize("name", ["pearson", "spearman", "cosine", "rho-a"])
def test_float32_rdms_are_compared_in_float64(name):
    """The first images lie far from all others: sums in float32 would err by 1e-4."""
    rng = np.random.default_rng(21)
    patterns = rng.standard_normal((2, 700, 6))
    patterns[:, :20] += 100
    rdms = np.stack([pdist(pattern) for pattern in patterns]).astype(np.float32)
    found, exact = (
        compare(vectors[:1], vectors[1:], name) for vectors in (rdms, rdms.astype(np.float64))
    )
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_constant_rdm_correlates_with_none(name, dtype):
    """0.1 has no exact mean: what rounding leaves must not pass for variance."""
    rng = np.random.default_rng(21)
    n_pairs = 20_000
    late = np.full(n_pairs, 0.1)
    late[-1] = 0.3
    rdms = np.stack([np.full(n_pairs, 0.1), rng.random(n_pairs), late]).astype(dtype)
    found = compare(rdms, rdms[1:], name)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()
    assert found[2, 1] == pytest.approx(1)
