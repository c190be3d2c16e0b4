"""Bootstrap of similarities and noise ceilings: against rsatoolbox on the same resamples."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.inference import bootstrap
from workflow.lib.inference.bootstrap import bootstrap_ceilings, bootstrap_similarities
from workflow.lib.inference.counts import counts_by_name, group_counts, image_counts
from workflow.lib.inference.engines import ENGINES
from workflow.lib.rsa.comparators import compare
from workflow.lib.rsa.noise_ceiling import noise_ceiling
from workflow.lib.seeds import generator

METHODS = {"pearson": "corr", "cosine": "cosine", "spearman": "spearman", "rho-a": "rho-a"}
TIGHT = 1e-10


def random_rdms(rng, n_rdms, n_images):
    return rng.random((n_rdms, n_images * (n_images - 1) // 2))


def tied_rdms(rng, n_rdms, n_images):
    return rng.integers(0, 4, (n_rdms, n_images * (n_images - 1) // 2)).astype(float)


def clustered_rdms(rng, n_rdms, n_images):
    centres = 3 * rng.standard_normal((3, 4))
    cluster = rng.integers(0, 3, n_images)
    return np.stack(
        [pdist(centres[cluster] + rng.standard_normal((n_images, 4))) for _ in range(n_rdms)]
    )


KINDS = [random_rdms, tied_rdms, clustered_rdms]


def resampled(vectors, count):
    """Return rsatoolbox's resampled RDMs, pairs of copies being NaN."""
    images = np.repeat(np.arange(count.size), count)
    return RDMs(vectors).subsample_pattern("index", images)


def reference_similarities(models, brains, name, counts):
    return np.stack(
        [
            rsatoolbox_compare(
                resampled(models, count), resampled(brains, count), method=METHODS[name]
            )
            for count in counts
        ]
    )


def enough_images(counts, smallest=4):
    return counts[np.count_nonzero(counts, axis=1) >= smallest]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_images", [8, 30])
