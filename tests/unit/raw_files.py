"""Raw RDM files as labs publish them, and the config blocks that describe them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist, squareform

from scripts.rdms.align_images import align_images
from workflow.lib.config.complete import complete_config

MATLAB_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5"


def random_rdms(n_rdms: int, n: int, seed: int = 0) -> np.ndarray:
    """Return condensed Euclidean RDMs (n_rdms, n(n-1)/2) of random patterns."""
    rng = np.random.default_rng(seed)
    return np.stack([pdist(rng.standard_normal((n, 5))) for _ in range(n_rdms)])


def squares(vectors: np.ndarray) -> np.ndarray:
    """Return RDMs (..., n_pairs) as (..., n, n)."""
    flat = [squareform(vector) for vector in vectors.reshape(-1, vectors.shape[-1])]
    return np.stack(flat).reshape(*vectors.shape[:-1], *flat[0].shape)


def reordered(vectors: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return RDMs (n_rdms, n_pairs) with their conditions in another order."""
    return np.stack([squareform(squareform(vector)[np.ix_(order, order)]) for vector in vectors])


def write_rsatoolbox(
    path: Path,
    vectors: np.ndarray,
    patterns: Mapping[str, Sequence],
    rdms: Mapping[str, Sequence] | None = None,
) -> Path:
    """Write RDMs through rsatoolbox itself: names become fixed-length bytes, tuples attributes."""
    RDMs(
        np.atleast_2d(vectors),
        dissimilarity_measure="correlation",
        rdm_descriptors=dict(rdms or {}),
        pattern_descriptors=dict(patterns),
    ).save(str(path), file_type="hdf5")
    return path


def write_npy(path: Path, array: np.ndarray) -> Path:
    np.save(path.with_suffix(".npy"), array)
    return path.with_suffix(".npy")


def write_npz(path: Path, array: np.ndarray) -> Path:
    np.savez(path.with_suffix(".npz"), rdms=array)
    return path.with_suffix(".npz")


def write_hdf5(path: Path, array: np.ndarray) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["rdms"] = array
    return path.with_suffix(".h5")


def write_matlab5(path: Path, array: np.ndarray) -> Path:
    scipy.io.savemat(path.with_suffix(".mat"), {"rdms": array}, do_compression=True)
    return path.with_suffix(".mat")


def write_matlab73(path: Path, array: object) -> Path:
    return write_matlab73_variables(path.with_suffix(".mat"), {"rdms": array})


ARRAY_WRITERS = {
    "npy": write_npy,
    "npz": write_npz,
    "hdf5": write_hdf5,
    "matlab5": write_matlab5,
    "matlab73": write_matlab73,
}


def write_matlab73_variables(path: Path, variables: Mapping[str, object]) -> Path:
    """Write variables as MATLAB's `save -v7.3` lays them out.

    Axes are reversed; chars are uint16; cell arrays and the fields of struct arrays hold object
    references into #refs#; every variable says its class; a text header fills the user block.

    Parameters
    ----------
    variables : name -> array of numbers, str, cell array (object array) or struct (dict of field
        to value for a single struct, to object array for a struct array)
    """
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _write_matlab(file, name, value)
    with open(path, "r+b") as file:
        file.write(MATLAB_HEADER.ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def _write_matlab(group: h5py.Group, name: str, value: object) -> None:
    if isinstance(value, Mapping):
        struct = group.create_group(name)
        struct.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, content in value.items():
            if isinstance(content, np.ndarray) and content.dtype == object:
                struct[field] = _references(group.file, content)
            else:
                _write_matlab(struct, field, content)
    elif isinstance(value, str):
        _write_chars(group, name, [value])
    elif value.dtype.kind == "U":  # a char matrix: rows of one width
        _write_chars(group, name, list(value))
    elif value.dtype == object:
        group[name] = _references(group.file, value)
        group[name].attrs["MATLAB_class"] = np.bytes_("cell")
    else:
        # MATLAB knows no vectors: what has one axis is a row.
        group[name] = np.atleast_2d(value).T
        matlab_class = {"float64": "double", "float32": "single", "bool": "logical"}
        kind = matlab_class.get(value.dtype.name, value.dtype.name)
        group[name].attrs["MATLAB_class"] = np.bytes_(kind)


def _write_chars(group: h5py.Group, name: str, rows: Sequence[str]) -> None:
    if rows == [""]:
        group[name] = np.zeros(2, dtype=np.uint64)  # the size of what is empty
        group[name].attrs["MATLAB_empty"] = np.uint8(1)
    else:
        codes = [np.frombuffer(row.encode("utf-16-le"), dtype=np.uint16) for row in rows]
        group[name] = np.stack(codes).T
        group[name].attrs["MATLAB_int_decode"] = np.int32(2)
    group[name].attrs["MATLAB_class"] = np.bytes_("char")


def _references(file: h5py.File, cells: np.ndarray) -> np.ndarray:
    refs = file.require_group("#refs#")
    references = np.empty(np.atleast_2d(cells).shape, dtype=h5py.ref_dtype)
    for place, cell in np.ndenumerate(np.atleast_2d(cells)):
        name = f"r{len(refs)}"
        _write_matlab(refs, name, cell)
        references[place] = refs[name].ref
    return references.T


def cells(values: Sequence, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return values as an object array, scipy's and this module's form of a cell array."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array.reshape(shape or (1, len(values)))


def completed_config(**study: object) -> dict:
    """Return a whole config with one study, `lab`, of which a test gives what it is about."""
    entry = {
        "title": "Lab",
        "source": "path",
        "path": "raw",
        "brain": shortest_brain(),
        "models": {"net": {"files": "net.npy", "layers": {"names": ["fc"], "from": "constant"}}},
        **study,
    }
    return complete_config({"run": "test", "studies": ["lab"], "rsa": {"lab": entry}})


def shortest_brain() -> dict:
    """Return the shortest brain block: one subject, one ROI, one file."""
    return {
        "files": "brain.npy",
        "subjects": {"names": ["s1"], "from": "constant"},
        "rois": {"names": ["V1"], "from": "constant"},
    }


def brain_source(**block: object) -> dict:
    """Return a brain block as scripts get it, with the defaults of the schema filled in."""
    brain = {**shortest_brain(), **block}
    return completed_config(brain=brain)["rsa"]["lab"]["brain"]


def aligned_images(study: Mapping, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the common and the unmatched images of a study of `completed_config`."""
    return align_images(
        study["brain"], study["models"], study.get("stimuli"), study["images"], folder
    )
