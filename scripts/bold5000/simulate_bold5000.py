"""Simulate the raw files of the BOLD5000 study, in their published layout, with a known truth.

Five layers of a simulated network form a chain of features, each a mixture of the one before and
something new. The voxels of each ROI respond to the features of one planted layer, plus noise of
the subject's own. Files, keys, types and traps are those of doi:10.5061/dryad.wpzgmsbtr: every
file holds the images in another order, spells ImageNet names its own way, and the network's file
lacks a few.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")
PLANTED_LAYER = {
    "EarlyVis": "layer1",
    "LOC": "layer3",
    "OPA": "layer2",
    "PPA": "layer3",
    "RSC": "layer4",
}
ROIS = [f"{hemisphere}{area}" for hemisphere in ("LH", "RH") for area in PLANTED_LAYER]
SUBJECTS = ("CSI1", "CSI2", "CSI3", "CSI4")
NULL = "none"

# Shares of the 4,916 images of BOLD5000.
IMAGE_SOURCES = {"Scene": 1000, "COCO": 2000, "ImageNet": 1916}
# CSI4 came for fewer sessions and saw 2,952 of the images.
CSI4_SHARE = 2952 / 4916
# The published analysis kept 15 images fewer than the Scene and COCO images.
MISSING_SHARE = 15 / 4916

# ASSUME: sizes and mixtures fixed once so that correlations are of the order of the published
# ones and layers are told apart; they are not tuned on any result of the workflow.
N_FEATURES = 40
N_VOXELS = 150
CARRIED_OVER = 0.6
SIGNAL = 0.08


def layer_features(n_images: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return features (n_images, N_FEATURES) per layer, neighbours sharing part of them."""
    features = {}
    before = rng.standard_normal((n_images, N_FEATURES))
    for layer in LAYERS:
        new = rng.standard_normal((n_images, N_FEATURES))
        before = np.sqrt(CARRIED_OVER) * before + np.sqrt(1 - CARRIED_OVER) * new
        features[layer] = before
    return features


def voxel_responses(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return responses (n_images, N_VOXELS): features through random weights, plus noise."""
    weights = rng.standard_normal((features.shape[1], N_VOXELS)) / np.sqrt(features.shape[1])
    noise = rng.standard_normal((features.shape[0], N_VOXELS))
    return np.sqrt(SIGNAL) * features @ weights + np.sqrt(1 - SIGNAL) * noise


def correlation_distances(patterns: np.ndarray) -> np.ndarray:
    """Return 1 - Pearson r between the rows of (n, k), condensed (n(n-1)/2,)."""
    return 1 - np.corrcoef(patterns)[np.triu_indices(len(patterns), 1)]


def image_names(n_images: int, rng: np.random.Generator) -> list[str]:
    """Return names in the styles of BOLD5000, sources in their published shares."""
    shares = np.array(list(IMAGE_SOURCES.values())) / sum(IMAGE_SOURCES.values())
    n_scene, n_coco = (round(share * n_images) for share in shares[:2].tolist())
    n_imagenet = n_images - n_scene - n_coco
    coco = rng.choice(581_921, n_coco, replace=False)
    synsets = rng.choice(10_000, n_imagenet, replace=False)
    return (
        [f"simulatedscene{i + 1}.jpg" for i in range(n_scene)]
        + [f"COCO_train2014_{number:012d}.jpg" for number in coco]
        + [f"n{1_440_764 + synset:08d}_{synset % 9_000}.JPEG" for synset in synsets]
    )


def write_raw_file(
    path: Path, vectors: Sequence[np.ndarray], labels: Mapping[str, list[str]], names: list[str]
) -> None:
    """Write RDMs as the published files are: by rsatoolbox, float64, names as bytes."""
    rdms = RDMs(
        np.stack(vectors),
        dissimilarity_measure="correlation",
        rdm_descriptors=dict(labels),
        pattern_descriptors={"image": names, "index": np.arange(len(names))},
    )
    with written_whole(path) as temporary:
        rdms.save(str(temporary), file_type="hdf5")


def simulate(
    folder: Path, *, n_images: int, null_effect: bool, seed: int, name: str
) -> pd.DataFrame:
    """Write the raw files into `folder` and return the planted layer of every ROI.

    Parameters
    ----------
    folder : where the files go
    n_images : number of images of the whole set
    null_effect : whether the ROIs follow features of their own instead of a layer's
    seed : seed of the run
    name : of the simulation; others with the same seed are independent of it

    Returns
    -------
    DataFrame with columns roi and planted_layer ("none" for a null simulation)
    """
    rng = generator(seed, "simulate_bold5000", name)
    names = image_names(n_images, rng)
    network = layer_features(n_images, rng)
    brain = layer_features(n_images, rng) if null_effect else network

    n_missing = max(1, round(MISSING_SHARE * n_images))
    # The missing ones are Scene or COCO images, which both spellings share.
    missing = rng.choice(n_images - _n_imagenet(names), n_missing, replace=False)
    kept = rng.permutation(np.setdiff1d(np.arange(n_images), missing))
    write_raw_file(
        folder / "ResNet50_CORR_RDMs.h5",
        [correlation_distances(network[layer][kept]) for layer in LAYERS],
        {"layer_name": list(LAYERS)},
        [names[i].replace(".JPEG", ".jpg") for i in kept],
    )
    for subject in SUBJECTS:
        n_seen = round(CSI4_SHARE * n_images) if subject == "CSI4" else n_images
        seen = rng.permutation(n_images)[:n_seen]
        write_raw_file(
            folder / f"{subject}_BOLD5000_CORR_RDMs.h5",
            [
                correlation_distances(voxel_responses(brain[PLANTED_LAYER[roi[2:]]][seen], rng))
                for roi in ROIS
            ],
            {"ROI": list(ROIS)},
            [names[i] for i in seen],
        )
    planted = [NULL if null_effect else PLANTED_LAYER[roi[2:]] for roi in ROIS]
    return pd.DataFrame({"roi": ROIS, "planted_layer": planted})


def _n_imagenet(names: Sequence[str]) -> int:
    return sum(name.endswith(".JPEG") for name in names)


if __name__ == "__main__":
    with script_job(snakemake):
        truth = simulate(
            Path(snakemake.output.truth).parent,
            n_images=snakemake.params.n_images,
            null_effect=snakemake.params.null_effect,
            seed=snakemake.params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(truth, snakemake.output.truth)
