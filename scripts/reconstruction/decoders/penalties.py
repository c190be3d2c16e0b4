"""Choosing penalties of decoders: folds within those images that are learned from, and edges."""

import logging
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import GroupKFold

from workflow.lib.errors import InputError

# What the penalty by which an image was predicted is called in files of predictions.
PENALTY = "penalty"
log = logging.getLogger("workflow")


def inner_folds(groups: np.ndarray, n_folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows to fit and the rows to test of every inner fold.

    Parameters
    ----------
    groups : int array (n_samples,)
        Repeats and copies of an image are of one group, and of one fold.
    n_folds : int
    seed : int

    Raises
    ------
    InputError
        Fewer groups than folds.
    """
    n_groups = np.unique(groups).size
    if n_groups < n_folds:
        raise InputError(
            f"decoders: found {n_groups} different images to learn from for {n_folds} inner folds, "
            "expected an image for each at least; lower `n_inner_folds`"
        )
    inner = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(inner.split(groups, groups=groups))


def warn_at_edge(chosen: float, offered: Sequence[float], where: str) -> None:
    """Warn of a penalty that is the smallest or the largest of several that were offered."""
    ends = {"smallest": min(offered), "largest": max(offered)}
    for end, penalty in ends.items():
        if np.isclose(chosen, penalty, atol=0) and len(offered) > 1:
            log.warning(
                "%s: found the penalty %g to be best, the %s that was offered, expected one "
                "between; offer more, unless there is nothing to learn, as from shuffled responses",
                where,
                chosen,
                end,
            )
