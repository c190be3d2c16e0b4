"""The workflow's own RDM files: rsatoolbox HDF5, written and read one RDM at a time.

`rsatoolbox.rdm.load_rdm` opens them. Within a study all of them hold the same images in the same
order, so that row k of one file can be compared with row l of another.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.rdms.vectors import check_dissimilarities, n_conditions, working_dtype
from workflow.lib.sources import MEAN_SESSION

# The version whose layout is written; rsatoolbox itself is not imported to write a file.
RSATOOLBOX_LAYOUT = "0.3.2"


def write_rdms(
    path: str | Path,
    rdms: Iterable[tuple[Mapping[str, str], np.ndarray]],
    *,
    names: Sequence[str],
    measure: str,
    groups: Sequence[str] | None = None,
    descriptors: Mapping[str, str] | None = None,
    may_have_gaps: bool = False,
) -> None:
    """Write RDMs as rsatoolbox HDF5, float32, without holding more than one.

    Parameters
    ----------
    path : str or Path
    rdms : iterable of (labels, vector)
        All with the same label names; vectors (n(n-1)/2,).
    names : sequence of n str
        Names of the images, in the order of the RDMs.
    measure : str
        Dissimilarity measure, for example "correlation".
    groups : sequence of n str, optional
        Group of each image (its source or category).
    descriptors : mapping, optional
        What holds for the whole file (study, subject).
    may_have_gaps : bool
        Whether dissimilarities may be NaN: in a file from which images are yet to be selected.

    Raises
    ------
    InputError
        An RDM that no comparison can use: constant over these images, NaN or infinite.
    """
    n = len(names)
    labels: dict[str, list[str]] = {}
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        stack = file.create_dataset(
            "dissimilarities",
            (0, n * (n - 1) // 2),
            maxshape=(None, n * (n - 1) // 2),
            chunks=(1, max(1, n * (n - 1) // 2)),
            dtype=np.float32,
        )
        for row, (row_labels, vector) in enumerate(rdms):
            what = f"{Path(path).name}, {' '.join(row_labels.values())}"
            stack.resize(row + 1, axis=0)
            # An RDM that varies over all images of its file can be constant over the common ones.
            stored = vector.astype(np.float32)
            stack[row] = stored if may_have_gaps else check_dissimilarities(stored, what, names)
            for name, label in row_labels.items():
                labels.setdefault(name, []).append(label)
        file.attrs["rsatoolbox_version"] = RSATOOLBOX_LAYOUT
        file.attrs["dissimilarity_measure"] = measure
        file.create_group("descriptors").attrs.update(descriptors or {})
        write_strings(file.create_group("rdm_descriptors"), labels)
        patterns = {"name": list(names)} | ({"group": list(groups)} if groups is not None else {})
        write_strings(file.create_group("pattern_descriptors"), patterns)
        for kind, length in (("rdm_descriptors", len(stack)), ("pattern_descriptors", n)):
            file[kind]["index"] = np.arange(length)


def write_strings(group: h5py.Group, columns: Mapping[str, Sequence[str]]) -> None:
    """Write descriptors into a group such that rsatoolbox reads them back as the same str."""
    for name, values in columns.items():
        if all(value.isascii() for value in values):
            group[name] = np.array([value.encode() for value in values])
        else:
            # rsatoolbox decodes fixed-length strings as ASCII, and fails on any other.
            group.create_dataset(name, data=list(values), dtype=h5py.string_dtype())


class RDMStore:
    """The RDMs of a file written by `write_rdms`.

    Attributes
    ----------
    labels : dict, name -> list of str
        RDM descriptors, one label per RDM.
    names, groups : list of str
        Images in the order of the RDMs, and their groups ("all" where there are none).
    descriptors : dict
        What holds for the whole file: study, and subject or model.
    measure : str
        Dissimilarity measure.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with h5py.File(self.path, "r") as file:
            self.labels = _read_strings(file["rdm_descriptors"])
            patterns = _read_strings(file["pattern_descriptors"])
            self.descriptors = {key: str(value) for key, value in file["descriptors"].attrs.items()}
            self.measure = str(file.attrs["dissimilarity_measure"])
            self.n_rdms, self.n_pairs = file["dissimilarities"].shape
        self.names = patterns["name"]
        self.groups = patterns.get("group", ["all"] * len(self.names))
        self.n_images = n_conditions(self.n_pairs)

    def vectors(self, rows: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Return RDMs, (n_rdms, n_pairs), in the working type for their size."""
        with h5py.File(self.path, "r") as file:
            return file["dissimilarities"].astype(working_dtype(self.n_images))[rows]

    def vector(self, row: int) -> np.ndarray:
        """Return one RDM, (n_pairs,), in the working type for its size."""
        return self.vectors([row])[0]

    def first_rows(self, name: str) -> dict[str, int]:
        """Return label -> first row that has it, such as the first seed of every layer."""
        return {label: self.labels[name].index(label) for label in dict.fromkeys(self.labels[name])}

    def rows(self) -> list[dict[str, str]]:
        """Return the labels of each RDM."""
        return [
            {name: values[row] for name, values in self.labels.items()}
            for row in range(self.n_rdms)
        ]

    def mean_session_rows(self) -> dict[str, int]:
        """Return ROI -> row of its mean RDM over sessions, of a file of brain RDMs."""
        return {
            labels["roi"]: row
            for row, labels in enumerate(self.rows())
            if labels["session"] == MEAN_SESSION
        }


def check_same_images(stores: Sequence[RDMStore]) -> None:
    """Raise InputError unless all files hold the same images in the same order."""
    for store in stores[1:]:
        if store.names != stores[0].names:
            raise InputError(
                f"{store.path.name}: found other images, or another order, than in "
                f"{stores[0].path.name}; both come from the same alignment: run again"
            )


def check_same_rows(stores: Sequence[RDMStore]) -> None:
    """Raise InputError unless all files hold the same ROIs and sessions in the same order."""
    for store in stores[1:]:
        if store.rows() != stores[0].rows():
            raise InputError(
                f"{store.path.name}: found other ROIs or sessions, or another order, than in "
                f"{stores[0].path.name}, expected the same; run again"
            )


def _read_strings(group: h5py.Group) -> dict[str, list[str]]:
    return {
        name: [value.decode() for value in dataset[()]]
        for name, dataset in group.items()
        if name != "index"
    }
