"""How items are dealt out to folds, or cut into parts: the one place where that is drawn."""

from collections.abc import Sequence

import numpy as np


def deal(
    n_items: int,
    n_folds: int,
    rng: np.random.Generator,
    *,
    strata: Sequence | None = None,
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Return the fold of each item: shuffled, and dealt out like cards, stratum after stratum.

    Parameters
    ----------
    n_items, n_folds : int
        Numbers of items in the folds differ by one at most.
    rng : numpy Generator
    strata : sequence of n_items labels, optional
        Each stratum is spread evenly over the folds.
    sizes : int array (n_items,), optional
        How much is in each item. The larger ones of a stratum are dealt first, there and back, so
        that no fold gets the larger one in every turn.

    Returns
    -------
    int array (n_items,)
    """
    labels = np.zeros(n_items, int) if strata is None else np.asarray(strata)
    order = rng.permutation(n_items)
    fold_of, n_dealt = np.empty(n_items, int), 0
    for stratum in np.unique(labels):
        members = order[labels[order] == stratum]
        turn, place = np.divmod(np.arange(members.size), n_folds)
        if sizes is not None:
            members = members[np.argsort(-sizes[members], kind="stable")]
            place = np.where(turn % 2, n_folds - 1 - place, place)
        fold_of[members] = (place + n_dealt) % n_folds
        n_dealt += members.size
    return fold_of


def members_of(groups: Sequence) -> list[np.ndarray]:
    """Return the rows of each group, in the order of the groups' labels."""
    labels = np.asarray(groups)
    sizes = np.unique(labels, return_counts=True)[1]
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])


def cut(order: np.ndarray, sizes: Sequence[int], groups: np.ndarray | None) -> list[np.ndarray]:
    """Return items in parts of these sizes, or about these where groups stay together.

    Parameters
    ----------
    order : int array (n_items,)
        The items, shuffled; parts keep their order.
    sizes : sequence of int
        Adds up to n_items.
    groups : int array, or None for items that are alone
        Group of every item, at its number.

    Notes
    -----
    Groups come first, the largest before others, each where most room is; then items alone fill
    what is left, in their order.
    """
    if groups is None:
        return np.split(order, np.cumsum(sizes)[:-1])
    _, first, group, n_members = np.unique(
        groups[order], return_index=True, return_inverse=True, return_counts=True
    )
    room, part = np.array(sizes), np.zeros(order.size, int)
    for number in np.lexsort((first, -n_members)):
        if n_members[number] > 1:
            part[group == number] = room.argmax()
            room[room.argmax()] -= n_members[number]
    alone = n_members[group] == 1
    while room.clip(0).sum() > alone.sum():
        room[room.argmax()] -= 1
    part[alone] = np.repeat(np.arange(room.size), room.clip(0))
    return [order[part == number] for number in range(room.size)]
