"""Choose the region of every code in one part of the data, and compare layers there in another.

snakemake --cores 2 results/demo/digits/tables/code_rois_group.csv
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scripts.digits.regions.code_regions import CodeMaps, choices_of, halves_of_runs, mean_of_others
from scripts.digits.regions.layers_in_regions import Models, region_table
from scripts.digits.regions.published_clusters import COLUMNS, FIRST, SECOND, WHOLE, group_regions
from scripts.digits.regions.regions_over_subjects import region_group_table
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import read_header, read_mask
from workflow.lib.patterns.store import PatternStore
from workflow.lib.rdms.distances import CROSSNOBIS
from workflow.lib.rdms.store import RDMStore
from workflow.lib.rsa.comparators import COMPARATORS
from workflow.lib.searchlight.similarity import prepared_models, similarity_maps
from workflow.lib.searchlight.sphere_rdms import Searchlight
from workflow.lib.searchlight.statistics import fisher_z
from workflow.lib.searchlight.subject import subject_searchlight
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

log = logging.getLogger("workflow")


def subject_maps(
    store: PatternStore, codes: np.ndarray, comparator: str, names: Sequence[str], **settings
) -> tuple[list[CodeMaps], CodeMaps]:
    """Return where codes are found in the halves of a subject's runs, and in all of them.

    Parameters
    ----------
    store : the subject's patterns
    codes : float64 array (n_codes, n_pairs), prepared
    comparator : they are prepared for
    names : categories in the common order
    settings : of `workflow.lib.searchlight.subject.subject_searchlight`
    """

    def found(part) -> CodeMaps:
        return CodeMaps.of(subject_searchlight(part, names, **settings), codes, comparator)

    least = 2 if settings["metric"] == CROSSNOBIS else 1
    return [found(part) for part in halves_of_runs(store, least)], found(store)


def compute_code_rois(
    subjects: Mapping[str, tuple[Sequence[CodeMaps], CodeMaps]],
    models: Models,
    *,
    comparator: str,
    share: float,
) -> pd.DataFrame:
    """Return the rows of `region_table` of all subjects.

    Parameters
    ----------
    subjects : mapping, subject -> as `subject_maps` returns them
    models, comparator, share : see `scripts.digits.regions.layers_in_regions.region_table`
    """
    wholes = [whole for _, whole in subjects.values()]
    comparable = len(wholes) > 1 and same_spheres([whole.light for whole in wholes])
    tables = []
    for number, (subject, (halves, whole)) in enumerate(subjects.items()):
        others = mean_of_others([one.maps for one in wholes], number) if comparable else None
        try:
            table = region_table(
                choices_of(halves, whole, others),
                models,
                comparator=comparator,
                share=share,
                category_errors=len(subjects) == 1,
            )
        except InputError as error:
            raise InputError(f"{subject}: {error}") from None
        table.insert(0, "subject", subject)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def same_spheres(lights: Sequence[Searchlight]) -> bool:
    """Return whether the centres of all subjects are the same voxels of one grid."""
    first, *others = [light.spheres for light in lights]
    same = all(
        np.array_equal(first.mask, other.mask) and np.allclose(first.affine, other.affine)
        for other in others
    )
    if not same:
        log.info("subjects differ in grid or mask: no region is chosen in other subjects")
    return same


def compute_group_regions(
    subjects: Mapping[str, tuple[Sequence[CodeMaps], CodeMaps]],
    models: Models,
    *,
    comparator: str,
    alpha: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the rows of `scripts.digits.regions.published_clusters.group_regions`.

    Parameters
    ----------
    subjects, models, comparator : see `compute_code_rois`
    alpha, rng : see `scripts.digits.regions.published_clusters.published_clusters`

    Returns
    -------
    DataFrame
        Without rows for a single subject, and where subjects have other spheres.
    """
    lights = [whole.light for _, whole in subjects.values()]
    if len(lights) < 2 or not same_spheres(lights):
        return pd.DataFrame(columns=COLUMNS)
    prepared = prepared_models(models.vectors, comparator)
    parts = {WHOLE: lights}
    if all(halves for halves, _ in subjects.values()):
        for number, part in enumerate((FIRST, SECOND)):
            parts[part] = [halves[number].light for halves, _ in subjects.values()]
    maps = {
        part: fisher_z(np.stack([similarity_maps(one, prepared, comparator) for one in some]))
        for part, some in parts.items()
    }
    mask, codes = lights[0].spheres.mask, list(models.codes)
    return group_regions(maps, mask, models.rows, codes, alpha=alpha, rng=rng)


if __name__ == "__main__":
    with script_job(snakemake):
        params, input = snakemake.params, snakemake.input
        codes = RDMStore(input.codes)
        prepared = prepared_models(codes.vectors(), params.comparator)
        masks = input.masks or [None] * len(params.subjects)
        subjects = {}
        for subject, patterns, image, mask in zip(
            params.subjects, input.patterns, input.images, masks, strict=True
        ):
            volume = read_header(image)
            subjects[subject] = subject_maps(
                PatternStore(patterns),
                prepared,
                params.comparator,
                codes.names,
                grid=volume.grid,
                affine=volume.affine,
                mask=read_mask(mask, volume) if mask else None,
                **params.spheres,
            )
        models, study = Models.of(RDMStore(input.layers), codes), snakemake.wildcards.study
        table = compute_code_rois(
            subjects, models, comparator=params.comparator, share=params.share
        )
        group = region_group_table(
            table,
            zero_is_null=COMPARATORS[params.comparator].zero_is_null,
            rng=generator(params.seed, "code_rois", study),
        )
        regions = compute_group_regions(
            subjects,
            models,
            comparator=params.comparator,
            alpha=params.alpha,
            rng=generator(params.seed, "code_rois", "clusters", study),
        )
        tables = {"subjects": table, "group": group, "clusters": regions}
        for name, rows in tables.items():
            rows.insert(0, "study", study)
            write_table(rows.assign(comparator=params.comparator), snakemake.output[name])
