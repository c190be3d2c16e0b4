"""Searchlights: the RDM of a sphere around every voxel, compared with models.

Nothing grows with the brain but the maps themselves: spheres are gathered, turned into RDMs, ranked
and scaled in blocks of fixed size, each sphere by itself, so that no result depends on the size of
a block or on the number of threads.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import CROSSNOBIS
from workflow.lib.rsa.comparators import prepare
from workflow.lib.searchlight.kernels import (
    SMALLEST_SPREAD,
    fill_block,
    fill_products,
    sphere_sizes,
)
from workflow.lib.threads import in_slices

log = logging.getLogger("workflow")

# RDMs of a block are of about this size; a block has no more spheres than that, which bounds the
# products of short RDMs with many permuted models.
BLOCK_BYTES = 1 << 24
BLOCK_SPHERES = 1024
# What one thread takes of a block at a time.
SPHERES_AT_ONCE = 64
RDMS_AT_ONCE = 512
# Affines are stored in single precision: a voxel this close to the surface lies on it.
RADIUS_TOLERANCE = 1e-6
# The threads of a matrix library keep a core busy for a while after each product, and spheres wait
# for: with no more models than this the product is done by the threads of the spheres.
FEW_MODELS = 64
# What is left of a unit vector after others are taken off it, when it is made up of them.
COLLINEAR = 1e-6


@dataclass(frozen=True)
class _Metric:
    """How the Gram matrix of a sphere becomes distances.

    Attributes
    ----------
    over_voxels, over_conditions : bool
        Whether the mean over them is taken off first.
    angular : bool
        1 - cosine of the angle; otherwise the squared distance.
    root : bool
        Whether the square root of the squared distance is taken.
    """

    over_voxels: bool = False
    over_conditions: bool = False
    angular: bool = False
    root: bool = False


# The definitions of `workflow.lib.rdms.distances`.
_METRICS = {
    "correlation": _Metric(over_voxels=True, angular=True),
    "cosine": _Metric(angular=True),
    "euclidean": _Metric(over_conditions=True, root=True),
    "sq_euclidean": _Metric(over_conditions=True),
    CROSSNOBIS: _Metric(over_conditions=True),
}
METRICS = tuple(_METRICS)


@dataclass(frozen=True)
class _Scaling:
    """How an RDM is scaled so that its dot product with a prepared model is their similarity.

    The definitions of `workflow.lib.rsa.comparators`, which prepares the models.
    """

    ranks: bool = False
    centred: bool = True
    untied: bool = False


_SCALINGS = {
    "pearson": _Scaling(),
    "cosine": _Scaling(centred=False),
    "spearman": _Scaling(ranks=True),
    "rho-a": _Scaling(ranks=True, untied=True),
}
COMPARATORS = tuple(_SCALINGS)
# Comparators that are correlations: they can be partial, and Fisher's z applies to them.
CORRELATIONS = ("pearson", "spearman")

UNITS = ("voxel", "mm")


def sphere_offsets(affine: np.ndarray, radius: float, unit: str = "voxel") -> np.ndarray:
    """Return the voxels of a sphere relative to its centre.

    Parameters
    ----------
    affine : float array (4, 4)
        From voxel indices to mm.
    radius : float
        Voxels whose centres lie at most this far away belong to the sphere.
    unit : "voxel" or "mm"
        "voxel" counts along the axes of the grid, whatever the size of the voxels.

    Returns
    -------
    int64 array (n_offsets, 3), the centre itself included

    Raises
    ------
    InputError
        A negative radius, or an affine that flattens the grid.
    """
    if unit not in UNITS:
        raise InputError(f"found the unit {unit!r} of the radius, expected one of {UNITS}")
    if not (np.isfinite(radius) and radius >= 0):
        raise InputError(f"found a radius of {radius}, expected 0 or more; correct it")
    axes = np.asarray(affine, dtype=np.float64)[:3, :3] if unit == "mm" else np.eye(3)
    if abs(np.linalg.det(axes)) < np.finfo(np.float64).eps:
        raise InputError(
            f"found the affine {axes.tolist()}, expected one that gives voxels a volume; write the "
            "mask again"
        )
    # Along axis k no voxel of the ball lies further than radius times the length of row k of the
    # inverse: its indices are inverse @ (a vector no longer than the radius).
    reach = np.floor(
        radius * (1 + RADIUS_TOLERANCE) * np.linalg.norm(np.linalg.inv(axes), axis=1)
    ).astype(int)
    steps = np.stack(
        np.meshgrid(*(np.arange(-most, most + 1) for most in reach), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    distances = np.linalg.norm(steps @ axes.T, axis=1)
    return steps[distances <= radius * (1 + RADIUS_TOLERANCE)]


class Spheres:
    """A sphere around every voxel of a mask, and which channels lie in each.

    Parameters
    ----------
    mask : bool array (x, y, z)
        Its voxels are the centres, and no sphere reaches beyond it.
    affine : float array (4, 4)
    radius, unit : see `sphere_offsets`
    voxels : int array (n_channels, 3)
        Voxel indices of the channels. A channel outside the mask is in no sphere.
    usable : bool array (n_channels,), optional
        Channels that spheres may hold; all if not given.

    Attributes
    ----------
    centres : int64 array (n_centres, 3), in the order of np.nonzero(mask)
    channel : int64 array (n_centres,)
        Channel at each centre, -1 where there is no usable one.
    sizes : int64 array (n_centres,)
        Usable channels in each sphere.

    Raises
    ------
    InputError
        An empty mask, a channel off the grid, two channels in one voxel.
    """

    def __init__(
        self,
        mask: np.ndarray,
        affine: np.ndarray,
        *,
        radius: float,
        unit: str,
        voxels: np.ndarray,
        usable: np.ndarray | None = None,
    ) -> None:
        self.mask, self.affine = mask.astype(bool), np.asarray(affine, dtype=np.float64)
        self.centres = np.argwhere(self.mask)
        if not len(self.centres):
            raise InputError("found a mask without voxels, expected some; give another mask")
        voxels = np.asarray(voxels, dtype=np.int64)
        _check_voxels(voxels, self.mask.shape)
        offsets = sphere_offsets(affine, radius, unit)
        # A rim of empty voxels: spheres at the border of the grid need no special care.
        rim = np.abs(offsets).max(axis=0)
        padded = tuple(np.add(self.mask.shape, 2 * rim))
        channels = np.arange(len(voxels))
        channels = channels[self.mask[tuple(voxels.T)]]
        if usable is not None:
            channels = channels[usable[channels]]
        self._channel_at = np.full(math.prod(padded), -1, dtype=np.int32)
        self._channel_at[np.ravel_multi_index((voxels[channels] + rim).T, padded)] = channels
        self._places = np.ravel_multi_index((self.centres + rim).T, padded)
        self._steps = offsets @ np.array([padded[1] * padded[2], padded[2], 1])
        self.channel = self._channel_at[self._places].astype(np.int64)
        self.sizes = sphere_sizes(self._channel_at, self._places, self._steps)

    def members(self, centre: int) -> np.ndarray:
        """Return the channels in the sphere around a centre, sorted, (sizes[centre],)."""
        found = self._channel_at[self._places[centre] + self._steps]
        return np.sort(found[found >= 0])

    @property
    def layout(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channel by place, place of each centre, and steps from a centre to its sphere."""
        return self._channel_at, self._places, self._steps


