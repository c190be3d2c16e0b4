"""Compare perception codes with layers one by one: cosine, what it is of no structure, Pearson.

snakemake --cores 1 results/demo/digits/tables/code_cosines.csv
"""

import numpy as np
import pandas as pd

from scripts.digits.codes.code_contrasts import varies_within
from workflow.lib.inference.bootstrap import bootstrap_similarities
from workflow.lib.inference.permutation import permute_images
from workflow.lib.inference.study_resamples import n_drawn, stretched, study_counts
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.comparators import compare
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

COMPARED = ("cosine", "pearson")


def compare_codes(
    layers: RDMStore, codes: RDMStore, *, n_permutations: int, n_resamples: int, seed: int
) -> pd.DataFrame:
    """Return how much every layer resembles every code.

    Parameters
    ----------
    layers : RDMs of the layers over categories
    codes : RDMs of the codes over the same categories
    n_permutations : permutations of the categories
    n_resamples : bootstrap resamples of the categories
    seed : seed of the run

    Returns
    -------
    DataFrame, a row per code and layer: cosine and pearson, each with its 95 % interval over
    categories (_low, _high); cosine_constant, the cosine of the code with an RDM in which all pairs
    are equally dissimilar; cosine_null, the mean cosine under permutations of the categories;
    permuted, "within kinds" or "all"; p, one-sided, and p_fwe, over all rows that have one, both
    NaN where all were permuted; n_categories, n_pairs, n_pairs_apart (pairs that the code tells
    apart), n_permutations, n_resamples.

    Notes
    -----
    A permutation changes neither the length nor the mean of an RDM, so that cosine and Pearson,
    which is the cosine of centred RDMs, have the same p. Of a constant RDM the cosine with a code
    that tells k of n pairs apart is sqrt(k / n): it says nothing of the layer.

    Categories change places within their kind where that changes the code. Did they change places
    between kinds, any difference of kinds would count for a code within one: of RDMs in which
    digits merely had a mean in common, half were significant for Animacy at 5 %. Pearson's r is not
    zero for such RDMs either, only its difference from its mean under these orders. A code between
    kinds, which no such order changes, has no test: all categories change places for its
    cosine_null, a test by which would answer to any structure, such as kinds of unequal spread.

    Where every kind of category has several, categories are drawn within their kind, without which
    many a resample has no pair of a code. Resamples of which a code or a layer is constant are left
    out.
    """
    check_same_images([layers, codes])
    names, rdms = codes.labels["layer"], codes.vectors()
    table = pd.MultiIndex.from_product(
        [names, layers.labels["layer"]], names=["code", "layer"]
    ).to_frame(index=False)
    table.insert(0, "study", layers.descriptors["study"])
    resample = drawn(codes)
    counts = study_counts(codes, n_resamples=n_resamples, resample=resample, seed=seed)
    for name in COMPARED:
        estimate = compare(rdms, layers.vectors(), name)
        low, high = category_interval(
            estimate,
            bootstrap_similarities(rdms, layers.vectors(), name, counts, n_images=codes.n_images),
            codes,
            resample,
        )
        table[name], table[f"{name}_low"], table[f"{name}_high"] = (
            values.ravel() for values in (estimate, low, high)
        )
    nulls = permuted_cosines(layers, codes, n_permutations=n_permutations, seed=seed)
    n_apart = np.repeat(rdms.sum(axis=1).astype(int), len(layers.labels["layer"]))
    return table.assign(
        cosine_constant=np.sqrt(n_apart / codes.n_pairs),
        **{name: values.ravel() for name, values in nulls.items()},
        n_categories=codes.n_images,
        n_pairs=codes.n_pairs,
        n_pairs_apart=n_apart,
        n_permutations=n_permutations,
        n_resamples=n_resamples,
    )


def permuted_cosines(
    layers: RDMStore, codes: RDMStore, *, n_permutations: int, seed: int
) -> dict[str, np.ndarray]:
    """Return what permutations of the categories say of the cosines of codes with layers.

    Parameters
    ----------
    layers, codes, n_permutations, seed : as in `compare_codes`

    Returns
    -------
    dict of arrays (n_codes, n_layers)
        cosine_null, permuted, p and p_fwe, see `compare_codes`.
    """
    rdms, others = codes.vectors(), layers.vectors()
    within = np.array([varies_within(rdm, codes.groups) for rdm in rdms])
    null, p, p_fwe = np.full((3, len(rdms), len(others)), np.nan)
    for chosen, groups in ((within, codes.groups), (~within, None)):
        if not chosen.any():
            continue
        test = permute_images(
            rdms[chosen],
            others,
            "cosine",
            n_images=codes.n_images,
            n_permutations=n_permutations,
            rng=generator(seed, "codes", layers.descriptors["study"]),
            groups=groups,
        )
        null[chosen] = test.null.mean(axis=0)
        if groups is not None:
            p[chosen], p_fwe[chosen] = test.p, test.family_wise_p()
    permuted = np.where(within, "within kinds", "all")
    return {
        "cosine_null": null,
        "permuted": np.repeat(permuted[:, np.newaxis], len(others), axis=1),
        "p": p,
        "p_fwe": p_fwe,
    }


def drawn(store: RDMStore) -> str:
    """Return what resamples of categories draw: each kind within itself, if none stands alone.

    One of the keys of `workflow.lib.inference.study_resamples.RESAMPLING`.
    """
    alone = any(store.groups.count(kind) < 2 for kind in store.groups)
    return "images" if alone else "within_groups"


def category_interval(
    estimate: np.ndarray, draws: np.ndarray, store: RDMStore, resample: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of a 95 % interval over categories, of the shape of `estimate`.

    Parameters
    ----------
    estimate : float array (...)
    draws : float array (n_resamples, ...)
        The same on resampled categories.
    store : RDMs over these categories
    resample : what was drawn, see `drawn`
    """
    n = n_drawn(store, resample)
    variance = one_factor_variance(stretched(draws, store, resample), n)
    return interval(estimate, variance, n - 1)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = compare_codes(
            RDMStore(snakemake.input.layers),
            RDMStore(snakemake.input.codes),
            n_permutations=params.n_permutations,
            n_resamples=params.n_resamples,
            seed=params.seed,
        )
        write_table(table, snakemake.output[0])
