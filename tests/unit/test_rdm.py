"""Condensed and square RDMs against scipy, and what makes an RDM valid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist, squareform

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import (
    check_dissimilarities,
    condensed_index,
    n_conditions,
    take_conditions,
    to_condensed,
    to_square,
    working_dtype,
)

FINITE = st.floats(-1e6, 1e6)
# Conditions 0 to 3; the pairs in row-major order of the upper triangle.
VECTOR = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
SQUARE = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]], dtype=float)


@st.composite
def condensed_rdms(draw):
    """Return n and a condensed RDM of n conditions."""
    n = draw(st.integers(2, 12))
    return n, draw(arrays(np.float64, n * (n - 1) // 2, elements=FINITE))


@st.composite
def rdms_with_conditions(draw):
    """Return a condensed RDM and distinct conditions of it in any order."""
    n, vector = draw(condensed_rdms())
    order = draw(st.permutations(range(n)))
    return vector, np.array(order[: draw(st.integers(1, n))])


def test_hand_written_square():
    np.testing.assert_array_equal(to_square(VECTOR, 4), SQUARE)
    np.testing.assert_array_equal(to_condensed(SQUARE, "x"), VECTOR)


def test_hand_written_choice_of_conditions():
    # Conditions 3, 0, 2: the pairs (3, 0), (3, 2), (0, 2).
    np.testing.assert_array_equal(take_conditions(VECTOR, np.array([3, 0, 2])), [3, 6, 2])


@given(condensed_rdms())
def test_square_is_scipys(rdm):
    n, vector = rdm
    np.testing.assert_array_equal(to_square(vector, n), squareform(vector))


@given(condensed_rdms())
def test_condensed_is_scipys(rdm):
    np.testing.assert_array_equal(to_condensed(squareform(rdm[1]), "x"), rdm[1])


@given(rdms_with_conditions())
def test_taken_conditions_are_those_of_the_square(case):
    vector, order = case
    square = squareform(vector)[np.ix_(order, order)]
    expected = square[np.triu_indices(len(order), 1)]
    np.testing.assert_array_equal(take_conditions(vector, order), expected)


@given(rdms_with_conditions())
def test_taking_back_restores_the_rdm(case):
    vector, _ = case
    order = np.random.default_rng(0).permutation(n_conditions(vector.size))
    back = take_conditions(take_conditions(vector, order), np.argsort(order))
    np.testing.assert_array_equal(back, vector)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_conversions_keep_the_type(dtype):
    vector = VECTOR.astype(dtype)
    assert take_conditions(vector, np.array([2, 1, 0])).dtype == dtype
    assert to_square(vector, 4).dtype == dtype
    assert to_condensed(SQUARE.astype(dtype), "x").dtype == dtype


@pytest.mark.parametrize("swapped", [False, True])
def test_index_of_every_pair(swapped):
    first, second = np.triu_indices(7, 1)
    pairs = (second, first) if swapped else (first, second)
    np.testing.assert_array_equal(condensed_index(*pairs, 7), np.arange(21))


def test_index_does_not_overflow_at_the_size_of_bold5000():
    last = np.array([4914], dtype=np.int32), np.array([4915], dtype=np.int32)
    assert condensed_index(*last, 4916)[0] == 4916 * 4915 // 2 - 1


@given(st.integers(2, 10**6))
def test_number_of_conditions(n):
    assert n_conditions(n * (n - 1) // 2) == n


@pytest.mark.parametrize("n", [2, 3, 20])
def test_number_of_conditions_is_scipys(n):
    assert n_conditions(pdist(np.eye(n)).size) == n


@pytest.mark.parametrize(
    ("n_pairs", "nearest"),
    [
        (0, r"n = 2 has 1, n = 3 has 3"),
        (2, r"n = 2 has 1, n = 3 has 3"),
        (4, r"n = 3 has 3, n = 4 has 6"),
        (4187, r"n = 92 has 4186, n = 93 has 4278"),
    ],
)
def test_no_number_of_conditions(n_pairs, nearest):
    with pytest.raises(InputError, match=rf"found an RDM of {n_pairs} .*{nearest}"):
        n_conditions(n_pairs)


@given(st.integers(0, 10**6))
def test_only_triangular_numbers_have_conditions(n_pairs):
    triangular = any(n * (n - 1) // 2 == n_pairs for n in range(2, 1500))
    try:
        n = n_conditions(n_pairs)
    except InputError:
        assert not triangular
    else:
        assert n * (n - 1) // 2 == n_pairs


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "?"])
def test_whole_numbers_and_logicals_become_floats(dtype):
    square = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=dtype)
    condensed = to_condensed(square, "x")
    np.testing.assert_array_equal(condensed, [1.0, 0.0, 1.0])
    assert condensed.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_is_not_asymmetry(dtype):
    rng = np.random.default_rng(0)
    rounded = (SQUARE * (1 + np.finfo(dtype).eps * rng.uniform(-1, 1, SQUARE.shape))).astype(dtype)
    np.fill_diagonal(rounded, np.finfo(dtype).eps)
    np.testing.assert_allclose(to_condensed(rounded, "x"), VECTOR, rtol=3 * np.finfo(dtype).eps)


@pytest.mark.parametrize("where", ["diagonal", "lower triangle"])
def test_what_nobody_reads_may_be_missing(where):
    square = SQUARE.copy()
    square[np.diag_indices(4) if where == "diagonal" else np.tril_indices(4, -1)] = np.nan
    np.testing.assert_array_equal(to_condensed(square, "x"), VECTOR)


@pytest.mark.parametrize(
    ("square", "message"),
    [
        (SQUARE[:3], r"x: found shape \(3, 4\), expected a square RDM"),
        (SQUARE[None], r"x: found shape \(1, 4, 4\), expected a square RDM"),
        (SQUARE + np.eye(4), r"x: found a diagonal of up to 1, expected zeros"),
        (SQUARE - np.eye(4), r"x: found a diagonal of up to 1, expected zeros"),
        (np.triu(SQUARE), r"x: found entries \(i, j\) and \(j, i\) that differ by up to 6"),
        # 3 - 5 is 254 in unsigned arithmetic.
        (np.array([[0, 3], [5, 0]], "u1"), r"differ by up to 2,"),
    ],
)
def test_no_rdm(square, message):
    with pytest.raises(InputError, match=message):
        to_condensed(square, "x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, np.nan, 2], "x: found 1 NaN or infinite of 3"),
        ([np.inf, -np.inf, 2], "x: found 2 NaN or infinite of 3"),
        ([np.nan] * 3, "x: found 3 NaN or infinite of 3"),
        ([0.5] * 3, "x: found all 3 dissimilarities equal to 0.5"),
        ([0.0] * 3, "x: found all 3 dissimilarities equal to 0,"),
    ],
)
def test_dissimilarities_that_no_comparison_can_use(values, message):
    with pytest.raises(InputError, match=message):
        check_dissimilarities(np.array(values, dtype=float), "x")


@pytest.mark.parametrize(("names", "said"), [("abcd", "'c'.*'a'"), (None, "condition 3.* 1\\)")])
def test_condition_of_most_bad_dissimilarities_is_named(names, said):
    """All three of one condition, and one between two others."""
    square = SQUARE.copy()
    square[2, :] = square[:, 2] = np.nan
    square[0, 1] = square[1, 0] = np.inf
    with pytest.raises(InputError, match=rf"4 NaN or infinite of 6 .*\(3 of {said}"):
        check_dissimilarities(to_condensed(square, "x"), "x", names)


@pytest.mark.parametrize(
    ("names", "said"), [("abcd", "'b' and 'd'"), (None, "condition 2 and condition 4")]
)
def test_most_asymmetric_pair_is_named(names, said):
    square = SQUARE.copy()
    square[0, 1] += 0.1
    square[3, 1] += 0.5
    with pytest.raises(InputError, match=f"differ by up to 0.5, most for {said},"):
        to_condensed(square, "x", names)


@pytest.mark.parametrize("values", [[1, 2, 3], [-1, 0, 1], [0, 0, 1e-12]])
def test_usable_dissimilarities_pass_unchanged(values):
    vector = np.array(values, dtype=float)
    assert check_dissimilarities(vector, "x") is vector


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_values_in_a_square_are_reported_once_and_without_warnings(value):
    square = SQUARE.copy()
    square[0, 1] = square[1, 0] = value
    with pytest.raises(InputError, match="found 1 NaN or infinite of 6"):
        check_dissimilarities(to_condensed(square, "x"), "x")


@pytest.mark.parametrize(("n", "dtype"), [(92, np.float64), (4916, np.float32)])
def test_large_rdms_are_held_in_single_precision(n, dtype):
    assert working_dtype(n) is dtype