@pytest.mark.parametrize("name", METHODS)
def test_similarities_equal_rsatoolbox_on_the_same_resamples(name, n_images, kind):
    rng = np.random.default_rng(41)
    models, brains = kind(rng, 3, n_images), kind(rng, 2, n_images)
    counts = enough_images(image_counts(n_images, 40, rng))
    found = bootstrap_similarities(models, brains, name, counts, n_images=n_images)
    expected = reference_similarities(models, brains, name, counts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("n_subjects", [2, 3, 5])
@pytest.mark.parametrize("name", METHODS)
def test_ceilings_equal_rsatoolbox_on_the_same_resamples(name, n_subjects, kind):
    rng = np.random.default_rng(42)
    n_images = 9
    subjects = kind(rng, n_subjects, n_images)
    counts = enough_images(image_counts(n_images, 40, rng), 5)
    found = bootstrap_ceilings(subjects, name, counts, n_images=n_images)
    expected = [
        boot_noise_ceiling(resampled(subjects, count), method=METHODS[name]) for count in counts
    ]
    np.testing.assert_allclose(np.mean(found, axis=2).T, expected, rtol=0, atol=TIGHT)


def varies(vectors, count):
    vectors = resampled(vectors, count).get_vectors()
    return np.nanmax(vectors, axis=1) > np.nanmin(vectors, axis=1)


@st.composite
def tiny_case(draw):
    n_images = draw(st.integers(4, 7))
    seed = draw(st.integers(0, 2**32 - 1))
    kind = draw(st.sampled_from(KINDS))
    counts = draw(
        st.lists(st.integers(0, 3), min_size=n_images, max_size=n_images).filter(
            lambda counts: np.count_nonzero(counts) >= 4
        )
    )
    return kind, n_images, seed, np.array([counts])


@settings(max_examples=60, deadline=None)
@given(tiny_case(), st.sampled_from(list(METHODS)))
@example((tied_rdms, 5, 5302, np.array([[0, 1, 1, 1, 1]])), "pearson").via(
    "an RDM that is constant"
)
def test_any_counts_equal_rsatoolbox(case, name):
    kind, n_images, seed, counts = case
    rng = np.random.default_rng(seed)
    models, brains = kind(rng, 2, n_images), kind(rng, 2, n_images)
    found = bootstrap_similarities(models, brains, name, counts, n_images=n_images)
    # Beside an RDM that does not vary, rsatoolbox gives some others the similarities of their
    # neighbours.
    vary = np.ix_(varies(models, counts[0]), varies(brains, counts[0]))
    if found[0][vary].size:
        expected = reference_similarities(
            models[vary[0].ravel()], brains[vary[1].ravel()], name, counts
        )
        np.testing.assert_allclose(found[0][vary], expected[0], rtol=0, atol=TIGHT)
    if name in ("pearson", "spearman"):
        found[0][vary] = np.nan
        assert np.isnan(found).all()


@pytest.mark.parametrize("name", METHODS)
def test_one_of_each_image_is_the_comparison_itself(name):
    # More RDMs than are sorted at a time, more images than a block of rows.
    rng = np.random.default_rng(43)
    models, brains = clustered_rdms(rng, 13, 70), clustered_rdms(rng, 26, 70)
    found = bootstrap_similarities(models, brains, name, np.ones((1, 70), int), n_images=70)
    np.testing.assert_allclose(found[0], compare(models, brains, name), rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", METHODS)
def test_one_of_each_image_is_the_noise_ceiling(name):
    subjects = tied_rdms(np.random.default_rng(44), 4, 12)
    found = bootstrap_ceilings(subjects, name, np.ones((1, 12), int), n_images=12)
    np.testing.assert_allclose(
        np.squeeze(found, 1), noise_ceiling(subjects, name), rtol=0, atol=TIGHT
    )


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_resamples_do_not_depend_on_one_another(monkeypatch, name):
    rng = np.random.default_rng(45)
    models, brains = random_rdms(rng, 2, 9), random_rdms(rng, 3, 9)
    counts = image_counts(9, 7, rng)
    together = bootstrap_similarities(models, brains, name, counts, n_images=9)
    monkeypatch.setattr(bootstrap, "RESAMPLES", 2)
    apart = bootstrap_similarities(models, brains, name, counts, n_images=9)
    np.testing.assert_allclose(apart, together, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", METHODS)
def test_float32_agrees_with_float64(name):
    rng = np.random.default_rng(48)
    models, brains = clustered_rdms(rng, 2, 150), clustered_rdms(rng, 2, 150)
    models, brains = models.astype(np.float32), brains.astype(np.float32)
    counts = image_counts(150, 20, rng)
    found, expected = (
        bootstrap_similarities(
            models.astype(dtype), brains.astype(dtype), name, counts, n_images=150
        )
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_resamples_of_which_nothing_can_be_said_are_nan(name, dtype):
    rng = np.random.default_rng(49)
    models = random_rdms(rng, 1, 6).astype(dtype)
    # The first four images are equally far from each other: no correlation without the others.
    square = np.full((6, 6), 0.7)
    square[4:], square[:, 4:] = rng.random((2, 6)), rng.random((6, 2))
    brains = square[np.triu_indices(6, 1)][np.newaxis].astype(dtype)
    counts = np.array(
        [[6, 0, 0, 0, 0, 0], [3, 0, 0, 3, 0, 0], [2, 1, 1, 2, 0, 0], [2, 1, 1, 1, 0, 1]]
    )
    found = bootstrap_similarities(models, brains, name, counts, n_images=6)[:, 0, 0]
    np.testing.assert_array_equal(np.isnan(found), [True, True, True, False])


def test_images_are_drawn_as_often_as_there_are_images():
    counts = image_counts(50, 4000, np.random.default_rng(1))
    assert (counts.sum(axis=1) == 50).all()
    # Binomial: mean 1, variance 1 - 1/50, each image.
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=5 / np.sqrt(4000))
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    again = image_counts(50, 4000, np.random.default_rng(1))
    np.testing.assert_array_equal(counts, again)


def test_images_are_drawn_as_often_for_all_who_saw_them():
    names, rng_of = [f"image {i}" for i in range(50)], lambda name: generator(1, "resample", name)
    counts = counts_by_name(names, 4000, rng_of)
    # Of some of the images in another order, as another subject saw them.
    some = [30, 2, 49, 7]
    np.testing.assert_array_equal(
        counts_by_name((names[i] for i in some), 4000, rng_of), counts[:, some]
    )
    # Poisson, and independent: means, variances and correlations of 4000 numbers.
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=5 / np.sqrt(4000))
    np.testing.assert_allclose(np.cov(counts.T), np.eye(50), atol=0.15)
    values = np.random.default_rng(3).standard_normal(50)
    means = counts @ values / counts.sum(axis=1)
    assert means.var() == pytest.approx(values.var(ddof=1) / 50, rel=0.1)


def test_strata_keep_their_sizes():
    groups = ["b", "a", "a", "c", "b", "a", "a"]
    counts = image_counts(7, 500, np.random.default_rng(2), groups)
    for label, size in (("a", 4), ("b", 2), ("c", 1)):
        members = [i for i, group in enumerate(groups) if group == label]
        assert (counts[:, members].sum(axis=1) == size).all()
    assert counts[:, 1].var() == pytest.approx(1 - 1 / 4, abs=0.15)


@pytest.mark.parametrize("name", METHODS)
def test_groups_are_drawn_whole_as_in_rsatoolbox(name):
    rng = np.random.default_rng(50)
    groups = np.array(list("ccaabbbddeef"))
    models, brains = random_rdms(rng, 2, 12), random_rdms(rng, 2, 12)
    counts = group_counts(groups, 30, rng)
    labels, first = np.unique(groups, return_index=True)
    assert (counts[:, first].sum(axis=1) == len(labels)).all()
    assert all(
        (counts[:, groups == label] == counts[:, groups == label][:, :1]).all() for label in labels
    )
    counts = enough_images(counts, 5)
    found = bootstrap_similarities(models, brains, name, counts, n_images=12)
    for row, count in enumerate(counts):
        drawn = np.repeat(labels, count[first])
        sides = [
            RDMs(side, pattern_descriptors={"group": groups}).subsample_pattern("group", drawn)
            for side in (models, brains)
        ]
        expected = rsatoolbox_compare(*sides, method=METHODS[name])
        np.testing.assert_allclose(found[row], expected, rtol=0, atol=TIGHT)


@pytest.mark.parametrize("name", METHODS)
def test_engines_agree_where_rsatoolbox_compares_what_does_not_vary(name):
    """A category model is constant where one category is drawn, and zero within it."""
    rng = np.random.default_rng(18)
    groups = np.array(list("aaaabbbb"))
    first, second = np.triu_indices(8, 1)
    category = (groups[first] != groups[second]).astype(float)
    models = np.stack([category, category + 1, random_rdms(rng, 1, 8)[0]])
    brains = np.concatenate([random_rdms(rng, 2, 8), category[np.newaxis]])
    few = np.zeros((2, 8), int)
    few[0, :2], few[1, 3] = 4, 8
    counts = np.concatenate([group_counts(groups, 20, rng), image_counts(8, 20, rng), few])
    ours, theirs = (
        ENGINES[engine].bootstrap(models, brains, name, counts, n_images=8)
        for engine in ("fast", "rsatoolbox")
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TIGHT)
    assert np.isnan(ours[-2:]).all()
    one_group = (counts[:, :4] == 0).all(axis=1)
    assert one_group.any()
    assert np.isnan(ours[one_group][:, 0]).all() == (name != "rho-a")


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(0)
    rdms = random_rdms(rng, 2, 6)
    counts = image_counts(6, 5, rng)
    with pytest.raises(
        InputError, match=r"found counts of shape \(5, 6\), expected \(resamples, 4"
    ):
        bootstrap_similarities(rdms[:, :6], rdms[:, :6], "pearson", counts, n_images=4)
    with pytest.raises(InputError, match="found the comparator 'tau-a', expected one of pearson"):
        bootstrap_similarities(rdms, rdms, "tau-a", counts, n_images=6)
    with pytest.raises(InputError, match="found 1 subject, expected at least two"):
        bootstrap_ceilings(rdms[:1], "pearson", counts, n_images=6)
    with pytest.raises(InputError, match="found 2 group labels, expected one for each of 6"):
        image_counts(6, 5, rng, ["a", "b"])
