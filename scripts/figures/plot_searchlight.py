"""Draw searchlight maps: slices and glass brain of every layer, the significant part outlined."""

import matplotlib.pyplot as plt
import nibabel
import numpy as np
import pandas as pd
from nilearn.plotting import plot_glass_brain, plot_stat_map
from nilearn.plotting.displays import BaseSlicer

from workflow.lib.brain_maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.jobs import script_job
from workflow.lib.plotting import (
    PAGE_WIDTH,
    SEQUENTIAL,
    save_figure,
    similarity_label,
    subject_label,
    titled,
    use_style,
)
from workflow.lib.tables import read_table

N_SLICES = 6
ROW_HEIGHT = 1.0
TITLE_HEIGHT = 0.35
# A map of more layers than these would not fit on a page.
MAX_ROWS = 8
# How each corrected p-value is called in captions.
CORRECTIONS = {
    "p_tfce": "threshold-free cluster enhancement, largest value",
    "p_max": "largest similarity",
}


def plot_searchlight(
    similarity: BrainMaps,
    p: BrainMaps,
    table: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    correction: str,
    radius: float,
    unit: str,
    within_groups: bool,
    standard_space: bool,
) -> tuple[plt.Figure, str]:
    """Draw the maps of one subject and model, and return the figure and caption.

    Parameters
    ----------
    similarity, p : maps on one grid; of p the corrected p-values
    table : DataFrame, the rows of the model in `searchlight_<subject>.csv`
    title : name of the study
    simulated : whether the data is simulated
    correction : "p_tfce" or "p_max"
        Which p-values are given.
    radius, unit : of the spheres
    within_groups : whether conditions were permuted within their group only
    standard_space : whether the grid is that of MNI, so that outlines of its brain are true
    """
    check_same_grid([similarity, p])
    rows = table.iloc[np.linspace(0, len(table) - 1, min(len(table), MAX_ROWS)).round().astype(int)]
    volumes = rows["volume"].tolist()
    largest = max(float(np.nanmax(similarity.values[volumes])), 1e-3)
    use_style()
    figure = plt.figure(figsize=(PAGE_WIDTH, TITLE_HEIGHT + ROW_HEIGHT * len(rows)))
    slices = _slices(similarity)
    for number, (_, row) in enumerate(rows.iterrows()):
        _draw_row(
            figure,
            _row_frame(number, len(rows), figure.get_figheight()),
            similarity.image(row["volume"]),
            p.values[row["volume"]] <= row["alpha"],
            label=row["layer"],
            slices=slices,
            largest=largest,
            standard_space=standard_space,
        )
    comparator, who = table["comparator"].iloc[0], subject_label(table["subject"].iloc[0])
    _draw_scale(figure, largest, similarity_label(comparator))
    model = table["model"].iloc[0]
    figure.suptitle(f"{titled(title, simulated=simulated)}: {model}, {who}", y=0.995)
    left_out = "" if len(rows) == len(table) else f" {len(rows)} of {len(table)} layers are shown."
    caption = (
        f"Searchlight similarity ({comparator}) of {model} with {who}: spheres of radius "
        f"{radius:g} {unit}, {int(table['n_computed'].iloc[0]):,} of "
        f"{int(table['n_centres'].iloc[0]):,} centres, {int(table['n_images'].iloc[0])} conditions "
        f"({int(table['n_pairs'].iloc[0])} pairs). {_test_note(table, correction, within_groups)} "
        f"Similarities below zero are not drawn.{left_out} One subject: nothing is claimed about "
        "others."
    )
    return figure, caption


def _test_note(table: pd.DataFrame, correction: str, within_groups: bool) -> str:
    n_permutations = int(table["n_permutations"].iloc[0])
    if not n_permutations:
        return "No test was run."
    found = ", ".join(
        f"{layer}: {int(n)}"
        for layer, n in zip(table["layer"], table[f"n_{correction}"], strict=True)
    )
    return (
        f"Outlined: p ≤ {table['alpha'].iloc[0]:g}, corrected over the map "
        f"({CORRECTIONS[correction]} of {n_permutations:,} permutations of the conditions"
        f"{' within their group' if within_groups else ''}); voxels found: {found}."
    )


