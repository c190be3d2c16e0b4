"""Reading all raw files of a study as a run would, to find what it would stop at."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from workflow.lib.check.forecast import print_forecast
from workflow.lib.errors import InputError
from workflow.lib.features.activations import read_activations
from workflow.lib.features.controls import CONTROLS, control_features
from workflow.lib.features.stimuli import open_stimuli
from workflow.lib.image_groups import group_rdm, groups_of
from workflow.lib.image_sets import STIMULI, align_study
from workflow.lib.layout import feature_sources, rdm_sources
from workflow.lib.nifti.files import read_header
from workflow.lib.patterns.rdms import brain_rdms, extract_patterns
from workflow.lib.patterns.reading import Patterns, pattern_sizes
from workflow.lib.patterns.store import PatternStore, write_patterns
from workflow.lib.prediction import ResponseSize
from workflow.lib.rdms.alignment import Alignment, positions
from workflow.lib.rdms.source import read_aligned
from workflow.lib.rdms.stimulus_rdms import feature_distances, selected_images
from workflow.lib.searchlight.spheres import sphere_offsets
from workflow.lib.searchlight.subject import read_searchlight
from workflow.lib.sources import (
    WHOLE_BRAIN,
    axes_of,
    axis_of,
    filled,
    model_source,
    pattern_files,
    searchlight_source,
)
from workflow.lib.words import listed

log = logging.getLogger("workflow")

EXAMPLES = 3
# Grey levels of 256 up to which an image may be one of which a control has no pattern.
FLAT_LEVELS = 8


def check_raw_files(
    study: Mapping, folder: Path, made: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Read all raw files of a study as a run would, and print their names and what it takes.

    Parameters
    ----------
    study : a completed entry of `rsa`
    folder : folder of the raw files
    made : as `workflow.lib.config.complete.made_conditions` returns it

    Raises
    ------
    InputError
        What a run would stop at: all that files, names, responses and spheres tell. What networks
        and models make of the images is for the run to find.
    """
    models = {
        name: model_source(model)
        for name, model in study["models"].items()
        if "files" in model or "features" in model
    }
    images = study["images"]
    names, alignment = align_study(
        study["brain"], models, study.get("stimuli"), images, folder, made
    )
    print_names(names, alignment, images["match"])
    for name, source in {"brain": study["brain"], **models}.items():
        warn_of_repeats(name, source)
    common = alignment.names
    groups = groups_of(alignment, images)
    if any(model.get("control") == "groups" for model in study["models"].values()):
        group_rdm(groups)
    shown = common if study.get("stimuli", {}).get("extract") == "common" else names.get(STIMULI)
    spheres = searchlight_spheres(study, folder, common) if "searchlight" in study else {}
    is_patterns = study["brain"]["data"] == "patterns"
    print_forecast(
        study,
        len(common),
        len(shown or common),
        spheres,
        responses=response_sizes(study, study["brain"], folder) if is_patterns else [],
        searched=response_sizes(study, searchlight_source(study), folder) if spheres else [],
    )
    check_rdms(study, folder, common)
    if is_patterns:
        check_patterns(study, folder, common)
    check_features(study, folder, common)
    if any("network" in model or "control" in model for model in study["models"].values()):
        check_stimuli(study, folder, common)


def print_names(names: Mapping[str, list[str]], alignment: Alignment, match: str) -> None:
    """Print matched and unmatched names per file."""
    examples = ", ".join(map(repr, alignment.labels[:EXAMPLES]))
    print(
        f"  images common to all files: {len(alignment.names)} (names matched as {match}; "
        f"{examples}, ...)"
    )
    for file, found in names.items():
        lost = alignment.unmatched[file]
        examples = f", for example {', '.join(map(repr, lost[:EXAMPLES]))}" if lost else ""
        print(f"  {file}: {len(found)} images, {len(lost)} unmatched{examples}")


def warn_of_repeats(name: str, source: Mapping) -> None:
    """Warn of labels of a source that files spell alike: they are the same data twice.

    A noise ceiling over a subject that counts twice is too high, and of two of the same it is one.
    """
    for axis in axes_of(source):
        alike: dict[str, list[str]] = {}
        for label, value in zip(axis.names, axis.values, strict=True):
            alike.setdefault(value, []).append(label)
        for value, labels in alike.items():
            if len(labels) > 1 and axis.origin != "constant":
                log.warning(
                    "%s: found the %ss %s, all of them %r in the files, expected another for each; "
                    "correct `names`",
                    *(name, axis.placeholder, listed(labels), value),
                )


