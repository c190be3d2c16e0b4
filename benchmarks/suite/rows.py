"""The rows of the benchmark: the work, who does it, how much of it, and how equal results must be.

To add one: write a function of the row's name in the modules under benchmarks/sides, and enter it
here; an array it needs that is not there yet is made in inputs.py.
"""

import math
from dataclasses import dataclass, field

from benchmarks.suite.inputs import Sizes

# The measured side of which all others are multiples.
OURS = "ours"
REFERENCE = "rsatoolbox"


@dataclass(frozen=True)
class Side:
    """One way to do the work of a row.

    Attributes
    ----------
    label : str
        Name in the report.
    module : str
        Of benchmarks/sides.
    function : str
        In that module; the row's name if not given.
    dtype : str
        Type of the arrays it is given: "working" is that in which our workflow holds RDMs of this
        size, float32 for more than 1,500 images. All types hold the same numbers.
    units : tuple of int
        Measured numbers of units, ascending; none measures all of them. From two numbers the rest
        is extrapolated along the line through both, from one in proportion.
    """

    label: str
    module: str
    function: str = ""
    dtype: str = "float64"
    units: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """Work that several sides do.

    Attributes
    ----------
    name : str
        Function in the sides' modules.
    title : str
        In the report.
    inputs : str
        A key of `benchmarks.suite.inputs.INPUTS`.
    sides : tuple of Side
        Ours first: it is what the others are divided by and compared with.
    unit : str
        What the work consists of, where part of it may be measured: a field of `Sizes` without
        its "n_".
    targets : mapping, side -> the ratio to reach
    tolerance : float
        Largest difference allowed between results; infinite where the work is an approximation,
        which tests hold to what it approximates.
    limits : (seconds, MB), optional
        What ours may take at most.
    note : str
        What the difference is, where it is not the largest absolute one.
    reference : (row, side), optional
        Work of another row that serves the same end, whose seconds are shown beside.
    """

    name: str
    title: str
    inputs: str
    sides: tuple[Side, ...]
    unit: str = ""
    targets: dict[str, float] = field(default_factory=dict)
    tolerance: float = 1e-6
    limits: tuple[float, float] | None = None
    note: str = ""
    reference: tuple[str, str] | None = None

    def n_units(self, sizes: Sizes) -> int:
        """Return how many units the whole work has."""
        return getattr(sizes, f"n_{self.unit}") if self.unit else 1

    def measured_units(self, side: Side, sizes: Sizes) -> tuple[int, ...]:
        """Return the numbers of units that a side is measured with."""
        total = self.n_units(sizes)
        part = tuple(units for units in side.units if units < total)
        return part if part and part == side.units else (*part, total)


APPROXIMATE = (
    "largest log ratio of standard errors over the same resamples, first-order against exact; few "
    "resamples say little"
)


def ours(*units: int, function: str = "", label: str = OURS, dtype: str = "working") -> Side:
    """Return our side, of `units` measured units."""
    return Side(label, "ours", function, dtype, units)


def in_float64(*units: int, function: str = "") -> Side:
    """Return our side with RDMs held in float64."""
    return ours(*units, function=function, label="ours, float64", dtype="float64")


def peer(name: str, *units: int, function: str = "", dtype: str = "float64") -> Side:
    """Return another library's side, of `units` measured units."""
    return Side(name, f"with_{name.replace('-', '_')}", function, dtype, units)


