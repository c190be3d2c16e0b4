"""Which part of a map is there by more than chance: one subject's labels permuted, signs flipped.

Both tests draw null maps and keep of each only whether it reaches the observed map, voxel by voxel,
and its maximum: over voxels, and over voxels after threshold-free cluster enhancement (TFCE). The
maxima give p-values that hold for a whole map. All tests are one-sided: a model is to agree with
the brain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from workflow.lib.errors import InputError
from workflow.lib.inference.orders import image_orders
from workflow.lib.inference.permutation import TIE_TOLERANCE
from workflow.lib.inference.sign_flip import MIN_SUBJECTS, all_signs, random_signs, t_statistics
from workflow.lib.rdms.vectors import condensed_index
from workflow.lib.searchlight.similarity import similarities, without_controls
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.tfce import FACES, largest_enhanced, neighbour_table, tfce

# Permuted models, and null maps where TFCE needs whole ones, are held up to these sizes.
ROWS_BYTES = 1 << 26
MAPS_BYTES = 1 << 27
# A row of permuted models is multiplied with up to this many spheres at a time.
PRODUCT_COLUMNS = 1024
# What the number of subjects carries.
SINGLE_CASE, DESCRIPTIVE, INFERENTIAL = "single case", "descriptive", "inferential"
# A subject's correlation with itself has no z; this one has 9.
LARGEST_CORRELATION = 1 - 1e-8
TOLERANCE = TIE_TOLERANCE[np.dtype(np.float64)]


@dataclass(frozen=True)
class MapTest:
    """P-values of maps, NaN outside the tested voxels.

    Attributes
    ----------
    p : float64 array (n_maps, n_centres)
        Of every voxel by itself: not corrected.
    p_max : float64 array (n_maps, n_centres)
        Corrected by the largest statistic of each null map.
    p_tfce : float64 array (n_maps, n_centres)
        Corrected by the largest TFCE of each null map; NaN if that was not asked for.
    n_draws : int
        Permutations or sign flips, the observed maps among them: p = k / n_draws, which is
        (k + 1) / (N + 1) of N random ones.
    complete : bool
        Whether these are all there are, so that p is exact.
    """

    p: np.ndarray
    p_max: np.ndarray
    p_tfce: np.ndarray
    n_draws: int
    complete: bool


# Counting.


class _Tally:
    """What is kept of null maps: how many reach the observed one, and their maxima.

    Parameters
    ----------
    observed : float64 array (n_maps, n_voxels)
    n_draws : int
    neighbours : int array (n_voxels, connectivity) or None
        For TFCE; None for none.
    """

    def __init__(self, observed: np.ndarray, n_draws: int, neighbours: np.ndarray | None) -> None:
        self.threshold = _with_tolerance(observed)
        self.neighbours = neighbours
        self.reached = np.zeros(observed.shape, dtype=np.int64)
        self.largest = np.full((n_draws, len(observed)), -np.inf)
        self.largest_tfce = np.full((n_draws, len(observed)), np.nan)
        self.enhanced = None
        if neighbours is not None:
            self.enhanced = _with_tolerance(tfce(observed, neighbours))

    def add(self, draws: slice, voxels: np.ndarray | slice, null: np.ndarray) -> None:
        """Count null maps (n_draws, n_maps, n_voxels) at some voxels."""
        self.reached[:, voxels] += (null >= self.threshold[:, voxels]).sum(axis=0)
        self.largest[draws] = np.maximum(self.largest[draws], null.max(axis=2))

    def add_whole(self, draws: slice, null: np.ndarray) -> None:
        """Count the TFCE of null maps (n_draws * n_maps, n_voxels), if that is asked for."""
        if self.neighbours is not None:
            largest = largest_enhanced(null, self.neighbours)
            self.largest_tfce[draws] = largest.reshape(-1, len(self.threshold))

    def result(self, where: np.ndarray, *, complete: bool, across_maps: bool) -> MapTest:
        """Return p-values at the tested voxels, (n_centres,) bool."""
        n_draws = len(self.largest)
        p_tfce = np.full(self.threshold.shape, np.nan)
        if self.enhanced is not None:
            p_tfce = _reaching(self.largest_tfce, self.enhanced, across_maps)
        p = self.reached / n_draws
        p_max = _reaching(self.largest, self.threshold, across_maps)
        return MapTest(
            *(_spread(values, where) for values in (p, p_max, p_tfce)), n_draws, complete
        )


def _with_tolerance(values: np.ndarray) -> np.ndarray:
    """Return what a null statistic must reach to count: equal up to rounding is enough."""
    return values - TOLERANCE * np.maximum(1.0, np.abs(values))


def _reaching(largest: np.ndarray, threshold: np.ndarray, across_maps: bool) -> np.ndarray:
    """Return the share of draws whose maximum reaches each threshold, (n_maps, n_voxels)."""
    if across_maps:
        largest = np.broadcast_to(largest.max(axis=1, keepdims=True), largest.shape)
    n_draws = len(largest)
    below = [
        np.searchsorted(np.sort(column), values)
        for column, values in zip(largest.T, threshold, strict=True)
    ]
    return (n_draws - np.stack(below)) / n_draws


def _spread(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    spread = np.full((len(values), where.size), np.nan)
    spread[:, where] = values
    return spread


def _slices(n: int, step: int) -> list[slice]:
    step = max(1, step)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


# One subject.


def label_permutation_test(
    searchlight: Searchlight,
    models: np.ndarray,
    comparator: str,
    *,
    observed: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
    basis: np.ndarray | None = None,
    connectivity: int | None = FACES,
    across_models: bool = False,
    progress: str | None = None,
) -> MapTest:
    """Test the maps of one subject by permuting the conditions of the models.

    The null: the model's dissimilarities have nothing to do with which condition is which (within
    its group, where groups are given; with which cluster is which, where these are). All spheres
    and models see the same permutations, so that whatever spheres share is kept.

    Parameters
    ----------
    searchlight : Searchlight
    models : float64 array (n_models, n_pairs)
        From `workflow.lib.searchlight.similarity.prepared_models`, controls not taken off.
    comparator : str
    observed : float64 array (n_models, n_centres)
        From `workflow.lib.searchlight.similarity.similarity_maps`.
    n_permutations : int
        If there are no more than these in all, each is taken once.
    rng : numpy Generator
    groups, clusters : sequence of n_conditions labels, optional
        As in `workflow.lib.inference.orders.image_orders`.
    basis : float64 array (n_controls, n_pairs), optional
        From `workflow.lib.searchlight.similarity.control_basis`; the controls keep their labels.
        The test is then approximate.
    connectivity : 6, 18, 26 or None
        Of clusters in TFCE; None for no TFCE.
    across_models : bool
        Whether maxima are taken over models, too: p_max and p_tfce then hold for all maps together.
    progress : str, optional
        Title of a progress bar.

    Returns
    -------
    MapTest (n_models, n_centres)

    References
    ----------
    Mantel 1967, Cancer Res 27:209; Nichols & Holmes 2002, Hum Brain Mapp 15:1;
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39.
    """
    where = np.isfinite(observed).all(axis=0)
    column = np.cumsum(where) - 1
    orders, complete = image_orders(searchlight.n_conditions, n_permutations, rng, groups, clusters)
    orders = list(orders)
    tally = _Tally(observed[:, where], len(orders), _neighbours(searchlight, where, connectivity))
    n_voxels = int(where.sum())
    rows = ROWS_BYTES // (8 * max(searchlight.n_pairs, PRODUCT_COLUMNS))
    if connectivity is not None:
        rows = min(rows, MAPS_BYTES // (8 * n_voxels))
    for draws in _progress(_slices(len(orders), rows // len(models)), progress):
        permuted = permuted_models(models, orders[draws])
        if basis is not None:
            permuted = without_controls(permuted, basis)
        whole = np.empty((len(permuted) if connectivity is not None else 0, n_voxels))
        for centres, brains in searchlight.prepared_blocks(comparator):
            null = similarities(permuted, brains, basis)
            tally.add(draws, column[centres], null.reshape(-1, len(models), len(centres)))
            if len(whole):
                whole[:, column[centres]] = null
        tally.add_whole(draws, whole)
    return tally.result(where, complete=complete, across_maps=across_models)


def permuted_models(models: np.ndarray, orders: Sequence[np.ndarray]) -> np.ndarray:
    """Return models with their conditions in other orders.

    Parameters
    ----------
    models : float64 array (n_models, n_pairs)
        Prepared: neither ranks nor lengths change when conditions change places.
    orders : sequence of n_orders int arrays (n_conditions,)

    Returns
    -------
    float64 array (n_orders * n_models, n_pairs), all models of the first order first
    """
    n = len(orders[0])
    first, second = np.triu_indices(n, 1)
    permuted = np.empty((len(orders), *models.shape))
    for k, order in enumerate(orders):
        permuted[k] = models[:, condensed_index(order[first], order[second], n)]
    return permuted.reshape(-1, models.shape[1])


def _neighbours(
    searchlight: Searchlight, where: np.ndarray, connectivity: int | None
) -> np.ndarray | None:
    if connectivity is None:
        return None
    mask = searchlight.spheres.mask.copy()
    mask[mask] = where
    return neighbour_table(mask, connectivity)


def _progress(slices: Sequence[slice], title: str | None) -> Iterator[slice]:
    with tqdm(total=slices[-1].stop, unit="map", desc=title, disable=title is None or None) as bar:
        for draws in slices:
            yield draws
            bar.update(draws.stop - draws.start)


# Several subjects.


@dataclass(frozen=True)
class GroupTest:
    """Maps of a group.

    Attributes
    ----------
    status : "inferential", "descriptive" or "single case"
        What the number of subjects carries: only with `MIN_SUBJECTS` are there p-values.
    n_subjects : int
    mean : float64 array (n_maps, n_centres)
        Mean over subjects.
    t : float64 array (n_maps, n_centres)
        One-sample t; NaN for a single case.
    test : MapTest or None
    """

    status: str
    n_subjects: int
    mean: np.ndarray
    t: np.ndarray
    test: MapTest | None


def fisher_z(correlations: np.ndarray) -> np.ndarray:
    """Return Fisher's z, arctanh(r), of correlations; a correlation of one gets a finite one."""
    return np.arctanh(np.clip(correlations, -LARGEST_CORRELATION, LARGEST_CORRELATION))


