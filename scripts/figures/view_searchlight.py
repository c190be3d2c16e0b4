"""Write a page in which searchlight maps can be looked through, layer by layer."""

import gc
import html
import json

import nibabel
import numpy as np
import pandas as pd
from nilearn.plotting import view_img

from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.nifti.maps import BrainMaps, check_same_grid, read_maps
from workflow.lib.plotting import SEQUENTIAL, n_note, permuted_note, titled
from workflow.lib.rsa.tables import layer_names
from workflow.lib.searchlight.words import is_group, whose
from workflow.lib.tables import read_table

# What a viewer shows of a map.
ABOVE_ZERO, SIGNIFICANT = "all voxels above zero", "significant voxels"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}, {measured}</title><style>
body {{ font: 14px sans-serif; margin: 1.2em; }}
label {{ margin-right: 1.5em; }}
iframe {{ border: 0; width: 100%; height: 420px; }}
h1 {{ font-size: 1.4em; margin-bottom: 0; }}
h2 {{ font-size: 1.1em; font-weight: normal; margin-top: 0.2em; }}
p {{ max-width: 60em; }}
</style></head><body><h1>{title}</h1>
<h2>{measured}</h2>
<p><label>Layer <select id="layer">{layers}</select></label>
<label>Shown <select id="shown">{kinds}</select></label></p>
<iframe id="view" title="brain"></iframe>
<p>{text}</p>
<script type="application/json" id="pages">{pages}</script>
<script>
const pages = JSON.parse(document.getElementById("pages").textContent);
const [layer, shown] = ["layer", "shown"].map((name) => document.getElementById(name));
const show = () => {{
  document.getElementById("view").srcdoc = pages[shown.value][layer.value];
}};
layer.addEventListener("change", show);
shown.addEventListener("change", show);
show();
</script></body></html>
"""


def view_searchlight(
    values: BrainMaps,
    p: BrainMaps,
    table: pd.DataFrame,
    *,
    title: str,
    simulated: bool,
    standard_space: bool,
    permuted: str,
    called: str,
) -> str:
    """Return a page with an interactive view of every layer's map.

    Parameters
    ----------
    values, p : maps on one grid: similarity, or mean z of the group; corrected p-values
    table : DataFrame, the rows of the model in `searchlight_<subject>.csv` or of the group
    title : name of the study
    simulated : whether the data is simulated
    standard_space : whether the grid is that of MNI, so that its template may lie behind the maps
    permuted : what was permuted, a key of `workflow.lib.plotting.PERMUTED`
    called : what the conditions are called, in the plural
    """
    check_same_grid([values, p])
    # nilearn collects garbage several times a view: what is there already need not be looked at.
    gc.freeze()
    names = layer_names(table)
    volumes, alpha = table["volume"].to_numpy(), float(table["alpha"].iloc[0])
    largest = max(float(np.nanmax(values.values[volumes])), 1e-3)
    kinds = {ABOVE_ZERO: np.ones_like(values.values, dtype=bool)}
    if np.isfinite(p.values[volumes]).any():
        kinds[SIGNIFICANT] = p.values <= alpha
    brain = None if standard_space else values.mask
    pages = {
        kind: {
            name: _view(values, volume, shown[volume], largest, brain)
            for name, volume in zip(names, volumes, strict=True)
        }
        for kind, shown in kinds.items()
    }
    heading = titled(title, simulated=simulated)
    return PAGE.format(
        title=html.escape(f"{heading}: searchlight of {table['model'].iloc[0]}, {whose(table)}"),
        measured=html.escape(_measured(table, called)),
        layers=_choices(names),
        kinds=_choices(kinds),
        text=html.escape(_text(table, permuted, called, tested=SIGNIFICANT in kinds)),
        # A closing tag within would end the script that holds the pages.
        pages=json.dumps(pages).replace("</", "<\\/"),
    )


def _view(
    maps: BrainMaps, volume: int, shown: np.ndarray, largest: float, brain: np.ndarray | None
) -> str:
    """Return nilearn's viewer of a map, a page of its own; before MNI's template without a brain.

    Voxels keep their values: they are enlarged, not interpolated.
    """
    positive = np.where(shown & (maps.values[volume] > 0), maps.values[volume], 0)
    behind = "MNI152"
    if brain is not None:
        behind = nibabel.Nifti1Image(brain.astype(np.float32), maps.affine)
    view = view_img(
        nibabel.Nifti1Image(positive.astype(np.float32), maps.affine),
        bg_img=behind,
        cut_coords=_peak(positive, maps.affine),
        **{"threshold": min(1e-6, positive.max()), "vmin": 0, "vmax": largest},
        **{"symmetric_cmap": False},
        **{"cmap": SEQUENTIAL, "black_bg": False, "resampling_interpolation": "nearest"},
    )
    return view.html


def _peak(values: np.ndarray, affine: np.ndarray) -> tuple[float, ...]:
    voxel = np.unravel_index(values.argmax(), values.shape)
    return tuple(nibabel.affines.apply_affine(affine, voxel).tolist())


def _choices(names) -> str:
    return "".join(f"<option>{html.escape(name)}</option>" for name in names)


def _measured(table: pd.DataFrame, called: str) -> str:
    """Return what a colour stands for, and how much it comes from."""
    what = "mean Fisher z of similarities" if is_group(table) else "similarities"
    return f"{what} ({table['comparator'].iloc[0]}), {n_note(table, called)}"


def _text(table: pd.DataFrame, permuted: str, called: str, *, tested: bool) -> str:
    scope = "" if is_group(table) else " One subject: nothing is claimed about others."
    return (
        f"Spheres around every voxel; {_test(table, permuted, called, tested)}.{scope} "
        "Click into a slice to move through the brain; the view opens at the peak."
    )


def _test(table: pd.DataFrame, permuted: str, called: str, tested: bool) -> str:
    first = table.iloc[0]
    if not tested:
        return "not tested"
    draws = (
        f"{int(first['n_flips']):,} sign flips of the subjects"
        if is_group(table)
        else permuted_note(int(first["n_permutations"]), permuted, called)
    )
    return f"significant: corrected p ≤ {first['alpha']:g}, one-sided, {draws}"


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = read_table(snakemake.input.table)
        page = view_searchlight(
            read_maps(snakemake.input.maps),
            read_maps(snakemake.input.p),
            table[table["model"] == snakemake.wildcards.model],
            title=params.title,
            simulated=params.simulated,
            standard_space=params.standard_space,
            permuted=params.permuted,
            called=params.called,
        )
        with written_whole(snakemake.output.html) as temporary:
            temporary.write_text(page, encoding="utf-8")
