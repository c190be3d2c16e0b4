"""The arrays that all sides of a row are given: simulated, the same for the same sizes."""

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from workflow.lib.rdms.distances import pattern_distances

SEED = 1
# Pairs of scenes drawn at a time, and volumes of a movie.
BATCH = 512
VOLUMES_AT_ONCE = 16
# Folders of inputs that are files.
FOLDERS: list[tempfile.TemporaryDirectory] = []
# Rank of the patterns behind an RDM; the share of what all layers have in common in the patterns of
# a layer, and of a layer's patterns in a brain's.
N_FEATURES, COMMON, SIGNAL = 20, 0.5, 0.3
# Pictures that are learned from for each that is predicted.
NEW_SHARE = 20
# Penalties of a ridge regression, and folds of the pictures that choose one for all pixels.
PENALTIES, N_FOLDS = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6), 5


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
    n_brain_centres, brain_grid : int, tuple of three ints
        Of the whole-brain searchlight: centres, and voxels along x, y and z.
    n_categories, n_layers, n_codes : int
        Its conditions, and its models: RDMs of layers, and binary ones of codes.
    n_scenes, n_vertices : int
        Of the responses of all cortex: a subject of Algonauts 2023.
    n_sampled_pairs : int
        Random pairs of scenes that a network is shown.
    n_movie_volumes, n_movie_voxels, movie_grid : int, int, tuple of three ints
        Of subjects who watch a movie: volumes, even in number, and voxels of their mask.
    n_pictures, n_picture_voxels, n_pixels : int
        Pictures, of all of whose pixels a ridge regression learns from the voxels.
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
    n_brain_centres: int = 60_000
    brain_grid: tuple[int, int, int] = (64, 76, 64)
    n_categories: int = 16
    n_layers: int = 15
    n_codes: int = 5
    n_scenes: int = 9841
    n_vertices: int = 39_548
    n_sampled_pairs: int = 10_000_000
    n_movie_volumes: int = 1600
    n_movie_voxels: int = 60_000
    movie_grid: tuple[int, int, int] = (80, 80, 35)
    n_pictures: int = 1200
    n_picture_voxels: int = 5000
    n_pixels: int = 65_536

    @property
    def n_scene_pairs(self) -> int:
        """Pairs of scenes."""
        return self.n_scenes * (self.n_scenes - 1) // 2


