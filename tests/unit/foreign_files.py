"""A small valid file of every kind that people give, and what the workflow reads of it."""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import nibabel
import numpy as np
import safetensors.torch
import scipy.io
import torch
from PIL import Image
from rsatoolbox.data import Dataset

from scripts.digits.data.image_sources import find_images
from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.pickled_mapping import read_mapping
from scripts.dissimilarity.embedders.feature_files import open_features
from scripts.emotions.data.prepare_parcels import read_parcels
from scripts.emotions.data.prepare_volumes import read_motion
from scripts.emotions.labelling.annotations import COLUMNS, read_annotations
from tests.unit.raw_files import (
    cells,
    random_rdms,
    squares,
    write_matlab73_variables,
    write_rsatoolbox,
)
from workflow.lib.acquire.datasets import RawFile, load_datasets
from workflow.lib.acquire.unpack import unpack_member
from workflow.lib.arrays.text import listed_names
from workflow.lib.features.image_files import decoded
from workflow.lib.features.state_dicts import read_state
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.image_groups import read_group_table
from workflow.lib.nifti.files import read_header, read_mask, volume_blocks
from workflow.lib.nifti.maps import read_maps
from workflow.lib.patterns.bdata import BData
from workflow.lib.patterns.files import open_pattern_file
from workflow.lib.patterns.observations import read_columns
from workflow.lib.rdms.files import open_rdm_file

N = 4
NAMES = [f"image{i}.jpg" for i in range(N)]
VECTORS = random_rdms(2, N)
SQUARES = squares(VECTORS)
PATTERNS = np.random.default_rng(0).standard_normal((N, 5))
PIXELS = np.random.default_rng(1).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    name : str
        Of the file, whose suffix decides how it is read.
    write : callable
        Writes a valid one.
    read : callable
        Reads all that the workflow reads of one.
    """

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def read_rdms(path, key=None):
    with open_rdm_file(path, key=key) as file:
        found = [file.vector((0,) * len(file.shape)), file.n_conditions, dict(file.descriptors)]
        return [*found, file.stored_names(None)]


def read_rdm(path):
    """Read an RDM without names."""
    with open_rdm_file(path) as file:
        return [file.vector((0,) * len(file.shape)), file.n_conditions]


def read_patterns(path, key=None):
    with open_pattern_file(path, path.name, key=key) as file:
        found = [np.asarray(file.array), file.channels, file.stored_runs(None)]
        return [*found, file.stored_names(None)]


def read_array(path):
    """Read patterns without names."""
    with open_pattern_file(path, path.name) as file:
        return np.array(file.array)


def read_bdata(path):
    with BData(path) as data:
        columns = data.responses("ROI_V1 = 1")
        return [data.values(columns), data.names(), data.ids(), data.metadata("voxel_x")]


def read_stimuli(path, key=None):
    stimuli = open_stimuli(path.parent, {"files": path.name, "key": key})
    return [np.asarray(stimuli.image(i)) for i in range(len(stimuli))] + [stimuli.names]


def read_volumes(path):
    volume = read_header(path)
    return [block for _, block in volume_blocks(volume)]


def read_features(path):
    with open_features(path, None, NAMES) as features:
        return list(features.rows())


def read_idx(path):
    """Read images whose labels lie in a valid file beside them."""
    (path.parent / "labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + b"\0\0\0\x03" + b"\0\1\2")
    files = [path.name, "labels-idx1-ubyte"]
    found = find_images("idx", path.parent, files, {"a": 0, "b": 1, "c": 2})
    candidates = [one for part in found.values() for many in part.values() for one in many]
    return [np.asarray(one.read()) for one in candidates]


def read_unpacked(path):
    return unpack_member(path, RawFile("a.npz", origin=path.name), path.parent / "unpacked")


def write_patterns_hdf5(path):
    Dataset(
        PATTERNS,
        obs_descriptors={"image": NAMES, "run": [1, 1, 2, 2]},
        channel_descriptors={"voxel": list(range(5))},
    ).save(str(path), file_type="hdf5")


def write_struct73(path):
    fields = {"RDM": cells(list(SQUARES)), "name": cells(["a", "b"])}
    write_matlab73_variables(path, {"rdms": fields, "names": cells(NAMES)})


def write_struct5(path):
    struct = np.empty((1, 2), dtype=[("RDM", object), ("name", object)])
    struct["RDM"], struct["name"] = cells(list(SQUARES)), cells(["a", "b"])
    scipy.io.savemat(path, {"rdms": struct, "names": cells(NAMES)}, do_compression=True)


def write_plain_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("rdms", data=SQUARES, chunks=(1, N, N), compression="gzip")


def write_bdata_file(path):
    hold = {
        "VoxelData": [1, 1, 1, np.nan, np.nan, np.nan],
        "ROI_V1": [1, 0, 1, np.nan, np.nan, np.nan],
        "voxel_x": [1.0, 2.0, 3.0, np.nan, np.nan, np.nan],
        "Label": [np.nan] * 4 + [1, 1],
        "stimulus_name": [np.nan] * 3 + [1, np.nan, np.nan],
    }
    with h5py.File(path, "w") as file:
        file["dataset"] = np.column_stack([PATTERNS[:, :3], [1, 2, 1, np.nan], PATTERNS[:, :2]])
        file["metadata/key"] = np.array([key.encode() for key in hold])
        file["metadata/value"] = np.array(list(hold.values()))
        for number in (1, 2):
            file[f"vmap/stimulus_name/{number}.0"] = f"picture {number}".encode()


def write_image(path):
    Image.fromarray(PIXELS[0]).save(path)


def write_zip_of_images(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, pixels in enumerate(PIXELS):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            archive.writestr(f"images/{i}.png", buffer.getvalue())


def write_zip_of_arrays(path):
    buffer = io.BytesIO()
    np.savez(buffer, a=PATTERNS)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/a.npz", buffer.getvalue())


def write_nifti(path):
    values = np.arange(3 * 4 * 2 * 5, dtype=np.int16).reshape(3, 4, 2, 5)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)


def write_mask(path):
    nibabel.save(nibabel.Nifti1Image(np.eye(4, dtype=np.uint8)[:, :, None], np.eye(4)), path)


def write_weights(path):
    state = {"conv.weight": torch.ones(2, 1, 3, 3), "conv.bias": torch.zeros(2)}
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save({"state_dict": state}, path)


def write_idx(path):
    pixels = PIXELS[..., 0]
    header = b"\0\0\x08\x03" + np.array(pixels.shape, ">u4").tobytes()
    content = header + pixels.tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def text(*lines):
    return lambda path: path.write_text("\n".join(lines) + "\n")


def write_square(path):
    np.savetxt(path, SQUARES[0], delimiter=",")


ANNOTATIONS = text(
    ",".join(COLUMNS),
    "192.0,260.0,FORREST,LOW,POS,SELF,FEAR,VERBAL,EMOFADED",
    "12,30.5,MAN,HIGH,NEG,OTHER,LOVE SADNESS,FACE,",
)
PATTERN_TABLE = text(
    "image,run,v1,v2", *(f"{name},{i % 2},{i}.5,-1e{i}" for i, name in enumerate(NAMES))
)
MOTION = text(
    "\t".join([*(f"trans_{axis}" for axis in "xyz"), *(f"rot_{axis}" for axis in "xyz"), "other"]),
    *("\t".join(["0.1"] * 6 + ["n/a"]) for _ in range(3)),
)
REGISTRY = """toy:
  title: Toy
  licence: CC0-1.0
  citation: Nobody 2024
  homepage: https://example.org
  access: open
  files:
    - {path: a.zip, url: 'https://example.org/a.zip', bytes: 12}
    - {path: 'a{i}.npy', expand: {i: ['0', '1']}, from: a.zip}
