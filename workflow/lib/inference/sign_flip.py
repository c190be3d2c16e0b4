"""Tests over subjects: is the mean above zero, given how subjects differ?"""

import itertools
from dataclasses import dataclass

import numpy as np

from workflow.lib.errors import InputError

# With fewer, no two-sided result can reach 0.05: the identity and its opposite are 2 of 2^n.
MIN_SUBJECTS = 6
# Flips per product: bounds memory, and is fixed so that sums do not depend on the machine.
FLIPS = 1024
TOLERANCE = 1e-9
# Equal values in all subjects have no spread but that of rounding, as a share of their squares.
ROUNDING = 1e-12

# Which end of a statistic speaks against the null.
TAILS = {"greater": lambda t: t, "less": lambda t: -t, "two-sided": np.abs}


@dataclass(frozen=True)
class SignFlips:
    """Result of a sign-flip test.

    Attributes
    ----------
    mean, t : float64 arrays (n_cells...)
        Mean over subjects and its t statistic.
    p : float64 array (n_cells...)
        Of each cell alone.
    p_max : float64 array (n_cells...)
        Family-wise over all cells, by the largest studentised statistic.
    n_flips : int
        Sign patterns compared, the identity among them if all were enumerated; 0 if refused.
    complete : bool
        Whether all 2^n_subjects patterns were enumerated.
    reason : str
        Why the test was refused; empty if it was not.
    """

    mean: np.ndarray
    t: np.ndarray
    p: np.ndarray
    p_max: np.ndarray
    n_flips: int
    complete: bool
    reason: str = ""


def sign_flip_test(
    values: np.ndarray,
    *,
    rng: np.random.Generator,
    n_flips: int = 10_000,
    alternative: str = "greater",
) -> SignFlips:
    """Test the mean over subjects against zero by flipping the signs of whole subjects.

    Parameters
    ----------
    values : float array (n_subjects, ...)
        One number per subject and cell: similarities, or differences between layers.
    rng : numpy Generator
        Used only where not all patterns are enumerated.
    n_flips : int
        All 2^n_subjects patterns are enumerated if there are no more than this, else this many
        are drawn.
    alternative : "greater", "less" or "two-sided"

    Returns
    -------
    SignFlips
        NaN p-values with a reason where there are fewer than `MIN_SUBJECTS` subjects.

    Raises
    ------
    InputError
        NaN or infinite values, or an unknown alternative.

    Notes
    -----
    The null: subjects' values are independent and symmetric about zero. Subjects who see the same
    images share the chance similarity of these images: the test then speaks about these images
    only, whatever the number of subjects. p = k / 2^n over all patterns, the identity counted, and
    (k + 1) / (N + 1) over N random ones. Flipping leaves the sum of squares S of a cell as it is,
    so that t grows with sum / sqrt(S), which is compared in its place: it cannot overflow.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1; Phipson & Smyth 2010, Stat Appl Genet Mol Biol
    9:39.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values, alternative)
    n_subjects, shape = len(values), values.shape[1:]
    mean = values.mean(axis=0)
    t = t_statistics(np.ones((1, n_subjects)), values.reshape(n_subjects, -1)).reshape(shape)
    if n_subjects < MIN_SUBJECTS:
        undefined = np.full(shape, np.nan)
        reason = f"{n_subjects} subjects, sign-flip tests need {MIN_SUBJECTS}"
        return SignFlips(mean, t, undefined, undefined, 0, False, reason)
    complete = 2**n_subjects <= n_flips
    patterns = all_signs(n_subjects) if complete else random_signs(n_subjects, n_flips, rng)
    lengths = np.sqrt((values**2).sum(axis=0)).reshape(-1)
    scaled = values.reshape(n_subjects, -1) / np.where(lengths > 0, lengths, 1.0)
    single, largest = _counts(scaled, patterns, alternative)
    n_extra = 0 if complete else 1
    p, p_max = ((k + n_extra).reshape(shape) / (len(patterns) + n_extra) for k in (single, largest))
    return SignFlips(mean, t, p, p_max, len(patterns), complete)


def _check(values: np.ndarray, alternative: str) -> None:
    if alternative not in TAILS:
        raise InputError(f"found the alternative {alternative!r}, expected {', '.join(TAILS)}")
    n_bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if n_bad:
        raise InputError(
            f"found {n_bad} NaN or infinite of {values.size} values of subjects and cells, "
            "expected none; leave out cells that a subject lacks"
        )


def _counts(
    scaled: np.ndarray, patterns: np.ndarray, alternative: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many patterns reach each observed statistic, in the cell and in any cell."""
    tail = TAILS[alternative]
    observed = tail(scaled.sum(axis=0)) - TOLERANCE
    single = np.zeros(observed.size, dtype=np.int64)
    largest = np.zeros(observed.size, dtype=np.int64)
    for start in range(0, len(patterns), FLIPS):
        flipped = tail(patterns[start : start + FLIPS] @ scaled)
        single += (flipped >= observed).sum(axis=0)
        largest += (flipped.max(axis=1)[:, np.newaxis] >= observed).sum(axis=0)
    return single, largest


def t_statistics(signs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return one-sample t statistics of values whose signs are flipped.

    Parameters
    ----------
    signs : float64 array (n_flips, n_subjects)
    values : float64 array (n_subjects, n_cells)

    Returns
    -------
    float64 array (n_flips, n_cells)
        Large, but finite, where all subjects agree to rounding; 0 where all are zero; NaN for one
        subject.

    Notes
    -----
    The sum of squares Q does not change with signs: t = sum / sqrt(n (Q - sum^2 / n) / (n - 1)).
    """
    n = len(values)
    if n < 2:
        return np.full((len(signs), values.shape[1]), np.nan)
    sums = signs @ values
    squares = np.square(values).sum(axis=0)
    spread = np.maximum(squares - np.square(sums) / n, ROUNDING * squares)
    return sums / np.sqrt(n * np.where(squares > 0, spread, 1.0) / (n - 1))


def all_signs(n_subjects: int) -> np.ndarray:
    """Return all patterns of signs, (2^n_subjects, n_subjects), the identity first."""
    return np.array(list(itertools.product([1.0, -1.0], repeat=n_subjects)))


def random_signs(n_subjects: int, n_flips: int, rng: np.random.Generator) -> np.ndarray:
    """Return random patterns of signs, (n_flips, n_subjects)."""
    return rng.choice([-1.0, 1.0], size=(n_flips, n_subjects))
