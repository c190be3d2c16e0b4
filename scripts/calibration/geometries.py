"""Simulated images in three arrangements, of which the true similarity of RDMs is known.

A geometry says where images lie in a space of features; images are drawn from it independently,
as a study draws images from the world. The similarity of two RDMs in the whole population is that
over pairs of images that have no image in common, and can be computed as exactly as one likes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import pattern_distances

N_FEATURES = 8
# Hubs: a tenth of the images lie far from all, each in a direction of its own.
HUB_SHARE, HUB_SPREAD = 0.1, 4.0
# Clusters: categories with equal distances between their centres.
N_CLUSTERS, CLUSTER_DISTANCE = 4, 4.0 * np.sqrt(2)
# Population values are taken over this many pairs; their error is below 0.0023.
N_POPULATION_PAIRS = 200_000


@dataclass(frozen=True)
class Placement:
    """What a geometry fixes about some images; their features vary about it.

    Attributes
    ----------
    centre : float64 array (n_images, N_FEATURES)
    spread : float64 array (n_images, 1)
        Standard deviation of the features about the centre.
    groups : int array (n_images,)
        Images of one group have the same distribution.
    """

    centre: np.ndarray
    spread: np.ndarray
    groups: np.ndarray


def isotropic(n_images: int, rng: np.random.Generator) -> Placement:
    """Return one cloud of images; its groups are arbitrary."""
    groups = rng.integers(3, size=n_images)
    return Placement(np.zeros((n_images, N_FEATURES)), np.ones((n_images, 1)), groups)


def hubs(n_images: int, rng: np.random.Generator) -> Placement:
    """Return a cloud and a few images far from all others."""
    far = rng.random(n_images) < HUB_SHARE
    spread = np.where(far, HUB_SPREAD, 1.0)[:, np.newaxis]
    return Placement(np.zeros((n_images, N_FEATURES)), spread, far.astype(int))


def clusters(n_images: int, rng: np.random.Generator) -> Placement:
    """Return images in categories."""
    groups = rng.integers(N_CLUSTERS, size=n_images)
    corners = CLUSTER_DISTANCE / np.sqrt(2) * np.eye(N_CLUSTERS, N_FEATURES)
    return Placement(corners[groups], np.ones((n_images, 1)), groups)


GEOMETRIES: dict[str, Callable[[int, np.random.Generator], Placement]] = {
    "isotropic": isotropic,
    "hubs": hubs,
    "clusters": clusters,
}


def geometry(name: str) -> Callable[[int, np.random.Generator], Placement]:
    """Return a geometry by its name.

    Raises
    ------
    InputError
        An unknown name.
    """
    if name not in GEOMETRIES:
        raise InputError(f"found the geometry {name!r}, expected one of {', '.join(GEOMETRIES)}")
    return GEOMETRIES[name]


def features(placement: Placement, rng: np.random.Generator) -> np.ndarray:
    """Return features of images, (n_images, N_FEATURES)."""
    return placement.centre + placement.spread * rng.standard_normal(placement.centre.shape)


def noisy(signal: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return features as a layer or a ROI has them: with noise of its own on every image."""
    return signal + noise * rng.standard_normal(signal.shape)


def rdms_of(patterns: Sequence[np.ndarray]) -> np.ndarray:
    """Return the Euclidean RDMs of some sets of features, (n_sets, n_pairs)."""
    return np.stack([pattern_distances(pattern, "euclidean") for pattern in patterns])


def population_rdms(name: str, noises: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return dissimilarities of pairs of images that have no image in common.

    Parameters
    ----------
    name : a key of `GEOMETRIES`
    noises : noise of each RDM about the signal that all share
    rng : numpy Generator

    Returns
    -------
    float64 array (n_rdms, N_POPULATION_PAIRS)
    """
    # Images 2k and 2k + 1 make a pair, so that pairs are independent.
    signal = features(geometry(name)(2 * N_POPULATION_PAIRS, rng), rng)
    return np.stack([_paired_distances(noisy(signal, noise, rng)) for noise in noises])


def _paired_distances(patterns: np.ndarray) -> np.ndarray:
    return np.linalg.norm(patterns[::2] - patterns[1::2], axis=1)
