"""Measure what the arbitrary signs of principal components do to the RDMs of layers.

snakemake --cores 2 results/demo/digits/tables/corrections_signs.csv
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from scripts.digits.codes.component_rdms import category_means
from scripts.digits.codes.compute_layer_rdms import layer_grams
from scripts.digits.data.labelled_images import ImageSet, read_images
from scripts.digits.network.trained import Trained, read_trained
from workflow.lib.corrections import Correction, corrections_table
from workflow.lib.jobs import script_job
from workflow.lib.rdms.components import principal_scores
from workflow.lib.rdms.distances import pattern_distances
from workflow.lib.rsa.comparators import compare
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

# Choices of signs that are drawn for each layer.
N_DRAWS = 50
PUBLISHED_METRIC = "correlation"


def sign_agreement(means: np.ndarray, metric: str, rng: np.random.Generator) -> float:
    """Return the mean Spearman correlation of an RDM with itself under other signs.

    Parameters
    ----------
    means : float array (n_categories, n_components)
        Mean scores on principal components.
    metric : see `scripts.digits.codes.component_rdms.category_rdm`
    rng : numpy Generator
        Of the signs.

    Returns
    -------
    float
        Over draws that leave an RDM that varies; NaN if none does, and of a single component, over
        which nothing correlates.
    """
    if means.shape[1] == 1:
        return np.nan
    signs = rng.choice([-1.0, 1.0], size=(N_DRAWS, 1, means.shape[1]))
    usual, *turned = (pattern_distances(one, metric) for one in [means, *(signs * means)])
    found = compare(usual[np.newaxis], np.stack(turned), "spearman")
    return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else np.nan


def sign_corrections(
    trained: Trained,
    images: ImageSet,
    *,
    variance: float,
    metric: str,
    seed: int,
    device: torch.device,
) -> Iterator[Correction]:
    """Yield the row on the distance between categories.

    Parameters
    ----------
    trained, images, variance, metric, device : of the study's layer RDMs, see
        `scripts.digits.codes.compute_layer_rdms.layer_rdms`
    seed : of the run
    """
    codes, found = images.codes(trained.categories), []
    for layer, gram in layer_grams(trained, images, device=device):
        means = category_means(principal_scores(gram, variance=variance), codes)
        found.append(
            [
                sign_agreement(means, one, generator(seed, "corrections", "signs", layer))
                for one in (PUBLISHED_METRIC, metric)
            ]
        )
    original, ours = np.nanmean(found, axis=0)
    how = "as published" if metric == PUBLISHED_METRIC else "which no choice of signs changes"
    yield Correction(
        "distance between categories",
        "Spearman correlation of layer RDMs with themselves under other signs of components",
        float(original),
        float(ours),
        "the original takes Pearson's correlation over principal components, which have no signs "
        f"of their own; ours the {metric}, {how}. Mean over layers and {N_DRAWS} draws of signs",
    )


if __name__ == "__main__":
    with script_job(snakemake):
        input, params = snakemake.input, snakemake.params
        rows = sign_corrections(
            read_trained(Path(input.network)),
            read_images(Path(input.images)),
            variance=params.variance,
            metric=params.metric,
            seed=params.seed,
            device=torch.device("cpu"),
        )
        write_table(corrections_table(list(rows)), snakemake.output[0])
