"""Ridge regression of many targets, each or all with the penalty that cross-validation chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV

from scripts.reconstruction.decoders.penalties import inner_folds

# Targets that are fitted at a time: bounds memory, 65,536 pixels take 16 turns.
BLOCK_TARGETS = 4096


@dataclass(frozen=True)
class RidgeSettings:
    """How a ridge regression is fitted.

    Attributes
    ----------
    alphas : sequence of float
        Penalties to choose from, on the sum of squares of features of unit variance.
    per_target : bool
        Whether each target has its own penalty, or all of them the one of least mean error.
    n_inner_folds : int
        Of the cross-validation that chooses it; samples of one group stay together.
    """

    alphas: Sequence[float]
    per_target: bool
    n_inner_folds: int


def fit_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    settings: RidgeSettings,
    seed: int,
) -> KernelRidgeCV:
    """Fit a ridge regression, and return the model, which has `predict` and `best_alphas_`.

    Parameters
    ----------
    features : float32 array (n_samples, n_features)
    targets : float32 array (n_samples, n_targets)
    groups : int array (n_samples,)
        Repeats and copies of an image are of one group.
    settings : RidgeSettings
    seed : int
        Of the inner folds.

    Raises
    ------
    InputError
        Fewer groups than inner folds.

    Notes
    -----
    The kernel form: memory is that of targets and of as many coefficients, whatever the number of
    features is.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde & Gallant 2022, NeuroImage 264:119728.
    """
    model = KernelRidgeCV(
        alphas=np.asarray(settings.alphas, np.float32),
        kernel="linear",
        fit_intercept=True,
        cv=inner_folds(groups, settings.n_inner_folds, seed),
        solver_params={
            "local_alpha": settings.per_target,
            "n_targets_batch": BLOCK_TARGETS,
            "n_alphas_batch": 1,
        },
        # Fewer voxels than samples are fitted as well, if not as fast as they could be.
        warn=False,
    )
    return model.fit(features, targets)