QUICK = Sizes(
    **{"n_images": 300, "n_voxels": 100, "n_resamples": 20, "n_permutations": 20},
    **{"n_centres": 500, "n_conditions": 20, "n_brain_centres": 500, "brain_grid": (14, 16, 14)},
    **{"n_scenes": 700, "n_vertices": 1000, "n_sampled_pairs": 100_000},
    **{"n_movie_volumes": 160, "n_pictures": 200, "n_picture_voxels": 500, "n_pixels": 8192},
)
# Spheres reach this far from their centre, in voxels: 123 voxels. No voxel is between this and 3.16
# away, so that sides that do not count the surface in are given a little more.
RADIUS, RADIUS_OPEN = 3.0, 3.1
TINY = Sizes(
    **{"n_images": 14, "n_voxels": 30, "n_resamples": 6, "n_permutations": 6},
    **{"n_centres": 60, "n_conditions": 8, "n_brain_centres": 60, "brain_grid": (9, 11, 9)},
    **{"n_categories": 8, "n_layers": 3, "n_codes": 2, "n_scenes": 12, "n_vertices": 40},
    n_sampled_pairs=60,
    **{"n_movie_volumes": 40, "n_movie_voxels": 60, "movie_grid": (9, 11, 9)},
    **{"n_pictures": 60, "n_picture_voxels": 90, "n_pixels": 8},
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
    """Return a ball of `n_centres` voxels, patterns and model RDMs; see `_searchlight_arrays`."""
    rng = np.random.default_rng(SEED)
    side = 2 * int(np.ceil((sizes.n_centres * 3 / (4 * np.pi)) ** (1 / 3))) + 3
    features = rng.standard_normal((sizes.n_models, sizes.n_conditions, N_FEATURES))
    return _searchlight_arrays((side,) * 3, sizes.n_centres, _rdms(features), rng)


def brain_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return an ellipsoid of `n_brain_centres` voxels, patterns, and RDMs of layers and codes."""
    rng = np.random.default_rng(SEED)
    features = rng.standard_normal((sizes.n_layers, sizes.n_categories, N_FEATURES))
    layers = _rdms(features)
    # Each code tells half of the pairs apart.
    codes = rng.permuted(np.arange(layers.shape[1])[np.newaxis].repeat(sizes.n_codes, 0), axis=1)
    models = np.concatenate([layers, (codes % 2).astype(np.float32)])
    return _searchlight_arrays(sizes.brain_grid, sizes.n_brain_centres, models, rng)


def _searchlight_arrays(
    grid: tuple[int, int, int], n_centres: int, models: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the arrays of a searchlight.

    Returns
    -------
    mask : bool (x, y, z), the `n_centres` voxels nearest to the middle, relative to the grid's size
    patterns : float32 (n_conditions, x, y, z)
    models : float32 (n_models, n_pairs)
    """
    n_conditions = round((1 + np.sqrt(1 + 8 * models.shape[1])) / 2)
    return {
        "mask": _ball(grid, n_centres),
        "patterns": rng.standard_normal((n_conditions, *grid), np.float32),
        "models": models,
    }


def _ball(grid: tuple[int, int, int], n_voxels: int) -> np.ndarray:
    """Return the voxels nearest to the middle, relative to the grid's size, bool (x, y, z)."""
    axes = (np.arange(size) - size // 2 for size in grid)
    away = np.stack(np.meshgrid(*axes, indexing="ij")) * max(grid) / np.reshape(grid, (3, 1, 1, 1))
    nearest = np.argsort((away**2).sum(axis=0), axis=None, kind="stable")[:n_voxels]
    mask = np.zeros(np.prod(grid), bool)
    mask[nearest] = True
    return mask.reshape(grid)


def scene_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return responses (n_scenes, n_vertices) with a level that an image has in all vertices."""
    rng = np.random.default_rng(SEED)
    responses = rng.standard_normal((sizes.n_scenes, sizes.n_vertices), np.float32)
    responses += rng.standard_normal((sizes.n_scenes, 1), np.float32)
    return {"responses": responses}


def pair_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return the condensed RDM of all scenes, float32 (n_pairs,)."""
    rng = np.random.default_rng(SEED)
    return {"rdm": rng.random(sizes.n_scene_pairs, np.float32)}


def movie_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return the files of two subjects' volumes, and a shuffled order of all volumes.

    The files lie in a folder that goes with the process.
    """
    # What reads and writes HDF5 is not in mne-rsa's environment, which imports this module.
    from scripts.emotions.data.timeseries import write_timeseries

    rng = np.random.default_rng(SEED)
    folder = tempfile.TemporaryDirectory(prefix="movie_")
    FOLDERS.append(folder)
    mask = _ball(sizes.movie_grid, sizes.n_movie_voxels)
    files = []
    for subject in ("01", "02"):
        shape = sizes.n_movie_volumes // 2, sizes.n_movie_voxels
        files.append(f"{folder.name}/{subject}.h5")
        description = {"subject": subject, "tr": 2.0, "mask": mask, "affine": np.eye(4)}
        runs = {"1": rng.standard_normal(shape, np.float32)}
        write_timeseries(files[-1], runs, aligned=True, **description)
    order = rng.permutation(sizes.n_movie_volumes)
    return {"files": np.array(files), "order": order, "mask": mask}


def picture_inputs(sizes: Sizes) -> dict[str, np.ndarray]:
    """Return voxels and pixels of pictures with `N_FEATURES` causes in common, and new voxels."""
    rng = np.random.default_rng(SEED)
    n_new = sizes.n_pictures // NEW_SHARE
    causes = rng.standard_normal((sizes.n_pictures + n_new, N_FEATURES), np.float32)
    found = []
    for n_columns, noise in ((sizes.n_picture_voxels, 3), (sizes.n_pixels, 1)):
        values = causes @ rng.standard_normal((N_FEATURES, n_columns), np.float32)
        values /= np.sqrt(N_FEATURES, dtype=np.float32)
        values += noise * rng.standard_normal(values.shape, np.float32)
        found.append(values)
    voxels, pixels = found
    learned, new = np.split(voxels, [sizes.n_pictures])
    return {"voxels": learned, "pixels": pixels[: sizes.n_pictures], "new": new}


def batches(n_pairs: int) -> Iterator[int]:
    """Yield the sizes of batches of so many pairs."""
    for start in range(0, n_pairs, BATCH):
        yield min(BATCH, n_pairs - start)


def n_scenes_of(n_pairs: int) -> int:
    """Return how many scenes, at most, have no more pairs than these."""
    return (1 + math.isqrt(1 + 8 * n_pairs)) // 2


INPUTS: dict[str, Callable[[Sizes], dict[str, np.ndarray]]] = {
    "patterns": pattern_inputs,
    "runs": run_inputs,
    "table": table_inputs,
    "resampling": resampling_inputs,
    "searchlight": searchlight_inputs,
    "brain": brain_inputs,
    "scenes": scene_inputs,
    "pairs": pair_inputs,
    "movie": movie_inputs,
    "pictures": picture_inputs,
}


def as_type(arrays: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Return the arrays with all floating-point ones in the type that a side works in."""
    return {
        name: array.astype(dtype, copy=False) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }
