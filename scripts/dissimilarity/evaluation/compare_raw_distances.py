"""Compare distances between embeddings, before anything is learned, with those of responses.

snakemake --cores 2 results/demo/scenes/tables/raw_distances.csv
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.dissimilarity.data.brain_rdms import rdm_rows
from scripts.dissimilarity.embeddings.embeddings import Embedding, read_embedding
from workflow.lib.errors import InputError
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.counts import image_counts
from workflow.lib.inference.jackknife import image_influence, standard_error
from workflow.lib.inference.multiple_tests import false_discovery_rate
from workflow.lib.inference.permutation import permute_images
from workflow.lib.inference.study_resamples import n_exact_resamples
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.rows import equal_parts
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rdms.vectors import working_dtype
from workflow.lib.rsa.comparators import compare
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

DISTANCES = ("correlation", "euclidean", "cosine")
# Comparators, and what columns of their estimate, interval and p are called.
COLUMNS = {
    "spearman": ("spearman", "low", "high", "p"),
    "pearson": ("pearson", "pearson_low", "pearson_high", "pearson_p"),
}
# RDMs of one side that are held at a time: all of a small study, one of 9,841 images.
HELD_BYTES = 1 << 28


def compare_raw_distances(
    brain: RDMStore,
    embeddings: Sequence[Path],
    *,
    rois: Collection[str] = (),
    n_resamples: int,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return how much distances of embeddings resemble those of one subject's responses.

    Parameters
    ----------
    brain : the subject's RDMs
    embeddings : files with embeddings of the same images
    rois : ROIs to keep; all if empty
    n_resamples : bootstrap resamples of the images
    n_permutations : permutations of the images
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per ROI, metric of the responses, embedding and distance of it
        spearman with its 95 % interval over images (low, high), one-sided p by permuting images,
        and q over the rows of the subject (Benjamini-Hochberg); the same of Pearson's r
        (pearson_); n_images, n_pairs, n_resamples, n_permutations.

    Raises
    ------
    InputError
        An embedding of other images, or of one that has no distance to others.

    Notes
    -----
    Pairs that share an image are not independent: intervals resample images with all their pairs,
    of which those of an image with itself drop out. Spearman's beyond 1,000 images, which would
    take long to rank again, are linearised (infinitesimal jackknife); Pearson's never. p is of
    Mantel's test.
    """
    rows = rdm_rows(brain, rois)
    item = np.dtype(working_dtype(brain.n_images)).itemsize
    most = max(1, HELD_BYTES // (item * brain.n_pairs))
    tables = []
    for models, labels in _models(brain, embeddings, most):
        for some in equal_parts(len(rows), most):
            tables.append(
                _compared(
                    brain,
                    dict(list(rows.items())[some]),
                    models,
                    labels,
                    n_resamples=n_resamples,
                    n_permutations=n_permutations,
                    seed=seed,
                )
            )
    table = pd.concat(tables, ignore_index=True)
    table.insert(table.columns.get_loc("p") + 1, "q", false_discovery_rate(table["p"].to_numpy()))
    for column in ("subject", "study"):
        table.insert(0, column, brain.descriptors[column])
    return table.assign(
        n_images=brain.n_images,
        n_pairs=brain.n_pairs,
        n_resamples=n_resamples,
        n_permutations=n_permutations,
    )


def _models(
    brain: RDMStore, embeddings: Sequence[Path], most: int
) -> Iterator[tuple[np.ndarray, list[tuple[str, str]]]]:
    """Yield RDMs (n_models, n_pairs) of some embeddings, and name and distance of each."""
    for some in equal_parts(len(embeddings), max(1, most // len(DISTANCES))):
        vectors, labels = [], []
        for path in embeddings[some]:
            embedding = read_embedding(path)
            check_images(embedding, brain)
            for distance in DISTANCES:
                found = embedding.distances(distance)
                vectors.append(found.astype(working_dtype(brain.n_images)))
                labels.append((embedding.name, distance))
        yield np.stack(vectors), labels


def check_images(embedding: Embedding, brain: RDMStore) -> None:
    """Raise InputError unless an embedding is of the images of RDMs, in their order."""
    if embedding.names != brain.names:
        raise InputError(
            f"embedding {embedding.name}: found {len(embedding.names)} images that are not the "
            f"{brain.n_images} of {brain.path.name}, or in another order, expected the same; embed "
            "the images again"
        )


def _compared(
    brain: RDMStore,
    rows: dict[tuple[str, str], int],
    models: np.ndarray,
    labels: Sequence[tuple[str, str]],
    *,
    n_resamples: int,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Return the rows of some RDMs of the responses with some of embeddings."""
    brains = brain.vectors(list(rows.values()))
    table = pd.DataFrame(
        [(*row, *label) for row in rows for label in labels],
        columns=["roi", "metric", "embedding", "distance"],
    )
    purpose = ("raw_distances", brain.descriptors["study"], brain.descriptors["subject"])
    for name, columns in COLUMNS.items():
        # Made anew, so that all parts see the same permutations and resamples.
        test = permute_images(
            models,
            brains,
            name,
            n_images=brain.n_images,
            n_permutations=n_permutations,
            rng=generator(seed, "permutation", *purpose),
        )
        estimate = compare(models, brains, name)
        counts = image_counts(brain.n_images, n_resamples, generator(seed, "bootstrap", *purpose))
        variance = image_variance(models, brains, name, counts)
        low, high = interval(estimate, variance, brain.n_images - 1)
        for column, values in zip(columns, (estimate, low, high, test.p), strict=True):
            table[column] = values.T.ravel()
    return table


def image_variance(
    models: np.ndarray, brains: np.ndarray, name: str, counts: np.ndarray
) -> np.ndarray:
    """Return the variance over new images of every similarity.

    Parameters
    ----------
    models : float array (n_models, n_pairs)
    brains : float array (n_brains, n_pairs)
    name : "spearman" or "pearson"
    counts : int array (n_resamples, n_images)
        Resamples of the images, which are many only where they are cheap to rank again; else the
        infinitesimal jackknife gives the variance.

    Returns
    -------
    float64 array (n_models, n_brains)
    """
    n_resamples, n_images = counts.shape
    if n_exact_resamples(name, n_images, n_resamples, None) < n_resamples:
        return standard_error(image_influence(models, brains, name, n_images)) ** 2
    draws = bootstrap_similarities(models, brains, name, counts, n_images=n_images)
    return one_factor_variance(draws, n_images)


if __name__ == "__main__":
    with script_job(snakemake):
        params, files = snakemake.params, [Path(path) for path in snakemake.input.embeddings]
        subjects = [RDMStore(path) for path in snakemake.input.rdms]
        # All embeddings of one subject, then those of the next.
        n_embeddings = len(files) // len(subjects)
        write_table(
            pd.concat(
                [
                    compare_raw_distances(
                        brain,
                        files[number * n_embeddings : (number + 1) * n_embeddings],
                        rois=params.rois,
                        n_resamples=params.n_resamples,
                        n_permutations=params.n_permutations,
                        seed=params.seed,
                    )
                    for number, brain in enumerate(subjects)
                ],
                ignore_index=True,
            ),
            snakemake.output[0],
        )