def _check_voxels(voxels: np.ndarray, grid: tuple[int, ...]) -> None:
    outside = ((voxels < 0) | (voxels >= grid)).any(axis=1)
    if outside.any():
        raise InputError(
            f"found {int(outside.sum())} of {len(voxels)} channels outside the mask's grid {grid} "
            f"(the first at {voxels[outside][0].tolist()}), expected the grid of the patterns; "
            "give the mask on it"
        )
    repeated = len(voxels) - len(np.unique(voxels, axis=0))
    if repeated:
        raise InputError(
            f"found {repeated} voxels that hold several channels, expected one each; give the "
            "patterns of one ROI"
        )


class Searchlight:
    """The RDMs of all spheres of a brain, computed a block at a time.

    Parameters
    ----------
    patterns : float array (n_conditions, n_channels), or (n_runs, n_conditions, n_channels)
        Mean pattern of each condition; of each condition in each run, as many observations
        behind each, for crossnobis.
    voxels : int array (n_channels, 3)
        Voxel indices of the channels.
    mask : bool array (x, y, z)
        Voxels that may hold a centre.
    affine : float array (4, 4)
    radius, unit : see `sphere_offsets`
    metric : one of `METRICS`
        As in `workflow.lib.rdms.distances`.
    min_voxels : int
        Smallest number of usable voxels in a sphere.

    Attributes
    ----------
    spheres : Spheres
    n_conditions, n_pairs, n_centres : int
    computed : int64 array (n_computed,)
        Centres that hold a usable voxel and have enough of them around.
    excluded : dict, reason -> number of centres
        Centres of the mask that are not computed.

    Raises
    ------
    InputError
        Shapes that do not fit, too few conditions, or no centre that can be computed.

    Notes
    -----
    A voxel that is NaN or infinite in any condition, or constant over conditions, belongs to no
    sphere, and none is computed around it.
    """

    def __init__(
        self,
        patterns: np.ndarray,
        voxels: np.ndarray,
        *,
        mask: np.ndarray,
        affine: np.ndarray,
        radius: float,
        unit: str = "voxel",
        metric: str = "correlation",
        min_voxels: int = 2,
    ) -> None:
        patterns = _checked_patterns(patterns, metric, len(voxels), min_voxels)
        finite = np.isfinite(patterns).all(axis=(0, 1))
        varying = _varying(patterns)
        self.spheres = Spheres(
            mask, affine, radius=radius, unit=unit, voxels=voxels, usable=finite & varying
        )
        self.n_conditions = patterns.shape[1]
        self.n_pairs = self.n_conditions * (self.n_conditions - 1) // 2
        self.n_centres = len(self.spheres.centres)
        at_centre = self.spheres.channel >= 0
        enough = self.spheres.sizes >= min_voxels
        self.computed = np.flatnonzero(at_centre & enough)
        self.excluded = {
            "without a usable voxel": int((~at_centre).sum()),
            f"with fewer than {min_voxels} voxels": int((at_centre & ~enough).sum()),
        }
        if not self.computed.size:
            raise InputError(
                f"found no centre with {min_voxels} usable voxels within {radius:g} {unit} among "
                f"{self.n_centres} of the mask, expected some; enlarge the radius or the mask"
            )
        self._metric = _METRICS[metric]
        self._values, self._weights, self._per_voxel = _layers(patterns, metric)
        log.info(
            "searchlight: %d of %d centres; %d channels, of these %d not finite, %d constant; %s",
            *(self.computed.size, self.n_centres, len(voxels)),
            *(int((~finite).sum()), int((finite & ~varying).sum())),
            ", ".join(f"{number} {reason}" for reason, number in self.excluded.items()),
        )

    def rdms(self, centres: Sequence[int]) -> np.ndarray:
        """Return the RDMs of some centres.

        Parameters
        ----------
        centres : int array (n,)
            Numbers of centres of the mask, `spheres.centres`.

        Returns
        -------
        float64 array (n, n_pairs), NaN where a centre is not computed or a pattern is constant
        """
        centres = np.asarray(centres, dtype=np.int64)
        rdms = np.full((centres.size, self.n_pairs), np.nan)
        wanted = np.isin(centres, self.computed)
        found, valid = self._block(centres[wanted], None)
        found[~valid] = np.nan
        rdms[wanted] = found
        return rdms

    def prepared_blocks(
        self, comparator: str, *, progress: str | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the RDMs of all computed centres, prepared for a comparator, in blocks.

        Parameters
        ----------
        comparator : one of `COMPARATORS`
        progress : str, optional
            Title of a progress bar.

        Yields
        ------
        centres : int64 array (n,)
            Without those whose RDM cannot be compared (a constant pattern, a constant RDM).
        prepared : float64 array (n, n_pairs)
            Equal to `workflow.lib.rsa.comparators.prepare` of their RDMs.
        """
        scaling = _scaling(comparator)
        with tqdm(
            total=self.computed.size, unit="sphere", desc=progress, disable=progress is None or None
        ) as bar:
            for start in range(0, self.computed.size, self.block_spheres):
                centres = self.computed[start : start + self.block_spheres]
                prepared, valid = self._block(centres, scaling)
                yield (centres, prepared) if valid.all() else (centres[valid], prepared[valid])
                bar.update(centres.size)

    @property
    def block_spheres(self) -> int:
        """Spheres in a block."""
        return int(np.clip(BLOCK_BYTES // (8 * self.n_pairs), 1, BLOCK_SPHERES))

    def _block(
        self, centres: np.ndarray, scaling: _Scaling | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the (prepared) RDMs of computed centres, and which of them are valid."""
        channel_at, places, steps = self.spheres.layout
        rdms = np.empty((centres.size, self.n_pairs))
        valid = np.empty(centres.size, dtype=np.bool_)
        metric, scaled = self._metric, scaling or _Scaling()
        places = places[centres]

        def fill(part: slice) -> None:
            fill_block(
                self._values,
                self._weights,
                channel_at,
                places[part],
                steps,
                metric.over_voxels,
                metric.angular,
                metric.root,
                self._per_voxel,
                scaling is not None,
                scaled.ranks,
                scaled.centred,
                scaled.untied,
                rdms[part],
                valid[part],
            )

        in_slices(fill, centres.size, SPHERES_AT_ONCE)
        return rdms, valid


def _checked_patterns(
    patterns: np.ndarray, metric: str, n_channels: int, min_voxels: int
) -> np.ndarray:
    """Return patterns as (n_runs, n_conditions, n_channels), after checks."""
    if metric not in _METRICS:
        raise InputError(f"found the metric {metric!r}, expected one of {', '.join(METRICS)}")
    expected = 3 if metric == CROSSNOBIS else 2
    if patterns.ndim != expected or patterns.shape[-1] != n_channels:
        runs = "runs x " if expected == 3 else ""
        raise InputError(
            f"found patterns of shape {patterns.shape}, expected {runs}conditions x {n_channels} "
            f"channels for the {metric} distance; give the channels of the voxels"
        )
    if patterns.shape[-2] < 3 or (expected == 3 and patterns.shape[0] < 2):
        raise InputError(
            f"found patterns of shape {patterns.shape}, expected at least 3 conditions, and 2 runs "
            "to crossvalidate over; give more"
        )
    smallest = 2 if _METRICS[metric].over_voxels else 1
    if min_voxels < smallest:
        raise InputError(
            f"found min_voxels {min_voxels}, expected at least {smallest} for the {metric} "
            "distance; enlarge it"
        )
    return patterns.reshape(-1, *patterns.shape[-2:])


def _varying(patterns: np.ndarray) -> np.ndarray:
    """Return which channels vary over conditions (and runs); NaN does not."""
    highest, lowest = patterns.max(axis=(0, 1)), patterns.min(axis=(0, 1))
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.abs(highest), np.abs(lowest))
        return highest - lowest > SMALLEST_SPREAD * size