def check_rdms(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read every RDM of a study once."""
    for source in rdm_sources(study).values():
        for _ in read_aligned(source, folder, images, match=study["images"]["match"]):
            pass


def check_features(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read all activations of a study that were computed elsewhere once."""
    for source in feature_sources(study).values():
        for _, activations in read_activations(
            source, folder, images, match=study["images"]["match"]
        ):
            for _ in activations.rows():
                pass


def check_patterns(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Read every subject's patterns once, and compute their RDMs."""
    brain, match = study["brain"], study["images"]["match"]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "patterns.h5")
        for subject, patterns in _patterns(study, brain, folder):
            write_patterns(file, patterns, {"subject": subject})
            rdms = brain_rdms(
                PatternStore(file),
                images,
                metric=brain["metric"],
                noise_normalisation=brain["noise_normalisation"],
                match=match,
            )
            with _naming_subject(subject, file):
                for _ in rdms:
                    pass


def response_sizes(study: Mapping, source: Mapping, folder: Path) -> list[ResponseSize]:
    """Return how large every subject's patterns of a source are, without reading them."""
    sizes = []
    for subject in axis_of(study["brain"], "subject").names:
        n_observations, channels = pattern_sizes(source, folder, subject)
        sizes.append(ResponseSize(n_observations, sum(channels.values()), max(channels.values())))
    return sizes


def searchlight_spheres(
    study: Mapping, folder: Path, images: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Read every subject's responses over the mask of the searchlight once, and lay its spheres.

    Returns
    -------
    dict, subject -> number of voxels with data, and of those of a whole sphere
    """
    source, settings = searchlight_source(study), study["searchlight"]
    spheres = {}
    for subject, patterns in _patterns(study, source, folder):
        n_voxels = patterns[WHOLE_BRAIN].measurements.shape[1]
        image = pattern_files(source, folder, {"subject": subject})[0]
        affine = read_header(folder / image).affine
        per_sphere = len(sphere_offsets(affine, settings["radius"], settings["unit"]))
        print(f"  searchlight of {subject}: {n_voxels:,} voxels with data, {per_sphere} per sphere")
        _lay_spheres(study, folder, images, subject, patterns, folder / image)
        spheres[subject] = n_voxels, per_sphere
    return spheres


def _lay_spheres(
    study: Mapping,
    folder: Path,
    images: Sequence[str],
    subject: str,
    patterns: Mapping[str, Patterns],
    image: Path,
) -> None:
    """Lay the spheres of a subject's searchlight, from a file as a run does."""
    brain, settings = study["brain"], study["searchlight"]
    mask = settings["mask"] and folder / filled(settings["mask"], brain, {"subject": subject})
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "patterns.h5")
        write_patterns(file, patterns)
        with _naming_subject(subject, file):
            read_searchlight(
                file,
                images,
                image=image,
                mask=mask,
                match=study["images"]["match"],
                **{key: brain[key] for key in ("metric", "noise_normalisation")},
                **{key: settings[key] for key in ("radius", "unit", "min_voxels")},
            )


def _patterns(
    study: Mapping, source: Mapping, folder: Path
) -> Iterator[tuple[str, dict[str, Patterns]]]:
    """Yield every subject with the patterns of a source, prepared as the study says."""
    brain = study["brain"]
    for subject in axis_of(brain, "subject").names:
        yield (
            subject,
            extract_patterns(
                source,
                folder,
                subject,
                match=study["images"]["match"],
                detrend=brain["detrend"],
                standardise=brain["standardise"],
                remove_mean_pattern=brain["remove_mean_pattern"],
            ),
        )


@contextlib.contextmanager
def _naming_subject(subject: str, file: Path) -> Iterator[None]:
    """Put the subject in place of the temporary file in errors."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(file.name, f"patterns of {subject}")) from None


def check_stimuli(study: Mapping, folder: Path, images: Sequence[str]) -> None:
    """Decode every image once, and compare the controls of those that hardly vary.

    Controls of all images would take as long as in a run. Those of an image that varies differ from
    feature to feature; for others it depends on the control and its metric.
    """
    if "stimuli" not in study:
        return
    stimuli = open_stimuli(folder, study["stimuli"])
    flat = {i for i in range(len(stimuli)) if _hardly_varies(stimuli.image(i))}
    controls = {
        name: model for name, model in study["models"].items() if model.get("control") in CONTROLS
    }
    if not controls:
        return
    match = study["images"]["match"]
    order = positions(images, stimuli.names, match=match, what=study["stimuli"]["files"])
    # An image without a pattern shows as such among two others that have one.
    shown = [i for i in order if i not in flat][:2] + [i for i in order if i in flat]
    for name, model in controls.items():
        control = model["control"]
        features = control_features(control, stimuli.select(shown), **model.get("options", {}))
        rdm = feature_distances(features, model["metric"])
        names = [stimuli.names[i] for i in shown]
        selected_images(rdm, np.arange(len(shown)), names, f"{name}, {control}")


def _hardly_varies(image: Image.Image) -> bool:
    darkest, brightest = image.convert("L").getextrema()
    return brightest - darkest <= FLAT_LEVELS
