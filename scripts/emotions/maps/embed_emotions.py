"""Map occluded volumes, voxels and features of a network in a plane, by UMAP, t-SNE and PCA.

snakemake --cores 1 results/demo/movie/tables/embedding.csv

What is mapped: for each covered volume what every cube cost (occlusion vectors); the places in the
brain of the voxels that cost most; and what the last layer of one fold's network says of volumes
that it has not learned from. Stage `embed` maps the same items in every layer by one method; these
are three sets of other points each, by three methods beside each other, in one figure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from scripts.emotions.labelling.labels import Labels, read_labels
from scripts.emotions.maps.occlusion_file import Occlusions, read_occlusions
from scripts.emotions.network.network_features import Features, layers_of, read_features
from workflow.lib.embedding import plane_measures, tsne
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.rdms.components import principal_scores
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table, write_table
from workflow.lib.umap_embedding import umap

OCCLUSION, VOXELS, NETWORK = "occlusion vectors", "voxels", "network"
# What is mapped are scores on as many principal components.
N_COMPONENTS = 30
# Points that have neighbours to speak of.
FEWEST = 6


@dataclass(frozen=True)
class Options:
    """Parameters of the methods: `embed` of an entry of the config.

    Attributes
    ----------
    n_neighbours : int
        Of UMAP; at most a third of the points are taken.
    min_distance : float
        Of UMAP.
    perplexity : float
        Of t-SNE; at most a third of the points.
    """

    n_neighbours: int = 30
    min_distance: float = 0.1
    perplexity: float = 30

    def of(self, n_points: int) -> dict[str, dict[str, float]]:
        """Return method -> its parameters for so many points."""
        most = max(2, n_points // 3)
        return {
            "umap": {
                "n_neighbours": min(self.n_neighbours, most),
                "min_distance": self.min_distance,
            },
            "tsne": {"perplexity": min(self.perplexity, most)},
            "pca": {},
        }


def pca(points: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the first two principal components (n, 2) of principal scores; nothing is drawn."""
    return points[:, :2]


METHODS: Mapping[str, Callable[..., np.ndarray]] = {"umap": umap, "tsne": tsne, "pca": pca}


@dataclass(frozen=True, eq=False)
class Points:
    """What is mapped.

    Attributes
    ----------
    values : float array (n, n_dimensions)
    groups : str array (n,)
        Emotions.
    note : str
        What the points are, for captions.
    """

    values: np.ndarray
    groups: np.ndarray
    note: str


def occlusion_points(found: Occlusions) -> Points:
    """Return what covering every cube cost, of each volume."""
    n = len(found.corners)
    return Points(
        found.drops, found.table["emotion"].to_numpy(str), f"test volumes, {n:,} cubes covered"
    )


def voxel_points(top: pd.DataFrame) -> Points:
    """Return where the voxels lie that cost most, in mm."""
    return Points(
        top[["x", "y", "z"]].to_numpy(float), top["emotion"].to_numpy(str), "voxels by their places"
    )


def network_points(features: Features, labels: Labels, layer: str) -> Points:
    """Return the features of the fold that tests most volumes.

    Networks of other folds have units of their own: they would make clusters by themselves.
    """
    fold = np.bincount(features.folds).argmax()
    own = features.folds == fold
    groups = np.array(labels.classes)[labels.codes[features.rows[own]]]
    return Points(features.values[own], groups, f"test volumes of one fold, layer {layer}")


def embed_emotions(
    points: Mapping[str, Points], *, options: Options, study: str, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the places of all points by every method, and how good the planes are.

    Parameters
    ----------
    points : mapping, what is mapped -> Points
    options : Options
    study : str
    seed : int
        Of the run.

    Returns
    -------
    places : DataFrame, a row per point and method: embedding, method, group, x, y
    quality : DataFrame, a row per embedding and method
        note, n_dimensions, parameters, and `workflow.lib.embedding.plane_measures`; groups are
        emotions.

    Raises
    ------
    InputError
        Too few points.
    """
    places, quality = [], []
    for embedding, own in points.items():
        if len(own.values) < FEWEST:
            raise InputError(
                f"embedding of {embedding}: found {len(own.values)} points, expected {FEWEST} or "
                "more; raise `occlusion.n_per_class` or `occlusion.n_top`"
            )
        centred = own.values.astype(np.float64) - own.values.mean(axis=0, dtype=np.float64)
        n_components = min(N_COMPONENTS, *centred.shape)
        with threadpool_limits(1, user_api="blas"):
            scores = principal_scores(centred @ centred.T, n_components=n_components)
            for method, parameters in options.of(len(scores)).items():
                draw = generator(seed, "emotions", "embedding", study, embedding, method)
                plane = METHODS[method](scores, seed=int(draw.integers(2**31)), **parameters)
                places.append(_places(embedding, method, own.groups, plane))
                quality.append(
                    {
                        "embedding": embedding,
                        "method": method,
                        "note": own.note,
                        "n_dimensions": own.values.shape[1],
                        "parameters": _listed(parameters),
                        **plane_measures(scores, plane, own.groups),
                    }
                )
    return pd.concat(places, ignore_index=True), pd.DataFrame(quality)


def _places(embedding: str, method: str, groups: np.ndarray, plane: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "embedding": embedding,
            "method": method,
            "group": groups,
            "x": plane[:, 0],
            "y": plane[:, 1],
        }
    )


def _listed(parameters: Mapping[str, float]) -> str:
    names = {"n_neighbours": "neighbours", "min_distance": "minimal distance"}
    return ", ".join(f"{names.get(name, name)} {value:g}" for name, value in parameters.items())


if __name__ == "__main__":
    with script_job(snakemake):
        params, inputs = snakemake.params, snakemake.input
        found = read_occlusions(inputs.occlusions)
        labels = read_labels(inputs.labels, found.classes)
        layer = layers_of(inputs.features)[-1]
        points = {
            OCCLUSION: occlusion_points(found),
            VOXELS: voxel_points(read_table(inputs.top_voxels)),
            NETWORK: network_points(read_features(inputs.features, layer), labels, layer),
        }
        places, quality = embed_emotions(
            points,
            options=Options(**params.options),
            study=snakemake.wildcards.study,
            seed=params.seed,
        )
        write_table(places, snakemake.output.places)
        write_table(quality, snakemake.output.quality)
