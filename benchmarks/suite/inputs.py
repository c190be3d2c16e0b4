"""The arrays that all sides of a row are given: simulated, the same for the same sizes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from workflow.lib.rdms.distances import pattern_distances

SEED = 1
# Rank of the patterns behind an RDM; the share of what all layers have in common in the patterns of
# a layer, and of a layer's patterns in a brain's.
N_FEATURES, COMMON, SIGNAL = 20, 0.5, 0.3


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are.

    Attributes
    ----------
    n_images, n_voxels : int
        Of the distances, tables, ceilings and bootstraps.
    n_models, n_brains, n_subjects : int
        Layers, ROIs, and subjects of one ROI: the first brains.
    n_runs : int
        Repeats of each image, for crossvalidated distances.
    n_resamples, n_permutations : int
    n_centres, n_conditions : int
        Of the searchlight.
    """

    n_images: int = 2985
    n_voxels: int = 500
    n_models: int = 5
    n_brains: int = 10
    n_subjects: int = 4
    n_runs: int = 4
    n_resamples: int = 1000
    n_permutations: int = 1000
    n_centres: int = 20_005
    n_conditions: int = 60


QUICK = Sizes(
    n_images=300, n_voxels=100, n_resamples=20, n_permutations=20, n_centres=500, n_conditions=20
)
# Spheres reach this far from their centre, in voxels: 123 voxels. No voxel is between this and 3.16
# away, so that sides that do not count the surface in are given a little more.
RADIUS, RADIUS_OPEN = 3.0, 3.1
TINY = Sizes(
    n_images=14, n_voxels=30, n_resamples=6, n_permutations=6, n_centres=60, n_conditions=8
)


def pattern_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return patterns (n_images, n_voxels)."""
    rng = np.random.default_rng(SEED)
    return {"patterns": rng.standard_normal((sizes.n_images, sizes.n_voxels), np.float32)}


def run_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return patterns per run (n_runs, n_images, n_voxels)."""
    rng = np.random.default_rng(SEED)
    shape = sizes.n_runs, sizes.n_images, sizes.n_voxels
    return {"runs": rng.standard_normal(shape, np.float32)}


def table_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return RDMs of layers and of ROIs, (n_rdms, n_pairs); each ROI resembles one layer."""
    rng = np.random.default_rng(SEED)
    features = _layer_patterns(sizes, rng)
    sources = features[np.arange(sizes.n_brains) % sizes.n_models]
    return {"models": _rdms(features), "brains": _rdms(_brain_patterns(sources, rng))}


def ranked_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return the ranks of the RDMs of `table_inputs`."""
    return {
        name: np.stack([rankdata(vector) for vector in vectors])
        for name, vectors in table_inputs(sizes).items()
    }


def resampling_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return RDMs of layers and of the subjects of one ROI, and counts of a bootstrap over images.

    The counts, (n_resamples, n_images), are those that rsatoolbox draws from NumPy's old global
    generator with the same seed.
    """
    rng = np.random.default_rng(SEED)
    n = sizes.n_images
    features = _layer_patterns(sizes, rng)
    sources = np.repeat(features[:1], sizes.n_subjects, axis=0)
    draws = np.random.RandomState(SEED)
    counts = [
        np.bincount(draws.randint(0, n, size=n), minlength=n) for _ in range(sizes.n_resamples)
    ]
    return {
        "models": _rdms(features),
        "subjects": _rdms(_brain_patterns(sources, rng)),
        "counts": np.stack(counts),
    }


def _layer_patterns(sizes: Sizes, rng: np.random.Generator) -> np.ndarray:
    common = rng.standard_normal((sizes.n_images, N_FEATURES))
    own = rng.standard_normal((sizes.n_models, sizes.n_images, N_FEATURES))
    return np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * own


def _brain_patterns(sources: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    own = rng.standard_normal(sources.shape)
    return np.sqrt(SIGNAL) * sources + np.sqrt(1 - SIGNAL) * own


def _rdms(patterns: np.ndarray) -> np.ndarray:
    return np.stack([pattern_distances(p, "correlation").astype(np.float32) for p in patterns])


def searchlight_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return a mask of `n_centres` voxels, the most compact there is, patterns and model RDMs.

    Returns
    -------
    mask : bool (x, y, z)
    patterns : float32 (n_conditions, x, y, z)
    models : float32 (n_models, n_pairs)
    """
    rng = np.random.default_rng(SEED)
    side = 2 * int(np.ceil((sizes.n_centres * 3 / (4 * np.pi)) ** (1 / 3))) + 3
    away = np.indices((side,) * 3) - side // 2
    nearest = np.argsort((away**2).sum(axis=0), axis=None, kind="stable")[: sizes.n_centres]
    mask = np.zeros(side**3, bool)
    mask[nearest] = True
    shape = (sizes.n_conditions, side, side, side)
    return {
        "mask": mask.reshape(shape[1:]),
        "patterns": rng.standard_normal(shape, np.float32),
        "models": _rdms(rng.standard_normal((sizes.n_models, sizes.n_conditions, N_FEATURES))),
    }


INPUTS: dict[str, Callable[[Sizes], dict[str, np.ndarray]]] = {
    "patterns": pattern_inputs,
    "runs": run_inputs,
    "table": table_inputs,
    "ranked": ranked_inputs,
    "resampling": resampling_inputs,
    "searchlight": searchlight_inputs,
}


def as_type(arrays: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Return the arrays with all floating-point ones in the type that a side works in."""
    return {
        name: array.astype(dtype) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }
