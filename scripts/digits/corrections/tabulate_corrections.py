"""Set what the original gets wrong beside what stands here, in numbers of this study's data.

snakemake --cores 1 results/demo/digits/tables/corrections.html
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from scripts.digits.codes.code_contrasts import contrast_rdms
from scripts.digits.regions.choices import ALL_RUNS, CIRCULAR, HELD_OUT_RUNS
from scripts.digits.regions.published_clusters import CLUSTER_VOXELS
from workflow.lib.corrections import DIGITS_SHOWN, Correction, corrections_table, shown
from workflow.lib.inference.sign_flip import MIN_SUBJECTS
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.comparators import compare
from workflow.lib.tables import read_table, write_html, write_table

# Participants behind the published maps, and of these in the public data.
PUBLISHED_SUBJECTS = 15
# Published files that hold pickled or TensorFlow's objects.
UNREAD = ("vgg16_weights.txt", "net-55.ckpt")


def image_corrections(compared: RDMStore, validation: RDMStore, part: str) -> list[Correction]:
    """Return the row on the images of layer RDMs.

    Parameters
    ----------
    compared : RDMs of the layers that are compared with brains
    validation : RDMs of the same layers from validation images
    part : of which images the compared ones are
    """
    check_same_images([compared, validation])
    if part == "stimuli":
        same = compare(validation.vectors(), compared.vectors(), "spearman").diagonal().mean()
        return [
            Correction(
                "images of layer RDMs",
                "Spearman correlation with the RDMs of what participants saw, mean over layers",
                float(same),
                1.0,
                "the original takes validation images, ours are the participants' stimuli",
            )
        ]
    return [
        Correction(
            "images of layer RDMs",
            "Spearman correlation with the RDMs of what participants saw, mean over layers",
            np.nan,
            np.nan,
            "not mended: the stimuli are not to be had, and RDMs are those of validation images",
        )
    ]


def constant_corrections(codes: RDMStore) -> list[Correction]:
    """Return a row per code on the cosine with an RDM that has no structure.

    The centred cosine is Pearson's correlation, of which the mean over all orders of the categories
    is zero.
    """
    cosine = compare(codes.vectors(), np.ones((1, codes.n_pairs)), "cosine")[:, 0]
    return [
        Correction(
            "cosine of codes and layers",
            f"{code}: similarity with an RDM without structure",
            float(value),
            0.0,
            "the original shows the cosine by itself; here its null stands beside it, and the "
            "cosine of centred RDMs",
        )
        for code, value in zip(codes.labels["layer"], cosine, strict=True)
    ]


def fit_corrections(
    codes: RDMStore, contrasts: Mapping[str, Mapping[str, float]]
) -> list[Correction]:
    """Return the row on the joint fit of codes."""
    _, vectors = contrast_rdms(codes, contrasts)
    return [
        Correction(
            "joint fit of codes",
            "smallest singular value of the columns with intercept, each of length one",
            smallest_singular_value(codes.vectors()),
            smallest_singular_value(vectors),
            f"all {len(codes.labels['layer'])} codes cannot be fitted together where this is 0; "
            f"ours fits {', '.join(contrasts) or 'the codes'}",
        )
    ]


def smallest_singular_value(columns: np.ndarray) -> float:
    """Return it for regressors (n_columns, n_pairs) and an intercept, each of length one."""
    design = np.vstack([np.ones(columns.shape[1]), columns])
    scaled = design / np.linalg.norm(design, axis=1, keepdims=True)
    return float(np.linalg.svd(scaled, compute_uv=False)[-1])


def region_corrections(
    clusters: pd.DataFrame, codes: Sequence[str], layers: str
) -> list[Correction]:
    """Return rows per code: t of the code itself in its region, and t of layers.

    Parameters
    ----------
    clusters : rows of `scripts.digits.regions.published_clusters.group_regions`
    codes : names of the codes
    layers : name of the model whose layers are averaged

    Notes
    -----
    The original's rule is applied within halves of the runs, which ours has for a region, too: in
    all runs t is larger for the runs alone. What positive voxels alone add is a row of its own, of
    the regions and runs of ours.
    """
    rows = []
    for code in codes:
        own = clusters[clusters["code"] == code]
        itself, of_layers = own[own["layer"] == code], own[own["model"] == layers]
        mean_t = f"{code}: mean t over subjects of the"
        rows += _region_rows(f"{mean_t} code in the region found for it", itself)
        rows += _region_rows(f"{mean_t} layers in that region", of_layers)
    return rows


def _region_rows(measure: str, region: pd.DataFrame) -> list[Correction]:
    """Return the rows of a code or of the layers in its region."""
    halves = (region["chosen_in"] == HELD_OUT_RUNS).any()
    published = _mean_of(region, CIRCULAR if halves else ALL_RUNS, "t_of_positive")
    ours = _mean_of(region, HELD_OUT_RUNS, "t")
    rows = [Correction("regions of codes", measure, published, ours, _region_note(region))]
    if halves:
        rows.append(
            Correction(
                "positive voxels alone",
                measure,
                _mean_of(region, HELD_OUT_RUNS, "t_of_positive"),
                ours,
                "the original averages voxels of positive t alone, ours all; both here in the half "
                "of the runs in which the region was not chosen",
            )
        )
    return rows


def _region_note(region: pd.DataFrame) -> str:
    """Return what was done, and what the original's rule gives in all runs."""
    if region.empty:
        return "neither can be had: maps of a group need several subjects on one grid"
    halves = region.loc[region["chosen_in"] == HELD_OUT_RUNS, "n_voxels"]
    tested = ALL_RUNS if halves.empty else CIRCULAR
    size = region.loc[region["chosen_in"] == tested, "n_voxels"].max()
    text = (
        f"the original takes clusters of {CLUSTER_VOXELS} voxels beyond its threshold (here "
        f"{size:g} voxels) and averages positive t alone, of the same maps"
    )
    if halves.empty:
        return f"{text}; not mended: some subject has too few runs for two halves"
    everything = _mean_of(region, ALL_RUNS, "t_of_positive")
    text += (
        f", here of either half of the runs (of all runs: {everything:.{DIGITS_SHOWN}g}); ours "
        "takes them in one half of the runs and averages all t of the other"
    )
    return f"{text}, where there are none" if halves.max() == 0 else text


