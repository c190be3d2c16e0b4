"""Label the volumes of a movie by what its observers agree on."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.emotions.labelling.agreement import ALL
from scripts.emotions.labelling.annotations import EMOTIONS, check_classes, read_observers
from scripts.emotions.labelling.label_rules import (
    RULES,
    Marks,
    label_table,
    mark_volumes,
    modal_labels,
    sample_classes,
)
from scripts.emotions.labelling.labels import COUNT, UNLABELLED
from scripts.emotions.labelling.timeline import (
    TIMINGS,
    Run,
    duration,
    published_errors,
    runs_of,
    volume_times,
)
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

logger = logging.getLogger("workflow")


@dataclass(frozen=True)
class Choices:
    """How volumes are labelled: `labels` of an entry of the config.

    Attributes
    ----------
    rule : "any_character" or "original"
    timing : "runs" or "cumulative"
    min_observers : that must agree on a label
    classes : labels that models tell apart
    lag : volumes by which responses come after what is shown
    drop_overlap : volumes left out at each inner side of a run
    per_class : volumes that are drawn of each class; None for all
    """

    rule: str
    timing: str
    min_observers: int
    classes: tuple[str, ...]
    lag: int
    drop_overlap: int
    per_class: int | None

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))


@dataclass(frozen=True)
class Tables:
    """What comes out; see `label_volumes`."""

    labels: pd.DataFrame
    counts: pd.DataFrame
    timing: pd.DataFrame


@dataclass(frozen=True)
class Observed:
    """What observers wrote, and what it makes of volumes.

    Attributes
    ----------
    annotations : DataFrame, from `scripts.emotions.labelling.annotations.read_observers`
    runs : run -> Run
    volumes : DataFrame, a row per volume, from `scripts.emotions.labelling.timeline.volume_times`
    marks : Marks, who sees what in every volume
    names : str array (n_volumes,), the label of each
    """

    annotations: pd.DataFrame
    runs: Mapping[str, Run]
    volumes: pd.DataFrame
    marks: Marks
    names: np.ndarray


def read_observed(
    files: Mapping[str, str | Path],
    *,
    runs: Mapping[str, Mapping[str, float]],
    tr: float,
    labels: Choices,
    vocabulary: Collection[str] | None = None,
) -> Observed:
    """Return what observers wrote, and what it makes of volumes; arguments of `label_volumes`."""
    found = runs_of(runs)
    annotations = read_observers(files, duration=duration(found), vocabulary=vocabulary or EMOTIONS)
    check_classes(annotations, labels.classes)
    return Observed(annotations, found, *_labelled(annotations, found, tr, labels))


def label_volumes(
    files: Mapping[str, str | Path],
    *,
    runs: Mapping[str, Mapping[str, float]],
    tr: float,
    labels: Choices,
    seed: int,
    study: str,
    vocabulary: Collection[str] | None = None,
) -> Tables:
    """Return the labels of volumes, and what there is to know of them.

    Parameters
    ----------
    files : observer -> path of the observer's annotations
    runs : run -> {start, end (s of the movie), n_volumes}
    tr : seconds from one volume to the next
    labels : how volumes are labelled
    seed : seed of the run
    study : name of the study
    vocabulary : words that may stand for emotions; None for those of the published observers

    Returns
    -------
    Tables
        labels: as `scripts.emotions.labelling.labels.Labels` has it. counts: for every rule, timing
        and emotion ("all" for all), how many volumes and episodes have the label, and which rule
        and timing were chosen. timing: from `scripts.emotions.labelling.timeline.published_errors`.

    Raises
    ------
    InputError
        Annotations, runs or labels that cannot be used; a class that no volume is labelled with.
    """
    seen = read_observed(files, runs=runs, tr=tr, labels=labels, vocabulary=vocabulary)
    table = label_table(seen.volumes, seen.marks, seen.names)
    _check_every_class(table, seen.marks, labels)
    if labels.per_class is not None:
        rng = generator(seed, "emotions", "sample", study)
        table["sampled"] = sample_classes(
            table["label"].to_numpy(), labels.classes, labels.per_class, rng
        )
    counts = count_labels(seen.annotations, seen.runs, tr, labels)
    return Tables(table, counts, published_errors(seen.runs, tr=tr))


def _labelled(
    annotations: pd.DataFrame, runs: Mapping[str, Run], tr: float, labels: Choices
) -> tuple[pd.DataFrame, Marks, np.ndarray]:
    volumes = volume_times(
        runs, timing=labels.timing, tr=tr, lag=labels.lag, drop_overlap=labels.drop_overlap
    )
    marks = mark_volumes(annotations, volumes, rule=labels.rule, tr=tr)
    names = modal_labels(marks, rule=labels.rule, min_observers=labels.min_observers)
    return volumes, marks, names


def _check_every_class(table: pd.DataFrame, marks: Marks, labels: Choices) -> None:
    for name in labels.classes:
        if not (table["label"] == name).any():
            most = int(table[COUNT + name].max())
            raise InputError(
                f"labels.classes: no volume is labelled {name}, on which at most {most} of "
                f"{marks.n_observers} observers agree, expected {labels.min_observers}; leave the "
                "class out or lower `labels.min_observers`"
            )


def count_labels(
    annotations: pd.DataFrame, runs: Mapping[str, Run], tr: float, chosen: Choices
) -> pd.DataFrame:
    """Return how many volumes have which label, by every rule in every timing.

    What the published rule and timing change can so be told apart. The number of observers that
    must agree, lag and overlap are those chosen.
    """
    parts = []
    for rule in RULES:
        for timing in TIMINGS:
            both = {"rule": rule, "timing": timing}
            table = label_table(*_labelled(annotations, runs, tr, replace(chosen, **both)))
            is_chosen = (rule, timing) == (chosen.rule, chosen.timing)
            parts.append(_counts(table, chosen.classes).assign(**both, of_entry=is_chosen))
    columns = ["rule", "timing", "of_entry", "emotion", "in_classes", "n_volumes", "n_episodes"]
    return pd.concat(parts, ignore_index=True)[columns]


def _counts(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    labelled = table[table["label"] != UNLABELLED]
    groups = labelled.groupby("label")["episode"].agg(n_volumes="size", n_episodes="nunique")
    groups = groups.sort_values("n_volumes", ascending=False, kind="stable")
    total = {"n_volumes": len(labelled), "n_episodes": labelled["episode"].nunique()}
    counts = pd.concat([groups, pd.DataFrame(total, index=[ALL])])
    return (
        counts.rename_axis("emotion")
        .reset_index()
        .assign(in_classes=lambda rows: rows["emotion"].isin(list(classes)))
    )


def _log(tables: Tables) -> None:
    chosen = tables.counts[tables.counts["of_entry"]]
    for row in chosen.itertuples():
        logger.info("%s: %d volumes in %d episodes", row.emotion, row.n_volumes, row.n_episodes)
    later = tables.timing["error"].max()
    logger.info(
        "published timing: volumes are labelled with what is shown up to %.0f s later", later
    )


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        tables = label_volumes(
            dict(zip(params.observers, snakemake.input.annotations, strict=True)),
            runs=params.runs,
            tr=params.tr,
            labels=Choices(**params.labels),
            seed=params.seed,
            study=snakemake.wildcards.study,
            vocabulary=params.vocabulary,
        )
        _log(tables)
        write_table(tables.labels, output.labels)
        write_table(tables.counts, output.counts)
        write_table(tables.timing, output.timing)