def pairs_of(*n_scenes: int) -> tuple[int, ...]:
    """Return how many pairs so many scenes have."""
    return tuple(n * (n - 1) // 2 for n in n_scenes)


ROWS = (
    Row(
        "correlation_rdm",
        "correlation RDM, 500 voxels",
        "patterns",
        (
            ours(),
            in_float64(),
            peer(REFERENCE),
            peer("mne-rsa"),
            peer("scipy"),
            peer("numpy"),
            peer("nilearn"),
        ),
        targets={REFERENCE: 10},
    ),
    Row(
        "squared_distances",
        "squared Euclidean RDM, 500 voxels",
        "patterns",
        (ours(), in_float64(), peer(REFERENCE), peer("mne-rsa"), peer("scipy"), peer("numpy")),
        # Distances are near 1,000.
        tolerance=2e-3,
    ),
    Row(
        "cortex_rdms",
        "correlation and Euclidean RDM of 9,841 images x 39,548 vertices, standardised",
        "scenes",
        (
            ours(dtype="float32"),
            # Each takes the images that it is measured with in float64; all of them are 3 GB.
            peer(REFERENCE, *pairs_of(300, 600), dtype="float32"),
            peer("scipy", *pairs_of(300, 600), dtype="float32"),
            peer("numpy", *pairs_of(1000, 2000), dtype="float32"),
        ),
        unit="scene_pairs",
        # Euclidean distances are near 281.
        tolerance=2e-4,
        # With the responses as they are given, which are 1,557 MB, 4 GB.
        limits=(120.0, 2440.0),
    ),
    Row(
        "pair_sampling",
        "10 million random pairs of 9,841 images and their dissimilarities, 512 at a time",
        "pairs",
        (ours(dtype="float32"), peer("numpy", dtype="float32")),
        unit="sampled_pairs",
        tolerance=math.inf,
        # A million pairs a second, with next to no memory beside the RDM.
        limits=(10.0, 100.0),
        note="between the means of the dissimilarities that were drawn, at random from 0 to 1",
    ),
    Row(
        "movie_batches",
        "1,600 volumes of 80 x 80 x 35 voxels, 60,000 of them in the mask, from HDF5 in shuffled "
        "batches of 16",
        "movie",
        (ours(dtype="float32"), peer("nilearn", dtype="float32")),
        unit="movie_volumes",
        # A hundred volumes a second; all volumes of the mask are 384 MB.
        limits=(16.0, 200.0),
    ),
    Row(
        "picture_ridge",
        "ridge of 65,536 pixels on 5,000 voxels, 1,200 pictures, one of 6 penalties by 5 folds",
        "pictures",
        (
            ours(dtype="float32"),
            # The coefficients of all pixels alone are 2.6 GB in the float64 of leaving out one.
            peer("scikit-learn", 2048, 4096, dtype="float32"),
            Side(
                "scikit-learn, leaving out one",
                "with_scikit_learn",
                "picture_ridge_leaving_out_one",
                "float32",
                (2048, 4096),
            ),
        ),
        unit="pixels",
        # Predictions have a standard deviation of 0.7; another penalty would be off by 1.
        tolerance=1e-4,
        # With the voxels and pixels as they are given, which are 340 MB, 4 GB.
        limits=(600.0, 3660.0),
    ),
    Row(
        "crossnobis",
        "crossnobis RDM, 500 voxels, 4 runs",
        "runs",
        (ours(), peer(REFERENCE)),
    ),
    Row(
        "pearson_table",
        "Pearson, 5 layers x 10 ROIs",
        "table",
        (ours(), in_float64(), peer(REFERENCE), peer("mne-rsa"), peer("numpy")),
        targets={REFERENCE: 15},
    ),
    Row(
        "spearman_table",
        "Spearman, 5 layers x 10 ROIs",
        "table",
        (ours(), in_float64(), peer(REFERENCE), peer("mne-rsa"), peer("scipy")),
    ),
    Row(
        "rho_a_table",
        "rho-a, 5 layers x 10 ROIs",
        "table",
        (ours(), peer(REFERENCE)),
    ),
    Row(
        "cosine_cov_table",
        "whitened cosine, 5 layers x 10 ROIs",
        "table",
        (ours(), peer(REFERENCE)),
    ),
    Row(
        "tau_a_table",
        "Kendall's tau-a, 5 layers x 10 ROIs",
        "table",
        (ours(), peer(REFERENCE, 1), peer("mne-rsa", 1)),
        unit="brains",
    ),
    Row(
        "noise_ceiling",
        "noise ceiling of 10 RDMs, Pearson",
        "table",
        (ours(), in_float64(), peer(REFERENCE)),
        targets={REFERENCE: 80},
    ),
    Row(
        "bootstrap_pearson",
        "bootstrap over images, 1,000 resamples, 5 models x 4 subjects, and ceilings, Pearson",
        "resampling",
        (ours(), in_float64(), peer(REFERENCE, 3)),
        unit="resamples",
        targets={REFERENCE: 500},
        tolerance=1e-5,
    ),
    Row(
        "bootstrap_spearman",
        "the same bootstrap, Spearman, ranked anew in every resample",
        "resampling",
        (ours(2, 12), peer(REFERENCE, 2)),
        unit="resamples",
        targets={REFERENCE: 50},
    ),
    Row(
        "jackknife_pearson",
        "jackknife in place of that bootstrap, Pearson",
        "resampling",
        (ours(), Side("our bootstrap", "ours", "bootstrap_spread_pearson", "working")),
        unit="resamples",
        reference=("bootstrap_pearson", REFERENCE),
        tolerance=math.inf,
        note=APPROXIMATE,
    ),
    Row(
        "jackknife_spearman",
        "jackknife in place of that bootstrap, Spearman",
        "resampling",
        (ours(), Side("our bootstrap", "ours", "bootstrap_spread_spearman", "working", (2, 20))),
        unit="resamples",
        reference=("bootstrap_spearman", REFERENCE),
        targets={REFERENCE: 5000},
        tolerance=math.inf,
        note=APPROXIMATE,
    ),
    Row(
        "mantel",
        "Mantel test, 1,000 permutations, 5 layers x 10 ROIs, Pearson",
        "table",
        (ours(5, 40), peer("numpy", 4)),
        unit="permutations",
        tolerance=0,
    ),
    Row(
        "searchlight",
        "searchlight, 20,005 centres, 123 voxels, 60 conditions, 5 models, Spearman",
        "searchlight",
        (
            ours(dtype="float64"),
            peer(REFERENCE, 1200, 3000),
            peer("mne-rsa"),
            peer("nilearn", 50, 250),
        ),
        unit="centres",
        targets={REFERENCE: 20, "mne-rsa": 3},
    ),
    Row(
        "label_permutation",
        "the same searchlight and 1,000 label permutations, largest statistic",
        "searchlight",
        (ours(dtype="float64"),),
        unit="permutations",
    ),
    Row(
        "label_permutation_tfce",
        "the same searchlight, 1,000 label permutations and TFCE",
        "searchlight",
        (ours(dtype="float64"),),
        unit="permutations",
    ),
    Row(
        "whole_brain_searchlight",
        "whole-brain searchlight, 60,000 centres of 64 x 76 x 64 voxels, 16 conditions, 15 layers "
        "and 5 codes, Spearman",
        "brain",
        (
            ours(function="searchlight", dtype="float64"),
            peer(REFERENCE, 1200, 3000, function="searchlight"),
            peer("mne-rsa", function="searchlight"),
            peer("nilearn", 50, 250, function="searchlight"),
        ),
        unit="brain_centres",
        limits=(30.0, 2000.0),
    ),
)
