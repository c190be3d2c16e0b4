"""Noise between repeats of conditions: its covariance over channels, and patterns in its units."""

import numpy as np

from workflow.lib.errors import InputError


def noise_normalised(
    patterns: np.ndarray, residuals: np.ndarray, *, dof: int, method: str
) -> np.ndarray:
    """Return patterns in which the noise of all channels has variance one.

    Parameters
    ----------
    patterns : float array (..., n_channels)
    residuals : float array (n_observations, n_channels)
        Noise, see `workflow.lib.patterns.preparation.noise_residuals`.
    dof : int
        Degrees of freedom of the residuals: observations minus means taken off.
    method : "none", "diagonal" or "shrinkage"
        "diagonal" divides each channel by its standard deviation (univariate); "shrinkage"
        multiplies by the inverse square root of the covariance (multivariate, after which
        squared distances are Mahalanobis distances and noise is uncorrelated between channels).

    Returns
    -------
    float64 array (..., n_channels)

    Raises
    ------
    InputError
        No degrees of freedom, or a channel without noise.
    """
    if method == "none":
        return patterns.astype(np.float64)
    if dof < 1:
        raise InputError(
            "found one observation of each condition, or one run, expected conditions repeated, "
            "within runs or over them, to estimate noise from; name the runs by "
            "`observations.run`, or set noise_normalisation to none"
        )
    variances = np.einsum("op,op->p", residuals, residuals, dtype=np.float64) / dof
    if not (variances > 0).all():
        raise InputError(
            f"found {int((variances <= 0).sum())} of {len(variances)} channels that never vary "
            "between repeats of a condition, expected noise in all; leave them out of the ROI, or "
            "set noise_normalisation to none"
        )
    if method == "diagonal":
        return patterns / np.sqrt(variances)
    return patterns @ _inverse_square_root(noise_covariance(residuals, dof=dof))


def noise_covariance(residuals: np.ndarray, *, dof: int) -> np.ndarray:
    """Return the covariance of noise between channels, shrunk towards its diagonal.

    Parameters
    ----------
    residuals : float array (n_observations, n_channels), of mean zero
    dof : int
        Degrees of freedom of the residuals.

    Returns
    -------
    float64 array (n_channels, n_channels)

    Notes
    -----
    With few observations the sample covariance S of many channels has no inverse. Correlations
    are multiplied by 1 - lambda, lambda = sum_ij var(r_ij) / sum_ij r_ij^2 over channels i != j,
    limited to 0 to 1. Equal to rsatoolbox.data.noise.cov_from_residuals(method="shrinkage_diag").

    References
    ----------
    Schäfer and Strimmer 2005, A shrinkage approach to large-scale covariance matrix estimation and
    implications for functional genomics. Stat Appl Genet Mol Biol 4:32.
    """
    residuals = residuals.astype(np.float64)
    n = len(residuals)
    covariance = residuals.T @ residuals / dof
    deviations = np.sqrt(np.diagonal(covariance))
    scaled = residuals / deviations
    correlations = covariance * (dof / (n - 1)) / deviations / deviations[:, np.newaxis]
    # The sum over pairs of channels of products of squares is the square of their sum.
    fourth = ((scaled**2).sum(axis=1) ** 2).sum() - (scaled**4).sum()
    squared = (correlations**2).sum() - (np.diagonal(correlations) ** 2).sum()
    variance = n / dof**2 * (fourth / (n - 1) - squared)
    shrinkage = float(np.clip(variance / squared, 0, 1)) if squared > 0 else 0.0
    shrunk = (1 - shrinkage) * covariance
    np.fill_diagonal(shrunk, np.diagonal(covariance))
    return shrunk


def _inverse_square_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric W with W @ W the inverse: it turns channels as little as can be."""
    values, vectors = np.linalg.eigh(covariance)
    smallest = np.finfo(np.float64).eps * len(values) * values[-1]
    if values[0] <= smallest:
        raise InputError(
            f"found {int((values <= smallest).sum())} of {len(values)} dimensions of the channels "
            "without noise, expected noise in all; leave out copies of a channel, or set "
            "noise_normalisation to diagonal"
        )
    return (vectors / np.sqrt(values)) @ vectors.T
