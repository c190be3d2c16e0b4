"""The RDM of a sphere around every voxel.

Spheres are gathered, turned into RDMs, ranked and scaled in blocks of fixed size, each sphere by
itself, so that no result depends on the size of a block or on the number of threads.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from workflow.lib.errors import InputError
from workflow.lib.rdms.distances import CROSSNOBIS
from workflow.lib.searchlight.kernels import SMALLEST_SPREAD, fill_block
from workflow.lib.searchlight.spheres import Spheres
from workflow.lib.threads import in_slices

log = logging.getLogger("workflow")

# RDMs of a block are of about this size; a block has no more spheres than that, which bounds the
# products of short RDMs with many permuted models.
BLOCK_BYTES = 1 << 24
BLOCK_SPHERES = 1024
# What one thread takes of a block at a time.
SPHERES_AT_ONCE = 64


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
class Scaling:
    """How an RDM is scaled so that its dot product with a prepared model is their similarity.

    The definitions of `workflow.lib.rsa.comparators`, which prepares the models.
    """

    ranks: bool = False
    centred: bool = True
    untied: bool = False


_SCALINGS = {
    "pearson": Scaling(),
    "cosine": Scaling(centred=False),
    "spearman": Scaling(ranks=True),
    "rho-a": Scaling(ranks=True, untied=True),
}
COMPARATORS = tuple(_SCALINGS)
# Comparators that are correlations: they can be partial, and Fisher's z applies to them.
CORRELATIONS = ("pearson", "spearman")


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
    radius, unit : see `workflow.lib.searchlight.spheres.sphere_offsets`
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
        scaling = scaling_of(comparator)
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

    def _block(self, centres: np.ndarray, scaling: Scaling | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the (prepared) RDMs of computed centres, and which of them are valid."""
        channel_at, places, steps = self.spheres.layout
        rdms = np.empty((centres.size, self.n_pairs))
        valid = np.empty(centres.size, dtype=np.bool_)
        metric, scaled = self._metric, scaling or Scaling()
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
    sum_r x_r . (T - x_r) = T . T - sum_r x_r . x_r: see
    `workflow.lib.rdms.distances.crossnobis_distances`.
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


def scaling_of(comparator: str) -> Scaling:
    if comparator not in _SCALINGS:
        raise InputError(
            f"found the comparator {comparator!r} for a searchlight, expected one of "
            f"{', '.join(COMPARATORS)}; choose another"
        )
    return _SCALINGS[comparator]
