"""UMAP of points, beside the other maps of `workflow.lib.embedding`.

In a module of its own: importing umap-learn takes seconds, which other maps need not wait for.
"""

import warnings

import numpy as np
from sklearn.neighbors import NearestNeighbors
from umap import UMAP

from workflow.lib.embedding import check_spread
from workflow.lib.errors import InputError


def umap(
    points: np.ndarray, *, seed: int, n_neighbours: int = 30, min_distance: float = 0.1
) -> np.ndarray:
    """Return the places of points in a plane by UMAP.

    Parameters
    ----------
    points : float array (n, n_components)
    seed : int
        Of the start and of the pairs that are drawn; one thread, so that a seed gives one map.
    n_neighbours : int
        Points that are near a point, itself among them; at most n.
    min_distance : float
        How close points may come in the plane.

    Returns
    -------
    float32 array (n, 2)

    Raises
    ------
    InputError
        Fewer points than neighbours, or points that are all the same.

    Notes
    -----
    Neighbours are those of scikit-learn: they are exact, and to compile the search of umap-learn
    takes longer than all the rest.

    References
    ----------
    McInnes, Healy & Melville 2018, arXiv:1802.03426.
    """
    if n_neighbours > len(points):
        raise InputError(
            f"embedding.n_neighbours: found {n_neighbours} for {len(points)} points, expected no "
            "more than there are points; lower it, or embed more"
        )
    check_spread(points)
    points = points.astype(np.float32)
    distances, neighbours = (
        NearestNeighbors(n_neighbors=n_neighbours).fit(points).kneighbors(points)
    )
    with warnings.catch_warnings():
        # No points are added later, for which alone the search would be needed.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        return UMAP(
            n_neighbors=n_neighbours,
            min_dist=min_distance,
            random_state=seed,
            n_jobs=1,
            # The spectral start draws places of parts that no neighbours connect, without a seed.
            init="pca",
            precomputed_knn=(neighbours, distances.astype(np.float32), None),
        ).fit_transform(points)
