"""Count how often tests reject true nulls, and intervals hold the truth, on simulated RDMs."""

from collections.abc import Sequence

import pandas as pd

from scripts.calibration.scenarios import calibrate
from scripts.calibration.truths import Design
from workflow.lib.jobs import script_job
from workflow.lib.tables import write_table


def calibrate_tests(
    geometries: Sequence[str], design: Design, *, n_simulations: int, seed: int
) -> pd.DataFrame:
    """Return the rates of all procedures on all geometries, see `scenarios.calibrate`.

    Parameters
    ----------
    geometries : keys of `scripts.calibration.geometries.GEOMETRIES`
    design : size of a data set, and of the resampling in it
    n_simulations : data sets per geometry and scenario
    seed : seed of the run
    """
    return pd.concat(
        [calibrate(name, design, n_simulations=n_simulations, seed=seed) for name in geometries],
        ignore_index=True,
    )


if __name__ == "__main__":
    with script_job(snakemake):
        write_table(
            calibrate_tests(
                snakemake.params.geometries,
                Design(**snakemake.params.design),
                n_simulations=snakemake.params.n_simulations,
                seed=snakemake.params.seed,
            ),
            snakemake.output[0],
        )