def map_sign_flip_test(
    maps: np.ndarray,
    mask: np.ndarray,
    *,
    n_flips: int,
    rng: np.random.Generator,
    connectivity: int | None = FACES,
    across_maps: bool = False,
    progress: str | None = None,
) -> GroupTest:
    """Test whether the mean over subjects is above zero, by flipping the signs of subjects.

    The null: each subject's map is as likely as its negative.

    Parameters
    ----------
    maps : float array (n_subjects, n_maps, n_centres)
        For correlations, Fisher's z. A voxel that is NaN in any subject is not tested.
    mask : bool array (x, y, z)
        Its voxels are the centres.
    n_flips : int
        If there are no more than these in all, 2^n_subjects, each is taken once; 0 for no test.
    rng : numpy Generator
    connectivity, across_maps, progress : as in `label_permutation_test`

    Returns
    -------
    GroupTest

    Raises
    ------
    InputError
        No voxel that all subjects have.

    References
    ----------
    Nichols & Holmes 2002, Hum Brain Mapp 15:1; Winkler et al. 2014, NeuroImage 92:381.
    """
    n_subjects, n_maps, n_centres = maps.shape
    where = np.isfinite(maps).all(axis=(0, 1)) & (maps != 0).any(axis=0).all(axis=0)
    if not where.any():
        raise InputError(
            f"found none of {n_centres} voxels in the maps of all {n_subjects} subjects, expected "
            "some; bring the subjects onto one grid, or leave out who covers another part"
        )
    tested = np.ascontiguousarray(maps[:, :, where], dtype=np.float64)
    mean, t = _spread(tested.mean(axis=0), where), np.full((n_maps, n_centres), np.nan)
    if n_subjects == 1:
        return GroupTest(SINGLE_CASE, 1, mean, t, None)
    observed = t_statistics(np.ones((1, n_subjects)), tested.reshape(n_subjects, -1))
    observed = observed.reshape(n_maps, -1)
    t[:, where] = observed
    if n_subjects < MIN_SUBJECTS or not n_flips:
        return GroupTest(DESCRIPTIVE, n_subjects, mean, t, None)
    signs, complete = sign_flips(n_subjects, n_flips, rng)
    volume = mask.astype(bool)
    volume[volume] = where
    neighbours = None if connectivity is None else neighbour_table(volume, connectivity)
    tally = _Tally(observed, len(signs), neighbours)
    # A statistic takes about four arrays of the size of the null maps.
    for draws in _progress(_slices(len(signs), MAPS_BYTES // (32 * observed.size)), progress):
        null = t_statistics(signs[draws], tested.reshape(n_subjects, -1))
        tally.add(draws, slice(None), null.reshape(-1, *observed.shape))
        tally.add_whole(draws, null.reshape(-1, observed.shape[1]))
    result = tally.result(where, complete=complete, across_maps=across_maps)
    return GroupTest(INFERENTIAL, n_subjects, mean, t, result)


def sign_flips(n_subjects: int, n_flips: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Return signs (n, n_subjects), none flipped first, and whether these are all there are."""
    if 2**n_subjects <= n_flips:
        return all_signs(n_subjects), True
    return np.vstack([np.ones(n_subjects), random_signs(n_subjects, n_flips, rng)]), False
