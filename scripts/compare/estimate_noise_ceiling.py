"""Estimate how similar a perfect model could be to each ROI, given the subjects' agreement."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.bootstrap import bootstrap_ceilings
from workflow.lib.inference.draw_store import CeilingDraws, write_ceiling_draws
from workflow.lib.inference.engines import ENGINES
from workflow.lib.inference.study_resamples import (
    n_drawn,
    n_exact_resamples,
    stretched,
    study_counts,
)
from workflow.lib.inference.variance import one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images, check_same_rows
from workflow.lib.tables import write_table


def estimate_noise_ceiling(
    subjects: Sequence[RDMStore],
    counts: np.ndarray,
    *,
    resample: str,
    comparators: Sequence[str],
    n_exact_ranks: int | None,
    engine: str,
) -> dict[str, CeilingDraws]:
    """Return the noise ceiling of every ROI, from the subjects' mean RDMs over sessions.

    Parameters
    ----------
    subjects : the subjects' RDMs
    counts : int array (n_resamples, n_images), the resamples of the study
    resample : what they draw, a key of `workflow.lib.inference.study_resamples.RESAMPLING`
    comparators : names of `workflow.lib.rsa.comparators.COMPARATORS`
    n_exact_ranks : resamples for which ranks are computed anew
    engine : a key of `workflow.lib.inference.engines.ENGINES`

    Returns
    -------
    dict, comparator -> CeilingDraws
    """
    check_same_images(subjects)
    check_same_rows(subjects)
    rows, n_images = list(subjects[0].mean_session_rows().values()), subjects[0].n_images
    ceilings = {}
    for name in comparators:
        n_draws = n_exact_resamples(name, n_images, len(counts), n_exact_ranks)
        bounds = np.empty((2, len(rows), len(subjects)))
        drawn = np.empty((2, n_draws, len(rows), len(subjects)))
        for i, row in enumerate(rows):
            vectors = np.stack([subject.vector(row) for subject in subjects])
            bounds[:, i] = ENGINES[engine].noise_ceiling(vectors, name)
            if n_draws:
                drawn[:, :, i] = bootstrap_ceilings(
                    vectors, name, counts[:n_draws], n_images=n_images
                )
        drawn = (stretched(draws, subjects[0], resample) for draws in drawn)
        ceilings[name] = CeilingDraws(*bounds, *drawn)
    return ceilings


def ceiling_table(
    ceilings: Mapping[str, CeilingDraws], subjects: Sequence[RDMStore], *, resample: str
) -> pd.DataFrame:
    """Return a row per comparator, ROI and subject.

    lower: similarity of the subject with the mean of the others; upper: with the mean of all. The
    ceilings are their means; lower_se and upper_se are the standard errors of these means over
    images, NaN without exact resamples. `resample` is what these drew, a key of
    `workflow.lib.inference.study_resamples.RESAMPLING`.
    """
    n, tables = n_drawn(subjects[0], resample), []
    for name, part in ceilings.items():
        lower_se, upper_se = (
            np.sqrt(one_factor_variance(draws.mean(axis=2), n))
            for draws in (part.lower_draws, part.upper_draws)
        )
        for i, roi in enumerate(subjects[0].mean_session_rows()):
            tables.append(
                pd.DataFrame(
                    {
                        "study": subjects[0].descriptors["study"],
                        "roi": roi,
                        "comparator": name,
                        "subject": [subject.descriptors["subject"] for subject in subjects],
                        "lower": part.lower[i],
                        "upper": part.upper[i],
                        "lower_se": lower_se[i],
                        "upper_se": upper_se[i],
                        "n_subjects": len(subjects),
                        "n_images": subjects[0].n_images,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    with script_job(snakemake):
        stores = [RDMStore(path) for path in snakemake.input]
        ceilings = estimate_noise_ceiling(
            stores,
            study_counts(
                stores[0],
                n_resamples=snakemake.params.n_resamples,
                resample=snakemake.params.resample,
                seed=snakemake.params.seed,
            ),
            resample=snakemake.params.resample,
            comparators=snakemake.params.comparators,
            n_exact_ranks=snakemake.params.n_exact_ranks,
            engine=snakemake.params.engine,
        )
        table = ceiling_table(ceilings, stores, resample=snakemake.params.resample)
        write_table(table, snakemake.output.table)
        write_ceiling_draws(
            snakemake.output.draws,
            ceilings,
            rois=list(stores[0].mean_session_rows()),
            subjects=[store.descriptors["subject"] for store in stores],
        )
