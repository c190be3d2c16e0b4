"""Compute emotion x emotion RDMs of responses, networks, affect, co-occurrence and runs.

snakemake --cores 1 results/demo/movie/rdms/emotions_brain.h5
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from scripts.emotions.data.timeseries import TimeSeries, require_aligned
from scripts.emotions.labelling.annotations import EMOTIONS, read_observers
from scripts.emotions.labelling.labels import Labels, read_labels
from scripts.emotions.rsa.emotion_rdms import (
    affect_distances,
    channel_distances,
    class_means,
    cooccurrence_distances,
    run_distances,
)
from scripts.emotions.rsa.network_rdms import network_rdms
from scripts.emotions.rsa.regions import mean_of_places, places_of, regions_of
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import write_rdms
from workflow.lib.sources import JOINT_SUBJECT

log = logging.getLogger("workflow")

LabelledRDMs = Iterator[tuple[dict[str, str], np.ndarray]]


def subject_distances(series: Sequence[TimeSeries], labels: Labels) -> dict[str, np.ndarray]:
    """Return subject -> distances (n_pairs, n_features), see `channel_distances`."""
    require_aligned(series, "RDMs of emotions")
    return {
        one.subject: channel_distances(class_means(one, labels), labels.classes) for one in series
    }


def region_rdms(
    distances: Mapping[str, np.ndarray], regions: Mapping[str, Mapping[str, np.ndarray]]
) -> LabelledRDMs:
    """Yield the RDM of every region of every subject, then their means over subjects.

    Parameters
    ----------
    distances : subject -> float array (n_pairs, n_features)
    regions : subject -> region -> channels
    """
    every = {
        subject: {roi: np.nanmean(of[:, channels], axis=1) for roi, channels in own.items()}
        for (subject, of), own in zip(distances.items(), regions.values(), strict=True)
    }
    for subject, rdms in every.items():
        for roi, vector in rdms.items():
            yield {"subject": subject, "roi": roi}, vector
    if len(every) > 1:
        for roi in next(iter(every.values())):
            mean = np.mean([rdms[roi] for rdms in every.values()], axis=0)
            yield {"subject": JOINT_SUBJECT, "roi": roi}, mean


def place_rdms(distances: Mapping[str, np.ndarray], series: TimeSeries, cube: int) -> LabelledRDMs:
    """Yield the RDM of every place of the map of every subject; places as in `places_of`."""
    names, place_of = places_of(series, cube)
    for subject, of in distances.items():
        for name, vector in zip(names, mean_of_places(of, place_of, len(names)).T, strict=True):
            yield {"subject": subject, "place": name}, vector


def model_rdms(labels: Labels, annotations, features: Sequence[str]) -> LabelledRDMs:
    """Yield what responses are compared with: affect, co-occurrence, runs, layers of networks.

    Parameters
    ----------
    labels : Labels
    annotations : DataFrame, see `scripts.emotions.labelling.annotations.read_observers`
    features : files with features of networks
    """
    classes = labels.classes
    yield {"model": "affect", "layer": ""}, affect_distances(annotations, classes)
    yield {"model": "co-occurrence", "layer": ""}, cooccurrence_distances(labels)
    yield {"model": "runs", "layer": ""}, run_distances(labels)
    for file in features:
        yield from network_rdms(file, labels)


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        labels = read_labels(snakemake.input.labels, params.classes)
        series = [TimeSeries(path) for path in snakemake.input.series]
        distances = subject_distances(series, labels)
        regions = {
            one.subject: regions_of(one, params.rois, file)
            for one, file in zip(
                series, list(snakemake.input.regions) or [None] * len(series), strict=True
            )
        }
        annotations = read_observers(
            dict(zip(params.observers, snakemake.input.annotations, strict=True)),
            duration=params.duration,
            vocabulary=params.vocabulary or EMOTIONS,
        )
        descriptors = {"study": snakemake.wildcards.study}
        for path, rdms, measure, may_have_gaps in (
            (output.brain, region_rdms(distances, regions), "crossnobis", False),
            (output.places, place_rdms(distances, series[0], params.cube), "crossnobis", True),
            (
                output.models,
                model_rdms(labels, annotations, list(snakemake.input.features)),
                "as the model has it",
                False,
            ),
        ):
            write_rdms(
                path,
                rdms,
                names=labels.classes,
                measure=measure,
                descriptors=descriptors,
                may_have_gaps=may_have_gaps,
            )
        log.info("%d subjects, emotions %s", len(series), ", ".join(labels.classes))
