"""Images that are copies of one another, or nearly: they look alike at a few pixels."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

# Images are looked at in squares of this many pixels, each the mean of some; root mean square
# differences up to this share of the range of colours are near.
SIDE, DISTANCE = 8, 0.005
# Images that are looked at, or compared with all others, at a time: bounds memory.
ROWS = 256


def looks(images: np.ndarray) -> np.ndarray:
    """Return images as rows whose Euclidean distance is their root mean square difference.

    Parameters
    ----------
    images : uint8 array (n, side, side, 3)

    Returns
    -------
    float32 array (n, 3 `SIDE`^2), in shares of the range of colours
    """
    blocks = range(0, len(images), ROWS)
    return np.concatenate([_looks(images[start : start + ROWS]) for start in blocks])


def _looks(images: np.ndarray) -> np.ndarray:
    n, side = images.shape[:2]
    edges = np.linspace(0, side, min(side, SIDE) + 1).astype(int)[:-1]
    small = images.astype(np.float32)
    for axis in (1, 2):
        sizes = np.diff([*edges, side]).reshape([-1 if k == axis else 1 for k in range(4)])
        small = np.add.reduceat(small, edges, axis=axis) / sizes
    return small.reshape(n, -1) / (255 * np.sqrt(small[0].size))


def duplicate_pairs(images: np.ndarray) -> np.ndarray:
    """Return the pairs of images that are copies or near-duplicates.

    Parameters
    ----------
    images : uint8 array (n, side, side, 3)

    Returns
    -------
    int64 array (n_pairs, 2), the first image of each before the second
    """
    rows = looks(images)
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(rows), ROWS):
        near = cdist(rows[start : start + ROWS], rows[start:]) <= DISTANCE
        found.append(np.argwhere(np.triu(near, 1)) + start)
    return np.concatenate(found)


def duplicate_groups(images: np.ndarray) -> np.ndarray:
    """Return a number for each image, the same for those that are duplicates of one another.

    Also for two that are both duplicates of a third, and so on.

    Parameters
    ----------
    images : uint8 array (n, side, side, 3)

    Returns
    -------
    int array (n,)
    """
    first, second = duplicate_pairs(images).T
    graph = coo_array((np.ones(first.size, bool), (first, second)), (len(images),) * 2)
    return connected_components(graph, directed=False)[1]
