"""Find the layer of a model that every voxel resembles most in the mean over subjects."""

from collections.abc import Sequence

import numpy as np

from scripts.searchlight.assign_layers import assign_layers, write_assignment
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.patterns.store import PatternStore
from workflow.lib.searchlight.assignment import group_tests, layer_groups, subject_draws
from workflow.lib.searchlight.regions import region_masks
from workflow.lib.searchlight.statistics import fisher_z, sign_flips
from workflow.lib.seeds import generator
from workflow.lib.tables import read_table


def subject_z(
    subjects: Sequence[BrainMaps], volumes: Sequence[int], mask: np.ndarray
) -> np.ndarray:
    """Return Fisher's z of some maps of every subject, (n_subjects, n_maps, n_voxels)."""
    check_same_grid(subjects)
    return fisher_z(np.stack([one.values[volumes][:, mask] for one in subjects]))


def flips_of_subjects(
    n_subjects: int, n_flips: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return signs, none flipped first, and how many flips these are: those drawn, or all."""
    signs, complete = sign_flips(n_subjects, n_flips, rng)
    return signs, len(signs) - (not complete)


if __name__ == "__main__":
    with script_job(snakemake):
        params, wildcards, files = snakemake.params, snakemake.wildcards, snakemake.input
        table = read_table(files.table)
        rows = table[table["model"] == wildcards.model]
        mean, p = (read_maps(path) for path in (files.mean_z, files.p))
        mask, grid = mean.mask, mean.values.shape[1:]
        z = subject_z([read_maps(path) for path in files.maps], rows["volume"], mask)
        rng = generator(params.seed, "assign_layers", wildcards.study)
        signs, n_flips = flips_of_subjects(len(z), params.n_resamples, rng)
        regions = region_masks([PatternStore(path) for path in files.regions], grid)
        volumes, histogram = assign_layers(
            rows,
            mean.values[rows["volume"]][:, mask],
            p.values[rows["volume"]][:, mask],
            subject_draws(z, params.n_resamples, rng),
            groups=params.layer_groups,
            regions={region: voxels[mask] for region, voxels in regions.items()},
            group_p=group_tests(
                z, layer_groups(rows["layer"].tolist(), params.layer_groups), signs
            ),
        )
        histogram = histogram.assign(
            **{"study": wildcards.study, "subject": "group"},
            **{"resampled": "subjects", "n_resamples": params.n_resamples, "n_flips": n_flips},
        )
        write_assignment(snakemake.output, volumes, histogram, mask=mask, affine=mean.affine)
