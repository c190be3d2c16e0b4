"""Simulate people in a scanner who look at pictures of which shape and category are independent.

Early areas respond to the luminance of a place of the picture, through receptive fields that grow
from V1 on; high ones to the category of what is shown; those between, weakly, to both. Trials have
noise of their own, noise that voxels share, and the offset of their run. In a stream that is not
planted the same voxels respond, as strongly, to pictures that nobody is shown.

Written are BData files as published (`scripts.reconstruction.data.bdata_files`), one for each
subject and part, the pictures as PNG files, and two tables of what is true of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from scripts.reconstruction.data.bdata_files import Session, image_name, write_bdata
from scripts.reconstruction.data.pictures import (
    N_MATERIALS,
    SIDE,
    TEST_PLACES,
    TRAINING_PLACES,
    Category,
    categories,
    draw_pictures,
    luminance,
)
from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

STREAMS = ("shape", "semantics")
# Trials of a run, and runs of a session.
RUN, SESSION = 60, 5
# Dimensions of what a material, and what is a category's own, evokes; the share of the latter.
N_FEATURES, OWN = 8, 0.25


@dataclass(frozen=True)
class Area:
    """What the voxels of an area respond to.

    Attributes
    ----------
    n_voxels : int
    shape, semantics : float
        Shares of the variance of a trial that go with luminance and with category; the remainder
        is noise.
    field : float
        Standard deviation of receptive fields in pixels.
    """

    n_voxels: int
    shape: float = 0.0
    semantics: float = 0.0
    field: float = 1.0


# ASSUME: fixed once, before any generator was trained, such that a ridge decoder of V1 to V3 tells
# two test pictures apart in about nine of ten pairs, as published decoders of such sessions do
# (Shen et al. 2019). Receptive fields grow about as from V1 to V4 (Smith et al. 2001, Cereb Cortex
# 11:1182).
AREAS = {
    "V1": Area(120, shape=0.018, field=1.2),
    "V2": Area(100, shape=0.015, field=1.8),
    "V3": Area(80, shape=0.012, field=2.5),
    "hV4": Area(60, shape=0.005, semantics=0.007, field=4.0),
    "LOC": Area(60, shape=0.003, semantics=0.012, field=6.0),
    "FFA": Area(40, semantics=0.02),
    "PPA": Area(40, semantics=0.02),
    "other": Area(40, semantics=0.015),
}
# ROIs that are unions of areas.
UNIONS = {"HVC": ("LOC", "FFA", "PPA", "other"), "VC": tuple(AREAS)}
# Noise that voxels share: in how many patterns, and its share; the standard deviation of offsets of
# runs, in those of a trial; motion from trial to trial, in mm and radians; range of how strong the
# signal of a subject is.
N_SHARED, SHARED, OFFSET = 6, 0.3, 0.3
STEP = np.array([0.02, 0.02, 0.02, 0.0003, 0.0003, 0.0003])
STRENGTH = (0.9, 1.1)


@dataclass(frozen=True)
class Shown:
    """The pictures of one part.

    Attributes
    ----------
    categories : list of n Category
    numbers : int array (n,)
        Of the pictures among those of their category, from 1.
    pictures : uint8 array (n, SIDE, SIDE, 3)
    """

    categories: list[Category]
    numbers: np.ndarray
    pictures: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names as of ImageNet: n01000001_1."""
        pairs = zip(self.categories, self.numbers.tolist(), strict=True)
        return [image_name(category.number, number) for category, number in pairs]


