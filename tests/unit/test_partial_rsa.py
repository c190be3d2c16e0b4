"""Partial correlation against pingouin and regressions, shares of variance against statsmodels."""

import itertools

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
import statsmodels.api
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from workflow.lib.errors import InputError
from workflow.lib.inference.permutation import permute_prepared
from workflow.lib.rsa.partial import partial_prepare, partition_variance

NAMES = ["pearson", "spearman"]
seeds = st.integers(0, 2**32 - 1)
TIGHT = 1e-10


def related_rdms(seed, n_rdms, n_images, kind):
    """Return RDMs that share a common part: dense, of ratings, or of clusters."""
    rng = np.random.default_rng(seed)
    n_pairs = n_images * (n_images - 1) // 2
    if kind == "clustered":
        shared = rng.standard_normal((n_images, 3)) + 4 * rng.integers(0, 3, n_images)[:, None]
        return np.stack([pdist(shared + rng.standard_normal(shared.shape)) for _ in range(n_rdms)])
    vectors = rng.standard_normal(n_pairs) + rng.standard_normal((n_rdms, n_pairs))
    return np.round(2 * vectors) if kind == "tied" else vectors


KINDS = st.sampled_from(["dense", "tied", "clustered"])


def least_squares_rest(target, controls):
    """Return the residuals of a regression on a constant and the controls."""
    design = np.column_stack([np.ones(target.size), *controls])
    return target - design @ np.linalg.lstsq(design, target)[0]


def partial_similarities(models, brains, controls, name, **options):
    """Return the products of what `partial_prepare` returns, as the workflow tests them."""
    left, right = partial_prepare(models, brains, controls, name, **options)
    return left.astype(np.float64) @ right.T


def as_compared(vectors, name):
    return scipy.stats.rankdata(vectors, axis=1) if name == "spearman" else vectors


@settings(deadline=None)
@given(
    seed=seeds,
    n_images=st.integers(7, 12),
    n_controls=st.integers(0, 3),
    kind=KINDS,
    name=st.sampled_from(NAMES),
    semi=st.booleans(),
)
def test_equals_the_correlation_of_residuals(seed, n_images, n_controls, kind, name, semi):
    rdms = related_rdms(seed, 5 + n_controls, n_images, kind)
    models, brains, controls = rdms[:2], rdms[2:5], rdms[5:]
    found = partial_similarities(
        models, brains, controls, name, kind="semi-partial" if semi else "partial"
    )
    left, right, given_controls = (as_compared(side, name) for side in (models, brains, controls))
    left = [least_squares_rest(vector, given_controls) for vector in left]
    if not semi:
        right = [least_squares_rest(vector, given_controls) for vector in right]
    expected = [[np.corrcoef(model, brain)[0, 1] for brain in right] for model in left]
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TIGHT)


@settings(deadline=None, max_examples=25)
@given(
    seed=seeds,
    n_images=st.integers(7, 12),
    n_controls=st.integers(1, 3),
    kind=KINDS,
    name=st.sampled_from(NAMES),
    semi=st.booleans(),
)
def test_equals_pingouin(seed, n_images, n_controls, kind, name, semi):
    rdms = related_rdms(seed, 2 + n_controls, n_images, kind)
    columns = ["model", "brain", *(f"control {i}" for i in range(n_controls))]
    frame = pd.DataFrame(dict(zip(columns, rdms, strict=True)))
    covariates = {"x_covar" if semi else "covar": columns[2:]}
    expected = pingouin.partial_corr(frame, "model", "brain", method=name, **covariates)
    found = partial_similarities(
        rdms[:1], rdms[1:2], rdms[2:], name, kind="semi-partial" if semi else "partial"
    )
    np.testing.assert_allclose(found.item(), expected["r"].item(), rtol=0, atol=TIGHT)