def _layers(patterns: np.ndarray, metric: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what is gathered: values (n_channels, n_layers, n_conditions), weights, divisor.

    The distances of a sphere follow from one Gram matrix, the weighted sum of those of the layers.
    For crossnobis these are the sum over runs, T, and the runs x_r, since over R balanced runs
    sum_r x_r . (T - x_r) = T . T - sum_r x_r . x_r: see `crossnobis_distances`.
    """
    n_runs = len(patterns)
    if _METRICS[metric].over_conditions:
        patterns = patterns - patterns.mean(axis=(0, 1), keepdims=True, dtype=np.float64)
    weights, per_voxel = np.ones(1), 0.0
    if metric == CROSSNOBIS:
        patterns = np.concatenate([patterns.sum(axis=0, keepdims=True), patterns])
        weights, per_voxel = np.r_[1.0, -np.ones(n_runs)], float(n_runs * (n_runs - 1))
    values = np.ascontiguousarray(np.moveaxis(patterns, 2, 0), dtype=np.float64)
    return values, weights, per_voxel


def _scaling(comparator: str) -> _Scaling:
    if comparator not in _SCALINGS:
        raise InputError(
            f"found the comparator {comparator!r} for a searchlight, expected one of "
            f"{', '.join(COMPARATORS)}; choose another"
        )
    return _SCALINGS[comparator]


# Models.


def prepared_models(models: np.ndarray, comparator: str) -> np.ndarray:
    """Return model RDMs whose dot products with prepared spheres are similarities.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    comparator : one of `COMPARATORS`

    Returns
    -------
    float64 array (n_models, n_pairs)
    """
    _scaling(comparator)
    return prepare(np.atleast_2d(models).astype(np.float64), comparator)


def control_basis(controls: np.ndarray, comparator: str, names: Sequence[str]) -> np.ndarray:
    """Return orthonormal vectors that span the control models of a partial correlation.

    Parameters
    ----------
    controls : float array (n_controls, n_pairs)
    comparator : "pearson" or "spearman"
    names : sequence of n_controls str

    Returns
    -------
    float64 array (n_controls, n_pairs)

    Raises
    ------
    InputError
        A comparator that is no correlation; a control that the ones before it make up.
    """
    if comparator not in CORRELATIONS:
        raise InputError(
            f"found control models with the comparator {comparator!r}, expected one of "
            f"{', '.join(CORRELATIONS)}: only a correlation can be partial; choose another"
        )
    prepared = prepared_models(controls, comparator)
    basis, triangle = np.linalg.qr(prepared.T)
    collinear = np.flatnonzero(np.abs(np.diagonal(triangle)) < COLLINEAR)
    if collinear.size:
        raise InputError(
            f"found the control model {names[collinear[0]]!r} made up of the others, expected "
            "controls that are not collinear; leave it out"
        )
    return basis.T


def without_controls(models: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return what is left of prepared models without the controls, of unit length.

    Parameters
    ----------
    models : float64 array (n_models, n_pairs)
    basis : float64 array (n_controls, n_pairs)

    Returns
    -------
    float64 array (n_models, n_pairs); zero for a model that the controls make up
    """
    left = models - (models @ basis.T) @ basis
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    return np.where(lengths < COLLINEAR, 0.0, left / np.maximum(lengths, COLLINEAR))


def similarities(
    models: np.ndarray, brains: np.ndarray, basis: np.ndarray | None = None
) -> np.ndarray:
    """Return the similarity of prepared models with prepared RDMs of spheres.

    Parameters
    ----------
    models : float64 array (n_models, n_pairs)
        From `prepared_models`; with controls, from `without_controls`.
    brains : float64 array (n, n_pairs)
    basis : float64 array (n_controls, n_pairs), optional
        The controls of a partial correlation.

    Returns
    -------
    float64 array (n_models, n)

    Notes
    -----
    With m the model without the controls Q and b the prepared RDM, both of unit length, the partial
    correlation is m . b / sqrt(1 - |Q b|^2): RDMs of spheres need not be changed.
    """
    products = _products(models, brains)
    if basis is None:
        return products
    left = 1 - np.square(_products(basis, brains)).sum(axis=0)
    # Nothing is left of an RDM that the controls make up, and nothing agrees with it.
    return np.where(left > COLLINEAR**2, products / np.sqrt(np.maximum(left, COLLINEAR**2)), 0.0)


def _products(models: np.ndarray, brains: np.ndarray) -> np.ndarray:
    if len(models) > FEW_MODELS:
        return models @ brains.T
    products = np.empty((len(models), len(brains)))

    def fill(part: slice) -> None:
        fill_products(models, brains[part], products[:, part])

    in_slices(fill, len(brains), RDMS_AT_ONCE)
    return products


def similarity_maps(
    searchlight: Searchlight,
    models: np.ndarray,
    comparator: str,
    *,
    basis: np.ndarray | None = None,
    progress: str | None = None,
) -> np.ndarray:
    """Return the similarity of every model with the RDM of every sphere.

    Parameters
    ----------
    searchlight : Searchlight
    models : float64 array (n_models, n_pairs)
        From `prepared_models`; with controls, from `without_controls`.
    comparator : one of `COMPARATORS`
    basis : float64 array (n_controls, n_pairs), optional
        From `control_basis`.
    progress : str, optional
        Title of a progress bar.

    Returns
    -------
    float64 array (n_models, n_centres), NaN where a centre has no RDM

    References
    ----------
    Kriegeskorte, Goebel & Bandettini 2006, Information-based functional brain mapping, PNAS
    103:3863; Nili et al. 2014, PLoS Comput Biol 10:e1003553.
    """
    if models.shape[1] != searchlight.n_pairs:
        raise InputError(
            f"found model RDMs of {models.shape[1]} pairs, expected {searchlight.n_pairs} for "
            f"{searchlight.n_conditions} conditions; give the models over the same conditions"
        )
    maps = np.full((len(models), searchlight.n_centres), np.nan)
    for centres, brains in searchlight.prepared_blocks(comparator, progress=progress):
        maps[:, centres] = similarities(models, brains, basis)
    lost = searchlight.computed.size - int(np.isfinite(maps[0]).sum())
    if lost:
        log.info("searchlight: %d centres with a constant pattern or RDM are NaN", lost)
    return maps