def _slices(maps: BrainMaps) -> list[float]:
    """Return heights in mm at which the maps are cut, evenly over where there are any."""
    heights = nibabel.affines.apply_affine(maps.affine, np.argwhere(maps.mask))[:, 2]
    low, high = np.quantile(heights, [0.08, 0.92])
    step = np.linalg.norm(maps.affine[:3, 2])
    n = int(np.clip((high - low) // step + 1, 1, N_SLICES))
    return np.linspace(low, high, n).tolist()


def _row_frame(number: int, n_rows: int, height: float) -> tuple[float, float]:
    """Return bottom and height of a row, as parts of the figure."""
    usable = (height - TITLE_HEIGHT) / height
    return usable * (1 - (number + 1) / n_rows), usable / n_rows


def _draw_row(
    figure: plt.Figure,
    frame: tuple[float, float],
    image: nibabel.Nifti1Image,
    significant: np.ndarray,
    *,
    label: str,
    slices: list[float],
    largest: float,
    standard_space: bool,
) -> None:
    bottom, height = frame
    values = np.asarray(image.dataobj)
    outline = nibabel.Nifti1Image(significant.astype(np.float32), image.affine)
    brain = nibabel.Nifti1Image(np.isfinite(values).astype(np.float32), image.affine)
    shown = nibabel.Nifti1Image(np.nan_to_num(np.maximum(values, 0)), image.affine)
    options = {
        **{"cmap": SEQUENTIAL, "vmin": 0, "vmax": largest, "colorbar": False},
        **{"threshold": 1e-6, "annotate": False, "figure": figure},
    }
    cut = plot_stat_map(
        shown,
        bg_img=brain,
        display_mode="z",
        cut_coords=slices,
        axes=(0.08, bottom, 0.58, height * 0.95),
        black_bg=False,
        **options,
    )
    # Without a brain of the template's shape its outlines would be those of another head.
    glass = plot_glass_brain(
        shown,
        display_mode="xz",
        axes=(0.67, bottom, 0.24, height * 0.95),
        alpha=0.7 if standard_space else 0.0,
        **options,
    )
    # Parts of the brain that are not similar at all are white: an outline shows where it ends.
    for display in (cut,) if standard_space else (cut, glass):
        display.add_contours(brain, levels=[0.5], colors="0.6", linewidths=0.6)
    if significant.any():
        for display in (cut, glass):
            _outline(display, outline)
    cut.annotate(left_right=False, size=6)
    glass.annotate(positions=False, size=6)
    figure.text(0.01, bottom + height / 2, label, rotation=90, va="center", fontsize=7.5)


def _outline(display: BaseSlicer, outline: nibabel.Nifti1Image) -> None:
    display.add_contours(outline, levels=[0.5], colors="black", linewidths=0.9)


def _draw_scale(figure: plt.Figure, largest: float, label: str) -> None:
    axes = figure.add_axes((0.925, 0.12, 0.012, 0.68))
    scale = plt.cm.ScalarMappable(plt.Normalize(0, largest), SEQUENTIAL)
    figure.colorbar(scale, cax=axes, label=label)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = read_table(snakemake.input.table)
        figure, caption = plot_searchlight(
            read_maps(snakemake.input.similarity),
            read_maps(snakemake.input.p),
            table[table["model"] == snakemake.wildcards.model],
            title=params.title,
            simulated=params.simulated,
            correction=params.correction,
            radius=params.radius,
            unit=params.unit,
            within_groups=params.within_groups,
            standard_space=params.standard_space,
        )
        save_figure(figure, caption, simulated=params.simulated, **dict(snakemake.output.items()))
