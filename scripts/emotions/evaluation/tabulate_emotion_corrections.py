"""Set what the original gets wrong beside what stands here, in numbers of this study's data.

snakemake --cores 1 results/demo/movie/tables/corrections.html
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.data.timeseries import VOLUMES, WHOLE, TimeSeries
from scripts.emotions.decoding.predictions import Predictions, read_predictions
from scripts.emotions.decoding.splits import RANDOM, RANDOM_MATCHED, SPLITS
from scripts.emotions.evaluation.evaluation import MEASURES, class_weights, pooled_areas
from scripts.emotions.labelling.agreement import ALL
from scripts.emotions.labelling.labels import Labels, read_labels
from scripts.emotions.rsa.compare_emotion_rdms import BRAIN
from workflow.lib.corrections import Correction, corrections_table, shown
from workflow.lib.jobs import script_job
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import read_table, write_html, write_table

# What RDMs are compared with beside layers of networks.
NO_LAYERS = ("affect", "co-occurrence", "runs")


def split_corrections(
    decoding: pd.DataFrame,
    audit: pd.DataFrame,
    models: Sequence[str],
    as_published: pd.DataFrame | None,
) -> Iterator[Correction]:
    """Yield the rows on how volumes are split.

    Parameters
    ----------
    decoding : `decoding.csv`
    audit : `leak_audit.csv`
    models : whose scores are given
    as_published : `decoding.csv` of labels and times as published, if there is one
    """
    splits = list(dict.fromkeys(decoding["split"]))
    if RANDOM not in splits:
        return
    clean = max(splits, key=list(SPLITS).index)
    source = decoding if as_published is None else as_published
    labels = "" if as_published is None else ", of labels and times as published"
    for model, measure in itertools.product(models, MEASURES):
        yield Correction(
            "random split of volumes",
            f"{measure.replace('_', ' ')} of {model}",
            _score(source, model, RANDOM, measure),
            _score(decoding, model, clean, measure),
            f"the original deals volumes out at random{labels}; ours holds out "
            f"{SPLITS[clean].title}",
        )
    if RANDOM_MATCHED in splits:
        for model, measure in itertools.product(models, MEASURES):
            yield Correction(
                "random split of volumes",
                f"{measure.replace('_', ' ')} of {model}, from as many volumes",
                _score(decoding, model, RANDOM_MATCHED, measure),
                _score(decoding, model, clean, measure),
                "with our labels, and no more volumes of each emotion to learn from than ours: "
                "what lies between the two is leakage (of accuracy, also how emotions spread over "
                "runs: 0.02 in simulations without any leak)",
            )
    for unit in ("movie times", "neighbours", "episodes"):
        yield Correction(
            "random split of volumes",
            f"share of tested volumes with {unit} in training",
            _shared(audit, RANDOM, unit),
            _shared(audit, clean, unit),
            "movie times: the same moment in another subject; neighbours: volumes of one subject "
            "and run that lie close in time",
        )


def _score(
    table: pd.DataFrame, model: str, split: str, measure: str, column: str = "value"
) -> float:
    rows = table.query("model == @model and split == @split and measure == @measure")
    return float(rows[column].mean())


def _shared(audit: pd.DataFrame, split: str, unit: str) -> float:
    rows = audit.query("split == @split and unit == @unit and of == 'test'")
    rows = rows[rows["seen_in"] == "training"]
    return float(rows["n_shared"].sum() / rows["n"].sum()) if len(rows) else np.nan


def label_corrections(
    timing: pd.DataFrame, counts: pd.DataFrame, *, lag: float
) -> Iterator[Correction]:
    """Yield the rows on when volumes were measured, and on what their labels are.

    Parameters
    ----------
    timing : `label_timing.csv`
    counts : `emotion_counts.csv`
    lag : seconds by which responses are taken to come later
    """
    yield Correction(
        "times of volumes",
        "most seconds by which a label is off what the volume shows",
        float(timing["error"].abs().max()),
        0.0,
        "the original lays runs end to end though they overlap; ours has the table of starts",
    )
    yield Correction(
        "haemodynamic lag",
        "seconds that responses are taken to come later",
        0.0,
        lag,
        "the original labels a volume with what is shown while it is measured",
    )
    total = counts[counts["emotion"] == ALL].set_index(["rule", "timing"])["n_volumes"]
    for timing_name in ("cumulative", "runs"):
        yield Correction(
            "labels",
            f"labelled volumes of all emotions, {timing_name} timing",
            float(total["original", timing_name]),
            float(total["any_character", timing_name]),
            "in the original a later row of an observer overwrites what another character still "
            "shows, and several words in a cell are one label; ours counts observers who see the "
            "emotion in any character",
        )


def baseline_corrections(decoding: pd.DataFrame, confounds: str | None) -> Iterator[Correction]:
    """Yield the rows on what is decoded without responses."""
    if confounds is None:
        return
    for split in dict.fromkeys(decoding["split"]):
        yield Correction(
            "baselines",
            f"accuracy from confounds alone, {SPLITS[split].title} held out",
            np.nan,
            _score(decoding, confounds, split, "accuracy"),
            "the original has none: emotions are not spread evenly over runs, so that the run and "
            "the time within it tell something without any response",
        )


def area_corrections(
    labels: Labels, predictions: Mapping[str, Predictions], decoding: pd.DataFrame, model: str
) -> Iterator[Correction]:
    """Yield the row on areas under ROC curves."""
    for split, found in predictions.items():
        yield Correction(
            "ROC curves",
            f"mean area of {model}, {SPLITS[split].title} held out",
            pooled_area(labels, found),
            _score(decoding, model, split, "auc"),
            "the original pools volumes of all runs, so that telling runs apart counts; ours takes "
            "areas within runs and folds, weighted by positives x negatives",
            *(_score(decoding, model, split, "auc", limit) for limit in ("low", "high")),
        )


def pooled_area(labels: Labels, found: Predictions) -> float:
    """Return the mean over classes of the area under the ROC curve over all runs and subjects."""
    weights = class_weights(labels.codes[None], len(labels.classes))
    return float(np.nanmean(pooled_areas(found, labels, weights)))


def null_corrections(decoding: pd.DataFrame, model: str, n_shifts: int) -> Iterator[Correction]:
    """Yield the row on the test of accuracy."""
    rows = decoding.query("model == @model and measure == 'accuracy'").dropna(subset="p")
    for row in rows.itertuples():
        yield Correction(
            "test of accuracy",
            f"p of the accuracy of {model}, {SPLITS[row.split].title} held out",
            np.nan,
            float(row.p),
            f"the original has none; ours shifts the labels circularly within runs, {n_shifts:,} "
            "times",
        )


def rsa_corrections(rsa: pd.DataFrame, published: float | None = None) -> Iterator[Correction]:
    """Yield the rows on RDMs.

    Parameters
    ----------
    rsa : `emotion_rsa.csv`
    published : similarity of RDMs of volumes and of the network, published of the same data
    """
    own = rsa[rsa["first"] == f"{BRAIN} {WHOLE}"]
    joint = own[own["subject"] == JOINT_SUBJECT]
    rows = (joint if len(joint) else own).set_index("second")
    layers = [name for name in rows.index if name not in NO_LAYERS]
    note = (
        "the original compares volumes that were not standardised, without noise taken into "
        "account or a test"
    )
    if layers:
        row = rows.loc[layers[-1]]
        yield Correction(
            "RDMs",
            "similarity of responses and the network's last layer (published: Pearson)",
            np.nan if published is None else published,
            float(row["similarity"]),
            f"{note}; ours are standardised and cross-validated over runs, "
            f"p = {row['n_reached']:g}/{row['n_orders']:g}",
        )
    row = rows.loc["runs"]
    yield Correction(
        "RDMs",
        "similarity of responses with how emotions are spread over runs",
        np.nan,
        float(row["similarity"]),
        f"a control that the original lacks; p = {row['n_reached']:g}/{row['n_orders']:g}",
    )
    yield Correction(
        "test of RDMs",
        "smallest p that permutations of the emotion labels allow",
        np.nan,
        1 / float(row["n_orders"]),
        "the original tests nothing; five emotions have 120 permutations, all of which are taken, "
        "and no p is taken from pairs as if they were independent",
    )


def volume_corrections(series: TimeSeries, n_subjects: int) -> Iterator[Correction]:
    """Yield the rows on what is done to volumes."""
    if series.kind == VOLUMES:
        yield Correction(
            "occlusion outside the brain",
            "share of the voxels of a volume that lie outside the mask",
            float(1 - series.mask.mean()),
            0.0,
            "the original covers all of the volume; ours the mask alone",
        )
    yield Correction(
        "alignment",
        "subjects compared voxel by voxel without registration",
        np.nan,
        0.0,
        f"the original averages subjects on their own grids; here {n_subjects} subject(s) in "
        + ("one space, and others are refused" if series.kind == VOLUMES else "common parcels"),
    )


def corrections(input: Mapping, params: Mapping) -> pd.DataFrame:
    """Return the rows of every part of the study that there is."""
    tables = {name: read_table(input[name]) for name in ("decoding", "audit", "timing", "counts")}
    beside = list(input.get("as_published", []))
    decoding, model = tables["decoding"], params["model"]
    models = list(dict.fromkeys(filter(None, (model, params["balanced"]))))
    labels = read_labels(input["labels"], params["classes"])
    series = TimeSeries(input["series"])
    rows = [
        *split_corrections(
            decoding, tables["audit"], models, read_table(beside[0]) if beside else None
        ),
        *label_corrections(tables["timing"], tables["counts"], lag=params["lag"]),
        *baseline_corrections(decoding, params["confounds"]),
        *area_corrections(labels, read_predictions(Path(input["predictions"])), decoding, model),
        *null_corrections(decoding, model, params["n_shifts"]),
        *volume_corrections(series, int(decoding["n_subjects"].max())),
    ]
    if input.get("rsa"):
        rows += rsa_corrections(read_table(input["rsa"]), params["published"])
    return corrections_table(rows)


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        table = corrections(dict(snakemake.input.items()), dict(params.items()))
        write_html(
            shown(table),
            snakemake.output.html,
            title=f"{params.title}: original against ours",
            simulated=params.simulated,
        )
        table.insert(0, "study", snakemake.wildcards.study)
        write_table(table, snakemake.output.table)