def test_hand_worked_value():
    # From three correlations: (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)).
    x, y, z = related_rdms(1, 3, 9, "dense")
    correlation = np.corrcoef([x, y, z])
    (xy, xz, yz) = correlation[0, 1], correlation[0, 2], correlation[1, 2]
    partial = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    semi = (xy - xz * yz) / np.sqrt(1 - xz**2)
    sides = x[None], y[None], z[None]
    assert partial_similarities(*sides, "pearson").item() == pytest.approx(partial, abs=TIGHT)
    found = partial_similarities(*sides, "pearson", kind="semi-partial").item()
    assert found == pytest.approx(semi, abs=TIGHT)


def test_a_model_that_works_through_a_control_has_nothing_of_its_own():
    """Model and brain share only what the control holds; noise hides it in no correlation."""
    rng = np.random.default_rng(2)
    shared = rng.standard_normal(100 * 99 // 2)
    model, brain = (shared + 0.5 * rng.standard_normal(shared.size) for _ in range(2))
    found = partial_similarities(model[None], brain[None], shared[None], "pearson")
    # Four standard errors of a correlation of 4,950 pairs, independent here.
    assert abs(found.item()) < 0.057
    assert np.corrcoef(model, brain)[0, 1] > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_with_float64(name):
    rdms = related_rdms(3, 8, 60, "clustered")
    sides = rdms[:2], rdms[2:5], rdms[5:]
    exact = partial_similarities(*sides, name)
    single = partial_similarities(*(side.astype(np.float32) for side in sides), name)
    np.testing.assert_allclose(single, exact, rtol=0, atol=2e-6)


def test_prepared_residuals_can_be_permuted():
    """A model of its own is found beside the control, and one that copies it is not."""
    rng = np.random.default_rng(4)
    control, own = (pdist(rng.standard_normal((30, 5))) for _ in range(2))
    brain = control + own + 0.3 * rng.standard_normal(control.size)
    copies = control + 0.3 * rng.standard_normal(control.size)
    left, right = partial_prepare(
        np.stack([own, copies]), brain[None], control[None], "pearson", kind="partial"
    )
    p = permute_prepared(left, right, n_images=30, n_permutations=199, rng=rng).p
    assert p[0] == 1 / 200
    assert p[1] > 0.05


def test_collinear_controls_and_explained_models_are_named():
    a, b, c, d = related_rdms(5, 4, 8, "dense")
    controls = np.stack([a, b, c, 2 * a - b + 3])
    names = ["pixel", "gabor", "category", "mix"]
    with pytest.raises(InputError, match="found that pixel and gabor explain all of mix, expected"):
        partial_similarities(d[None], d[None], controls, "pearson", control_names=names)
    with pytest.raises(
        InputError, match=r"found that pixel and gabor explain all of conv1, expected"
    ):
        partial_similarities(
            (a + b)[None],
            d[None],
            controls[:2],
            "pearson",
            model_names=["conv1"],
            control_names=names[:2],
        )
    with pytest.raises(InputError, match="found that control 1 explains all of brain RDM 2"):
        partial_similarities(d[None], np.stack([b, -a]), a[None], "spearman")
    # In float32 a copy is one up to rounding.
    single = a.astype(np.float32)
    with pytest.raises(InputError, match="explains all of brain RDM 1"):
        partial_similarities(d[None], 100 + single[None], single[None], "pearson")


def test_unknown_choices_are_refused():
    x = related_rdms(6, 1, 5, "dense")
    with pytest.raises(InputError, match="comparator 'cosine', expected one of pearson, spearman"):
        partial_similarities(x, x, x, "cosine")
    with pytest.raises(InputError, match="'part', expected one of partial, semi-partial"):
        partial_similarities(x, x, x, "pearson", kind="part")


# Shares of variance.


@settings(deadline=None)
@given(
    seed=seeds,
    n_images=st.integers(7, 12),
    n_models=st.integers(1, 4),
    kind=KINDS,
    name=st.sampled_from(NAMES),
)
def test_shares_equal_those_of_statsmodels_and_sum_to_the_whole(
    seed, n_images, n_models, kind, name
):
    rdms = related_rdms(seed, n_models + 2, n_images, kind)
    models, brains = rdms[:n_models], rdms[n_models:]
    names = list("abcd"[:n_models])
    found = partition_variance(models, brains, name, model_names=names)
    assert len(found.sets) == 2**n_models - 1
    left, right = as_compared(models, name), as_compared(brains, name)
    for row, chosen in enumerate(found.sets):
        design = statsmodels.api.add_constant(left[[names.index(model) for model in chosen]].T)
        fits = [statsmodels.api.OLS(brain, design).fit() for brain in right]
        expected = [fit.rsquared for fit in fits]
        np.testing.assert_allclose(found.r_squared[row], expected, rtol=0, atol=TIGHT)
    parts, shares = found.components, found.r_squared
    np.testing.assert_allclose(parts.sum(axis=0), shares[-1], rtol=0, atol=TIGHT)
    # What a model explains is the sum of all parts that it has a share in.
    for model in names:
        holds = [model in chosen for chosen in found.sets]
        np.testing.assert_allclose(
            parts[holds].sum(axis=0), shares[found.sets.index((model,))], rtol=0, atol=TIGHT
        )


@pytest.mark.parametrize("name", NAMES)
def test_unique_parts_are_squared_semi_partial_correlations(name):
    rdms = related_rdms(7, 6, 15, "clustered")
    models, brains = rdms[:4], rdms[4:]
    found = partition_variance(models, brains, name, model_names=list("abcd"))
    for i in range(4):
        others = np.delete(models, i, axis=0)
        semi = partial_similarities(models[[i]], brains, others, name, kind="semi-partial")
        np.testing.assert_allclose(found.components[i], semi[0] ** 2, rtol=0, atol=TIGHT)


def test_independent_models_share_nothing_and_explain_what_was_planted():
    # Orthogonal by construction, with weights 3, 2 and 1 of variances 9, 4 and 1 of 14.
    basis, _ = np.linalg.qr(
        np.column_stack([np.ones(45), np.random.default_rng(8).random((45, 3))])
    )
    models = basis[:, 1:].T
    brain = np.array([3.0, 2, 1]) @ models
    found = partition_variance(models, brain[None], "pearson", model_names=["a", "b", "c"])
    expected = {("a",): 9 / 14, ("b",): 4 / 14, ("c",): 1 / 14}
    parts = dict(zip(found.sets, found.components[:, 0], strict=True))
    for models_of_set, part in parts.items():
        assert part == pytest.approx(expected.get(models_of_set, 0), abs=TIGHT)
    assert found.sets == [tuple(letters) for letters in ("a", "b", "c", "ab", "ac", "bc", "abc")]
    assert found.components.sum() == pytest.approx(1)


def test_shared_variance_of_two_models_by_hand():
    x, y, z = related_rdms(9, 3, 10, "dense")
    r2 = {}
    for chosen in itertools.chain(["x", "y", "xy"]):
        design = [{"x": x, "y": y}[letter] for letter in chosen]
        rest = least_squares_rest(z, design)
        r2[chosen] = 1 - rest @ rest / np.sum((z - z.mean()) ** 2)
    found = partition_variance(np.stack([x, y]), z[None], "pearson", model_names=["x", "y"])
    expected = [r2["xy"] - r2["y"], r2["xy"] - r2["x"], r2["x"] + r2["y"] - r2["xy"]]
    np.testing.assert_allclose(found.components[:, 0], expected, rtol=0, atol=TIGHT)


def test_sets_that_cannot_be_partitioned_are_refused():
    a, b, c, d, e = related_rdms(10, 5, 7, "dense")
    names = ["conv1", "conv2", "fc6", "fc7", "fc8"]
    with pytest.raises(InputError, match=r"found 5 models and 21 .*expected at most 4 models"):
        partition_variance(np.stack([a, b, c, d, e]), a[None], "pearson", model_names=names)
    with pytest.raises(InputError, match="found that conv1 and conv2 explain all of fc6, expected"):
        partition_variance(np.stack([a, b, a - b, d]), e[None], "pearson", model_names=names[:4])
    with pytest.raises(InputError, match=r"found 2 models and 3 .*two dissimilarities more"):
        partition_variance(np.eye(2, 3), np.eye(1, 3), "pearson", model_names=names[:2])
