"""Draw response onsets of areas against their layer centre of mass."""

import matplotlib.pyplot as plt
import pandas as pd

from workflow.lib.jobs import script_job
from workflow.lib.plotting import COLUMN_WIDTH, MUTED, titled, use_style, write_figure
from workflow.lib.tables import read_table


def plot_latency(
    table: pd.DataFrame, statistics: pd.DataFrame, *, title: str, simulated: bool, n_layers: int
) -> tuple[plt.Figure, str]:
    """Draw one point per area with the range of onsets, and the subjects as small dots.

    Parameters
    ----------
    table : `latency.csv`
    statistics : `latency_statistics.csv`, the joint RDM last; without it, the only subject
    title : name of the study
    simulated : whether the brain data is simulated
    n_layers : number of layers of the model
    """
    prefix = "centre_of_mass_"
    *subjects, whole = statistics["subject"]
    test = statistics.iloc[-1]
    use_style()
    figure, axes = plt.subplots(figsize=(1.25 * COLUMN_WIDTH, 3), layout="constrained")
    for _, area in table.drop_duplicates("roi_group").iterrows():
        centre = area[prefix + whole]
        axes.plot(
            [area["onset_min_ms"], area["onset_max_ms"]], [centre, centre], "-", color="C0", lw=1.2
        )
        axes.plot(area["onset_ms"], centre, "o", color="C0", ms=5)
        for subject in subjects:
            axes.plot(area["onset_ms"], area[prefix + subject], ".", color=MUTED, ms=4)
        open_ended = " (later than)" if pd.isna(area["onset_max_ms"]) else ""
        axes.annotate(
            f"{area['area']}{open_ended}",
            (area["onset_ms"], centre),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
        )
    axes.set(xlabel="response onset (ms)", ylabel="layer centre of mass (layer number)")
    axes.set_ylim(0.8, n_layers + 0.2)
    axes.margins(x=0.12)
    axes.set_title(
        f"{titled(title, simulated=simulated)}: n = {int(test['n_areas'])} areas\n"
        rf"$\rho$ = {test['spearman_rho']:.2f}, exact p = {test['p_exact']:.3f}, "
        "descriptive"
    )
    shown = "the joint RDM (grey: single subjects)" if subjects else "the only subject"
    caption = (
        "Response onsets from the literature (line: range; dot: its middle, or its only bound) "
        f"against the layer centre of mass of {shown}; V2 shares the RDM of V1 and is left out. "
        f"n = {int(test['n_areas'])} areas, Spearman rho = {test['spearman_rho']:.2f}, "
        f"exact two-sided p = {test['p_exact']:.3f} over all orders of the areas. "
        "Descriptive: so few areas, of one set of images, carry no claim about latency."
    )
    return figure, caption


if __name__ == "__main__":
    with script_job(snakemake):
        figure, caption = plot_latency(
            read_table(snakemake.input.table),
            read_table(snakemake.input.statistics),
            title=snakemake.params.title,
            simulated=snakemake.params.simulated,
            n_layers=snakemake.params.n_layers,
        )
        write_figure(snakemake, figure, caption)
