"""Maps of many points in a plane, in which those that are near one another stay so.

Points are given by their scores on principal components (`workflow.lib.rdms.components`).
"""

from collections.abc import Callable, Mapping

import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from workflow.lib.errors import InputError

# Neighbours of a point that are asked whether they are of its group, and still near in the plane.
N_NEIGHBOURS = 10
# Spread of the first component with which t-SNE begins, as scikit-learn has it.
START = 1e-4


def tsne(
    points: np.ndarray, *, seed: int, perplexity: float = 30, n_iterations: int = 1000
) -> np.ndarray:
    """Return the places of points in a plane by t-SNE (Barnes-Hut).

    Parameters
    ----------
    points : float array (n, n_components)
        Columns by falling variance: the plane begins with the first two, so that it is the same
        for any seed.
    seed : int
        Of whatever else is drawn.
    perplexity : float
        About the number of neighbours that a point is held to; below n.
    n_iterations : int

    Returns
    -------
    float32 array (n, 2)

    Raises
    ------
    InputError
        Too few points for the perplexity, or points that are all the same.

    References
    ----------
    van der Maaten & Hinton 2008, JMLR 9:2579; van der Maaten 2014, JMLR 15:3221; start from
    principal components, Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x.
    """
    if perplexity >= len(points):
        raise InputError(
            f"embedding.perplexity: found {perplexity:g} for {len(points)} points, expected less "
            "than there are points; lower it, or embed more"
        )
    check_spread(points[:, :1])
    spread = points[:, 0].std()
    # In another order of summation the map is another: scikit-learn sums per thread.
    with threadpool_limits(1, user_api="openmp"):
        fitted = TSNE(
            perplexity=perplexity,
            max_iter=n_iterations,
            init=(START / spread * points[:, :2]).astype(np.float32),
            random_state=seed,
        )
        return fitted.fit_transform(points.astype(np.float32))


def check_spread(points: np.ndarray) -> None:
    """Refuse points that are all the same, which no map can spread."""
    if not (np.ptp(points, axis=0) > 0).any():
        raise InputError(
            f"embedding: found {len(points)} points that are all the same, expected some that "
            "differ; look at the images and the weights"
        )


# Each takes points (n, n_components), a seed and options of its own, and returns (n, 2).
METHODS: Mapping[str, Callable[..., np.ndarray]] = {"tsne": tsne}


def plane_measures(points: np.ndarray, places: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Return how good a map is, as tables have it.

    Parameters
    ----------
    points : float array (n, n_components)
        What the method was given.
    places : float array (n, 2)
    groups : str array (n,)

    Returns
    -------
    dict
        n_items, n_components, n_neighbours; same_group and same_group_plane, the share of an
        item's neighbours that are of its group, in all components and in the plane;
        same_group_chance, the share expected of any neighbours; trustworthiness of the plane.
    """
    return {
        "n_items": len(points),
        "n_components": points.shape[1],
        "n_neighbours": n_neighbours(len(points)),
        "same_group": same_group_share(points, groups),
        "same_group_plane": same_group_share(places, groups),
        "same_group_chance": expected_share(groups),
        "trustworthiness": kept_neighbours(points, places),
    }


def same_group_share(points: np.ndarray, groups: np.ndarray) -> float:
    """Return how many of the nearest neighbours of a point are of its group, a mean over points.

    Parameters
    ----------
    points : float array (n, n_dimensions)
    groups : str array (n,)
    """
    k = n_neighbours(len(points))
    nearest = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return float((groups[nearest] == groups[:, np.newaxis]).mean())


def expected_share(groups: np.ndarray) -> float:
    """Return what `same_group_share` is expected to be where neighbours are of any group."""
    counts, n = np.unique(groups, return_counts=True)[1], len(groups)
    return float((counts * (counts - 1)).sum() / (n * (n - 1)))


def kept_neighbours(points: np.ndarray, places: np.ndarray) -> float:
    """Return the trustworthiness of a map: 1 where neighbours in it are neighbours in truth.

    Parameters
    ----------
    points : float array (n, n_components)
    places : float array (n, 2)

    References
    ----------
    Venna & Kaski 2001, doi:10.1007/3-540-44668-0_68.
    """
    return float(trustworthiness(points, places, n_neighbors=n_neighbours(len(points))))


def n_neighbours(n_points: int) -> int:
    """Return how many neighbours are asked: trustworthiness wants fewer than half the points."""
    return max(1, min(N_NEIGHBOURS, (n_points - 1) // 2))