"""

KINDS = {
    "RDMs, rsatoolbox": Kind(
        "a.h5", lambda path: write_rsatoolbox(path, VECTORS, {"image": NAMES}), read_rdms
    ),
    "RDMs, MATLAB 7.3": Kind("a.mat", write_struct73, partial(read_rdms, key="rdms")),
    "RDMs, MATLAB 5": Kind("a.mat", write_struct5, partial(read_rdms, key="rdms")),
    "RDMs, npz": Kind(
        "a.npz",
        lambda path: np.savez(path, rdms=SQUARES, names=NAMES),
        partial(read_rdms, key="rdms"),
    ),
    "RDM, npy": Kind("a.npy", lambda path: np.save(path, SQUARES[0]), read_rdm),
    "RDM, HDF5": Kind("a.h5", write_plain_hdf5, read_rdm),
    "RDM, CSV": Kind("a.csv", write_square, read_rdm),
    "patterns, rsatoolbox": Kind("a.h5", write_patterns_hdf5, read_patterns),
    "patterns, npz": Kind(
        "a.npz",
        lambda path: np.savez(path, betas=PATTERNS, names=NAMES),
        partial(read_patterns, key="betas"),
    ),
    "patterns, MATLAB 5": Kind(
        "a.mat",
        lambda path: scipy.io.savemat(path, {"betas": PATTERNS, "names": cells(NAMES)}),
        partial(read_patterns, key="betas"),
    ),
    "patterns, npy": Kind("a.npy", lambda path: np.save(path, PATTERNS), read_array),
    "patterns, CSV": Kind("a.csv", PATTERN_TABLE, read_patterns),
    "observations": Kind("a.tsv", PATTERN_TABLE, lambda path: read_columns(path, "a", header=True)),
    "names": Kind("a.csv", PATTERN_TABLE, lambda path: listed_names(path, "image")),
    "groups": Kind(
        "a.csv",
        text("name,group", *(f"{name},face" for name in NAMES)),
        lambda path: read_group_table({"file": str(path), "column": "group"}),
    ),
    "annotations": Kind(
        "a.csv", ANNOTATIONS, lambda path: read_annotations(path, observer="1", duration=300.0)
    ),
    "parcels": Kind(
        "a.csv",
        text("L_V1,R_V1", "1.5,2", "2.5,3", "-1,7"),
        lambda path: read_parcels(path, ["L_V1", "R_V1"], 3),
    ),
    "motion": Kind("a.tsv", MOTION, lambda path: read_motion(path, 3)),
    "BData": Kind("a.h5", write_bdata_file, read_bdata),
    "NIfTI": Kind("a.nii", write_nifti, read_volumes),
    "NIfTI, compressed": Kind("a.nii.gz", write_nifti, read_volumes),
    "mask": Kind("a.nii.gz", write_mask, read_mask),
    "maps": Kind("a.nii.gz", write_nifti, read_maps),
    **{
        f"image, {suffix}": Kind(f"a.{suffix}", write_image, lambda path: decoded(path, path.name))
        for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp")
    },
    "images, zip": Kind("a.zip", write_zip_of_images, read_stimuli),
    "images, npz": Kind(
        "a.npz",
        lambda path: np.savez(path, images=PIXELS, names=NAMES[:3]),
        partial(read_stimuli, key="images"),
    ),
    "images, MATLAB 5": Kind(
        "a.mat",
        lambda path: scipy.io.savemat(
            path, {"images": cells(list(PIXELS)), "names": cells(NAMES[:3])}
        ),
        partial(read_stimuli, key="images"),
    ),
    "images, MATLAB 7.3": Kind(
        "a.mat",
        lambda path: write_matlab73_variables(
            path, {"images": cells(list(PIXELS)), "names": cells(NAMES[:3])}
        ),
        partial(read_stimuli, key="images"),
    ),
    "images, idx": Kind("a-idx3-ubyte", write_idx, read_idx),
    "images, idx, compressed": Kind("a-idx3-ubyte.gz", write_idx, read_idx),
    "weights, pth": Kind("a.pth", write_weights, read_state),
    "weights, safetensors": Kind("a.safetensors", write_weights, read_state),
    "features": Kind(
        "a.npz", lambda path: np.savez(path, features=PATTERNS, names=NAMES), read_features
    ),
    "mapping": Kind(
        "a.npy",
        lambda path: np.save(path, {0: "Unknown", 1: "V1v"}, allow_pickle=True),
        read_mapping,
    ),
    "archive": Kind("a.zip", write_zip_of_arrays, read_unpacked),
    "registry": Kind("a.yaml", lambda path: path.write_text(REGISTRY), load_datasets),
}


# A folder of Algonauts 2023, in which one file after another is damaged.

ALGONAUTS_FILES = {
    "responses": "training_split/training_fmri/lh_training_fmri.npy",
    "labels": "roi_masks/rh.prf-visualrois_challenge_space.npy",
    "mapping": "roi_masks/mapping_prf-visualrois.npy",
}


def write_algonauts(folder):
    subject = folder / "subj01"
    for name in ("training_split/training_fmri", "training_split/training_images", "roi_masks"):
        (subject / name).mkdir(parents=True)
    for row in range(N):
        image = Image.fromarray(PIXELS[0])
        image.save(
            subject / f"training_split/training_images/train-{row + 1:04d}_nsd-0000{row}.png"
        )
    for side in ("lh", "rh"):
        responses = PATTERNS.astype(np.float32)
        np.save(subject / f"training_split/training_fmri/{side}_training_fmri.npy", responses)
        np.save(subject / f"roi_masks/{side}.prf-visualrois_challenge_space.npy", np.arange(5) % 3)
    mapping = {0: "Unknown", 1: "V1v", 2: "V1d"}
    np.save(subject / "roi_masks/mapping_prf-visualrois.npy", mapping, allow_pickle=True)


def read_algonauts(folder):
    subject = Algonauts2023(folder, "subj01")
    rows = np.arange(len(subject.image_names))
    return [subject.rois, subject.responses(["V1v", "V1d"], rows), subject.responses("all", rows)]