def _mean_of(rows: pd.DataFrame, chosen_in: str, column: str) -> float:
    """Return the mean over the rows of a way of choosing, NaN where there are none."""
    return float(rows.loc[rows["chosen_in"] == chosen_in, column].mean())


def subject_corrections(n_subjects: int) -> list[Correction]:
    """Return the row on what the number of subjects carries."""
    claim = "tested" if n_subjects >= MIN_SUBJECTS else "described, not tested"
    return [
        Correction(
            "subjects",
            "subjects behind the maps",
            PUBLISHED_SUBJECTS,
            n_subjects,
            "one participant of the original is public: a single case, which figures say"
            if n_subjects == 1
            else f"one participant of the original is public; here the group is {claim}",
        )
    ]


def gaps() -> list[Correction]:
    """Return the row on what is not read."""
    return [
        Correction(
            "published weights",
            "published files of weights that are read",
            len(UNREAD),
            0,
            f"a gap: {' (a pickle) and '.join(UNREAD)} (TensorFlow) are not read; torchvision's "
            "weights, or training, stand in their place",
        )
    ]


def corrections(input: Mapping, params: Mapping) -> Iterator[pd.DataFrame]:
    """Yield the rows of every part of the study that there is."""
    codes, layers = RDMStore(input["codes"]), RDMStore(input["layers"])
    yield read_table(input["training"])
    yield read_table(input["signs"])
    yield corrections_table(
        [
            *image_corrections(layers, RDMStore(input["validation"]), params["part"]),
            *constant_corrections(codes),
            *fit_corrections(codes, params["contrasts"]),
        ]
    )
    if input.get("regions"):
        group, clusters = (read_table(input[name]) for name in ("regions", "clusters"))
        of_codes = list(codes.labels["layer"])
        yield corrections_table(region_corrections(clusters, of_codes, layers.descriptors["model"]))
        yield read_table(input["null"])
        yield corrections_table(subject_corrections(int(group["n_subjects"].iloc[0])))
    yield corrections_table(gaps())


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = pd.concat(
            corrections(dict(snakemake.input.items()), dict(params.items())), ignore_index=True
        )
        write_html(
            shown(table),
            snakemake.output.html,
            title=f"{params.title}: original against ours",
            simulated=params.simulated,
        )
        table.insert(0, "study", snakemake.wildcards.study)
        write_table(table, snakemake.output.table)