def show(kinds: Sequence[Category], n: int, rng: np.random.Generator) -> Shown:
    """Return n pictures, of each category in turn."""
    chosen = [kinds[i % len(kinds)] for i in range(n)]
    return Shown(chosen, np.arange(n) // len(kinds) + 1, draw_pictures(chosen, rng))


def draw_parts(n_images: Mapping[str, int], rng: np.random.Generator) -> dict[str, Shown]:
    """Return the pictures of training and of tests, no category of which is in training.

    Parameters
    ----------
    n_images : mapping, part -> number
        `training` first.
    """
    kinds, parts = categories(TRAINING_PLACES), {}
    for part, n in n_images.items():
        parts[part] = show(kinds, n, rng)
        kinds = categories(TEST_PLACES, kinds[-1].number + 1)
    return parts


@dataclass(frozen=True)
class Brain:
    """What the voxels of a subject respond to.

    Attributes
    ----------
    areas : str array (n_voxels,)
    fields : float array (n_voxels, SIDE * SIDE)
        Weights of places of the picture.
    tuning : float array (n_voxels, 2 * N_FEATURES)
        Weights of features of categories.
    """

    areas: np.ndarray
    fields: np.ndarray
    tuning: np.ndarray

    def share(self, stream: str) -> np.ndarray:
        """Return the share of a stream in the variance of each voxel (n_voxels,)."""
        return np.array([getattr(AREAS[area], stream) for area in self.areas])

    def rois(self) -> dict[str, np.ndarray]:
        """Return the voxels of every ROI, as BData names them."""
        own = {f"ROI_{area}": self.areas == area for area in AREAS if area != "other"}
        return own | {f"ROI_{name}": np.isin(self.areas, of) for name, of in UNIONS.items()}


def draw_brain(rng: np.random.Generator) -> Brain:
    """Return the voxels of a subject, those of the areas mixed as in a scan."""
    areas = np.repeat(list(AREAS), [area.n_voxels for area in AREAS.values()])
    areas = areas[rng.permutation(len(areas))]
    width = np.array([AREAS[area].field for area in areas])
    centres = rng.uniform(0, SIDE, (2, len(areas)))
    along = np.arange(SIDE) + 0.5
    across, down = np.exp(
        -0.5 * ((along - centres[..., None]) / width[:, None]) ** 2
    )  # (n_voxels, SIDE) each
    fields = np.einsum("vy,vx->vyx", down, across).reshape(len(areas), -1)
    tuning = rng.standard_normal((len(areas), 2 * N_FEATURES))
    return Brain(areas, fields, tuning)


def features(shown: Shown, seed: int, name: str) -> np.ndarray:
    """Return the features of what is shown, (n, 2 N_FEATURES): of its material, and its own.

    Those of a material are the same for training and test, and for all subjects.
    """
    of_materials = generator(seed, "simulate_pictures", name, "materials").standard_normal(
        (N_MATERIALS, N_FEATURES)
    )
    rows = []
    for category in shown.categories:
        rng = generator(seed, "simulate_pictures", name, "category", str(category.number))
        own = rng.standard_normal(N_FEATURES)
        rows.append([*np.sqrt(1 - OWN) * of_materials[category.material], *np.sqrt(OWN) * own])
    return np.array(rows)


def signals(brain: Brain, shown: Shown, features: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the pictures evoke in each stream, (n_images, n_voxels), not yet scaled."""
    light = luminance(shown.pictures).reshape(len(shown.pictures), -1)
    return {"shape": light @ brain.fields.T, "semantics": features @ brain.tuning.T}


def evoked(
    brain: Brain, parts: Mapping[str, Shown], *, streams: Collection[str], seed: int, name: str
) -> dict[str, np.ndarray]:
    """Return responses without noise to the pictures of each part, (n_images, n_voxels).

    Parameters
    ----------
    brain : Brain
    parts : mapping, part -> Shown
    streams : of `STREAMS`
        Those that are planted. In the others responses are to pictures that nobody is shown.
    seed, name : of the run and the simulation
    """
    unseen = draw_parts(
        {part: len(shown.numbers) for part, shown in parts.items()},
        generator(seed, "simulate_pictures", name, "unseen"),
    )
    rng = generator(seed, "simulate_pictures", name, "order of the unseen")
    found = {}
    for part, shown in parts.items():
        seen = signals(brain, shown, features(shown, seed, name))
        other = signals(brain, unseen[part], features(unseen[part], seed, name))
        order = rng.permutation(len(shown.numbers))
        found[part] = {
            stream: seen[stream] if stream in streams else other[stream][order]
            for stream in STREAMS
        }
    total = dict.fromkeys(parts, 0.0)
    for stream in STREAMS:
        training = found["training"][stream]
        centre, scale = training.mean(axis=0), training.std(axis=0)
        for part in parts:
            total[part] += np.sqrt(brain.share(stream)) * (found[part][stream] - centre) / scale
    return total


def simulate_trials(
    brain: Brain,
    means: np.ndarray,
    shown: Shown,
    *,
    n_repeats: int,
    strength: float,
    rng: np.random.Generator,
) -> Session:
    """Return the trials of a subject and part: every picture n_repeats times, in random order.

    Parameters
    ----------
    brain : Brain
    means : float array (n_images, n_voxels), of `evoked`
    shown : Shown
    n_repeats : int
    strength : of the subject's signal
    rng : numpy Generator
    """
    n_images, n_voxels = means.shape
    # All pictures once before any comes again.
    order = np.concatenate([rng.permutation(n_images) for _ in range(n_repeats)])
    runs = np.arange(len(order)) // RUN
    patterns = rng.standard_normal((N_SHARED, n_voxels)) / np.sqrt(N_SHARED)
    shared = rng.standard_normal((len(order), N_SHARED)) @ patterns
    own = rng.standard_normal((len(order), n_voxels))
    noise = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
    unexplained = 1 - brain.share("shape") - brain.share("semantics")
    offsets = OFFSET * rng.standard_normal((runs[-1] + 1, n_voxels))
    synsets = np.array([category.number for category in shown.categories])
    return Session(
        responses=strength * means[order] + np.sqrt(unexplained) * noise + offsets[runs],
        synsets=synsets[order],
        images=shown.numbers[order],
        sessions=runs // SESSION + 1,
        runs=runs + 1,
        motion=np.cumsum(STEP * rng.standard_normal((len(order), len(STEP))), axis=0),
    )


def simulate_pictures(
    folder: str | Path,
    *,
    files: Mapping[str, str],
    n_images: Mapping[str, int],
    n_repeats: Mapping[str, int],
    subjects: Sequence[str],
    streams: Collection[str],
    variant: str,
    seed: int,
    name: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write responses of all subjects and the pictures; return what is true of both.

    Parameters
    ----------
    folder : str or Path
        Where the files go; pictures in stimuli/<part>/.
    files : mapping, part -> path in the folder with {subject}
        `training` first.
    n_images, n_repeats : mappings, part -> int
    subjects : sequence of str
    streams : of "shape" and "semantics"
        Those that are planted.
    variant : "fmriprep" or "original"
        Of the BData files.
    seed : int
        Of the run.
    name : str
        Of the simulation; others with the same seed are independent of it.

    Returns
    -------
    areas : DataFrame
        subject, area, n_voxels, shape, semantics (shares of the variance of a trial that tell of
        what is shown).
    images : DataFrame
        part, name, category, material.
    """
    folder = Path(folder)
    parts = draw_parts(n_images, generator(seed, "simulate_pictures", name, "pictures"))
    for part, shown in parts.items():
        _write_pictures(folder / "stimuli" / part, shown)
    for subject in subjects:
        rng = generator(seed, "simulate_pictures", name, "subject", subject)
        brain, strength = draw_brain(rng), rng.uniform(*STRENGTH)
        means = evoked(brain, parts, streams=streams, seed=seed, name=name)
        for part, shown in parts.items():
            trials = simulate_trials(
                brain, means[part], shown, n_repeats=n_repeats[part], strength=strength, rng=rng
            )
            path = folder / files[part].format(subject=subject)
            write_bdata(path, trials, brain.rois(), variant=variant)
    return _areas(subjects, streams), _images(parts)


def _areas(subjects: Sequence[str], streams: Collection[str]) -> pd.DataFrame:
    rows = [
        {"subject": subject, "area": name, "n_voxels": area.n_voxels}
        | {stream: getattr(area, stream) * (stream in streams) for stream in STREAMS}
        for subject in subjects
        for name, area in AREAS.items()
    ]
    return pd.DataFrame(rows)


def _images(parts: Mapping[str, Shown]) -> pd.DataFrame:
    rows = [
        {"part": part, "name": name, "category": category.number, "material": category.material}
        for part, shown in parts.items()
        for name, category in zip(shown.names, shown.categories, strict=True)
    ]
    return pd.DataFrame(rows)


def _write_pictures(folder: Path, shown: Shown) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.png"):
        left_over.unlink()
    for name, picture in zip(shown.names, shown.pictures, strict=True):
        with written_whole(folder / f"{name}.png") as temporary:
            Image.fromarray(picture).save(temporary)


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        areas, images = simulate_pictures(
            Path(output.truth).parent,
            files=params.files,
            n_images=params.n_images,
            n_repeats=params.n_repeats,
            subjects=params.subjects,
            streams=params.streams,
            variant=params.variant,
            seed=params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(areas, output.truth)
        write_table(images, output.images)
