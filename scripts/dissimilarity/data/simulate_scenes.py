"""Simulate subjects of Algonauts 2023: scenes drawn from latents that also drive the vertices.

A scene is a smooth field of luminance and of colours, under patches of gratings of random phase. A
linear function of pixels tells luminance and colours, and, phases being random, nothing of the
contrasts of the gratings; the energy of Gabor filters tells these. Vertices are tuned to mixtures
that differ between ROIs: contrasts in V1 (of the upper field in its ventral part, of the lower
field in its dorsal part), colours or luminance elsewhere. Clutter, gratings at right angles to
the others and the brightness of the whole, changes images and drives no vertex, so that what lies
near for an embedding need not lie near for the brain.

Files, names and types are those of the published layout; what responses would be without noise
stands beside them. In the null simulation vertices respond to scenes that nobody is shown.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.layouts.algonauts2023 import (
    HEMISPHERES,
    ROI_CLASSES,
    SIMULATED_SUBJECTS,
    SPACES,
    UNKNOWN,
    images_folder,
    mapping_file,
    mask_file,
    noiseless_file,
    responses_file,
    surface_file,
    test_images_folder,
)
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

# Of the images of a subject, those that all others saw too.
SHARED = 0.5
N_TEST = 10
# As many images were shown in all, and as many vertices has a hemisphere of fsaverage.
N_NSD = 73_000
N_SURFACE = 163_842

SIDE = 64
GRATINGS, FIELDS = 2, 2
CYCLES_PER_PIXEL = 0.25
# In levels of 256: unit variance of luminance and colours, mean and unit variance of contrasts.
LUMINANCE, BRIGHTNESS, COLOUR, CONTRAST, CONTRAST_SPREAD = 26.0, 8.0, 28.0, 15.0, 8.0
GRAIN = 3.0
# From green to red, leaving luminance (0.299 R + 0.587 G + 0.114 B) as it is.
REDNESS = np.array([1.0, -0.299 / 0.587, 0.0])


@dataclass(frozen=True)
class Scenes:
    """What some scenes are drawn from; all of mean 0 and variance 1, evenly spread.

    Attributes
    ----------
    contrasts : float array (n, GRATINGS * GRATINGS)
        Of the gratings, row by row.
    luminances : float array (n, FIELDS * FIELDS)
    colours : float array (n, FIELDS * FIELDS)
        Red against green.
    clutter : float array (n, GRATINGS + 1)
        Contrasts of the crossing gratings, one for each row, and the brightness of the whole.
    """

    contrasts: np.ndarray
    luminances: np.ndarray
    colours: np.ndarray
    clutter: np.ndarray

    def of(self, chosen: np.ndarray) -> "Scenes":
        """Return some of the scenes."""
        return Scenes(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Tuning:
    """What the vertices of an ROI respond to, as shares of the variance of their responses.

    Attributes
    ----------
    n_vertices : int
        In a hemisphere, about.
    contrast, luminance, colour : float
        The remainder is noise.
    rows : tuple of int
        Rows of gratings that the vertices see.
    """

    n_vertices: int
    contrast: float = 0.0
    luminance: float = 0.0
    colour: float = 0.0
    rows: tuple[int, ...] = tuple(range(GRATINGS))

    @property
    def signal(self) -> float:
        """Share of the variance that is not noise."""
        return self.contrast + self.luminance + self.colour


# ASSUME: fixed once, before any model was fitted, for Spearman correlations of about 0.5 to 0.7
# between RDMs with and without noise.
TUNINGS = {
    "V1v": Tuning(36, contrast=0.43, luminance=0.02, rows=(0,)),
    "V1d": Tuning(36, contrast=0.43, luminance=0.02, rows=(1,)),
    "hV4": Tuning(50, contrast=0.05, luminance=0.1, colour=0.35),
    "EBA": Tuning(50, contrast=0.1, luminance=0.1, colour=0.3),
    "FFA-1": Tuning(30, contrast=0.15, luminance=0.05, colour=0.3),
    "PPA": Tuning(40, contrast=0.15, luminance=0.35),
    "RSC": Tuning(40, luminance=0.4, colour=0.1),
    UNKNOWN: Tuning(80, contrast=0.05, luminance=0.05, colour=0.05),
}
STREAMS = {
    "V1v": "early",
    "V1d": "early",
    "hV4": "ventral",
    "EBA": "lateral",
    "FFA-1": "ventral",
    "PPA": "ventral",
    "RSC": "parietal",
}
# Noise that vertices share: how many patterns, and their share of the noise; spread of its strength
# between images, as of attention (a standard deviation of the logarithm).
N_SHARED_NOISE, SHARED_NOISE, NOISE_SPREAD = 4, 0.85, 0.15


def draw_latents(n: int, rng: np.random.Generator) -> Scenes:
    """Return the latents of n scenes."""
    sizes = (GRATINGS**2, FIELDS**2, FIELDS**2, GRATINGS + 1)
    return Scenes(*(rng.uniform(-np.sqrt(3), np.sqrt(3), (n, size)) for size in sizes))


def draw_scenes(scenes: Scenes, rng: np.random.Generator) -> np.ndarray:
    """Return the pictures of scenes, uint8 (n, SIDE, SIDE, 3)."""
    n = len(scenes.contrasts)
    blobs = _blobs(FIELDS, width=0.4).reshape(FIELDS**2, -1)
    luminance = LUMINANCE * scenes.luminances @ blobs + BRIGHTNESS * scenes.clutter[:, -1:]
    crossing = np.repeat(scenes.clutter[:, :-1], GRATINGS, axis=1)
    for contrasts, turn in ((scenes.contrasts, 0), (crossing, np.pi / 2)):
        amplitudes = CONTRAST + CONTRAST_SPREAD * contrasts
        even, odd = _gratings(turn)
        phases = rng.uniform(0, 2 * np.pi, amplitudes.shape)
        luminance += (amplitudes * np.cos(phases)) @ even + (amplitudes * np.sin(phases)) @ odd
    redness = COLOUR * (scenes.colours @ blobs)[..., None] * REDNESS
    levels = 128 + luminance[..., None] + redness
    levels += GRAIN * rng.standard_normal(levels.shape)
    return np.uint8(np.clip(np.rint(levels), 0, 255)).reshape(n, SIDE, SIDE, 3)


def _blobs(grid: int, width: float) -> np.ndarray:
    """Return Gaussian windows around the cells of a grid, (grid * grid, SIDE, SIDE)."""
    cell = SIDE / grid
    centres = (np.arange(grid) + 0.5) * cell - 0.5
    along = np.exp(-0.5 * ((np.arange(SIDE) - centres[:, None]) / (width * cell)) ** 2)
    return np.einsum("iy,jx->ijyx", along, along).reshape(grid**2, SIDE, SIDE)


def _gratings(turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Return even and odd gratings, one in each cell, (GRATINGS * GRATINGS, SIDE * SIDE)."""
    angles = np.arange(GRATINGS**2)[:, None, None] * np.pi / 4 + turn
    rows, columns = np.mgrid[:SIDE, :SIDE]
    waves = 2 * np.pi * CYCLES_PER_PIXEL * (columns * np.cos(angles) + rows * np.sin(angles))
    windows = _blobs(GRATINGS, width=0.3)
    return tuple((windows * wave(waves)).reshape(GRATINGS**2, -1) for wave in (np.cos, np.sin))


@dataclass(frozen=True)
class Hemisphere:
    """The vertices of a hemisphere.

    Attributes
    ----------
    labels : str array (n_vertices,)
        ROI of each vertex.
    noiseless, responses : float32 array (n_images, n_vertices)
    """

    labels: np.ndarray
    noiseless: np.ndarray
    responses: np.ndarray


def simulate_hemispheres(scenes: Scenes, rng: np.random.Generator) -> dict[str, Hemisphere]:
    """Return the responses of a subject to some scenes.

    Notes
    -----
    Noise has a part of each vertex' own and one of a few patterns over all vertices, both stronger
    for some images than for others; the vertices of both hemispheres share it.
    """
    n = len(scenes.contrasts)
    strengths = rng.lognormal(0, NOISE_SPREAD, (n, 1))
    factors = rng.standard_normal((n, N_SHARED_NOISE))
    hemispheres = {}
    for name in HEMISPHERES:
        labels = np.repeat(
            list(TUNINGS), [t.n_vertices + rng.integers(5) for t in TUNINGS.values()]
        )
        labels = labels[rng.permutation(len(labels))]
        noiseless = np.empty((n, len(labels)))
        signal = np.empty(len(labels))
        for roi, tuning in TUNINGS.items():
            own = labels == roi
            noiseless[:, own] = _tuned(scenes, tuning, int(own.sum()), rng)
            signal[own] = tuning.signal
        patterns = rng.standard_normal((N_SHARED_NOISE, len(labels))) / np.sqrt(N_SHARED_NOISE)
        noise = np.sqrt(SHARED_NOISE) * factors @ patterns
        noise += np.sqrt(1 - SHARED_NOISE) * rng.standard_normal(noiseless.shape)
        responses = noiseless + np.sqrt(1 - signal) * strengths * noise
        hemispheres[name] = Hemisphere(labels, np.float32(noiseless), np.float32(responses))
    return hemispheres


def _tuned(scenes: Scenes, tuning: Tuning, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return noiseless responses (n_images, n) of vertices with weights of their own."""
    grid = scenes.contrasts.reshape(-1, GRATINGS, GRATINGS)[:, list(tuning.rows)]
    sources = (
        (tuning.contrast, grid.reshape(len(grid), -1)),
        (tuning.luminance, scenes.luminances),
        (tuning.colour, scenes.colours),
    )
    tuned = 0.0
    for share, latents in sources:
        weights = rng.standard_normal((latents.shape[1], n))
        tuned = tuned + np.sqrt(share) * latents @ (weights / np.linalg.norm(weights, axis=0))
    return tuned


@dataclass(frozen=True)
class Shown:
    """The images that subjects are shown, and what they are drawn from.

    Attributes
    ----------
    numbers : int array (n,)
        Of the images among all of NSD.
    scenes : Scenes
    pictures : uint8 array (n, SIDE, SIDE, 3)
    """

    numbers: np.ndarray
    scenes: Scenes
    pictures: np.ndarray

    def of(self, chosen: np.ndarray) -> "Shown":
        """Return some of the images."""
        return Shown(self.numbers[chosen], self.scenes.of(chosen), self.pictures[chosen])


def draw_shown(n: int, rng: np.random.Generator) -> Shown:
    """Return n images, in the order of their numbers."""
    scenes = draw_latents(n, rng)
    numbers = np.sort(rng.choice(N_NSD, n, replace=False)) + 1
    return Shown(numbers, scenes, draw_scenes(scenes, rng))


def images_of_subjects(n_images: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return which images each subject saw: some that all saw, and images of its own.

    Parameters
    ----------
    n_images : of each subject

    Returns
    -------
    dict, subject -> int array (n_images,), sorted; places among the images of all subjects
    """
    n_shared = round(SHARED * n_images)
    n_own = n_images - n_shared
    order = rng.permutation(n_shared + n_own * len(SIMULATED_SUBJECTS))
    own = order[n_shared:].reshape(len(SIMULATED_SUBJECTS), n_own)
    return {
        subject: np.sort(np.concatenate([order[:n_shared], of_subject]))
        for subject, of_subject in zip(SIMULATED_SUBJECTS, own, strict=True)
    }


def simulate(
    folder: Path, *, n_images: int, null_effect: bool, seed: int, name: str
) -> pd.DataFrame:
    """Write the folder of a simulated data set; return the table of what is planted.

    Parameters
    ----------
    folder : where the subjects' folders go
    n_images : images with responses of each subject
    null_effect : whether responses are those to scenes that nobody is shown
    seed : seed of the run
    name : of the simulation; others with the same seed are independent of it

    Returns
    -------
    DataFrame, a row for each ROI of a subject's hemisphere
        subject, roi, hemisphere, n_vertices, and the shares of the variance of responses that go
        with contrast, luminance, colour, scenes that were not shown (unrelated), and noise.
    """
    rng = generator(seed, "simulate_scenes", name)
    seen = images_of_subjects(n_images, rng)
    shown = draw_shown(1 + max(rows.max() for rows in seen.values()), rng)
    table = []
    for subject, rows in seen.items():
        of_subject = generator(seed, "simulate_scenes", name, subject)
        scenes = shown.scenes.of(rows)
        if null_effect:
            scenes = draw_latents(n_images, of_subject)
        hemispheres = simulate_hemispheres(scenes, of_subject)
        _write_images(folder / images_folder(subject), shown.of(rows), "train")
        kept_back = draw_shown(N_TEST, of_subject)
        _write_images(folder / test_images_folder(subject), kept_back, "test")
        _write_names(folder, subject)
        for hemisphere, vertices in hemispheres.items():
            _write_hemisphere(folder, subject, hemisphere, vertices, of_subject)
            table += _planted(subject, hemisphere, vertices.labels, null_effect=null_effect)
    return pd.DataFrame(table)


def _planted(subject: str, hemisphere: str, labels: np.ndarray, *, null_effect: bool) -> list[dict]:
    """Return the rows of the table of the truth for a hemisphere."""
    rows = []
    for roi, tuning in TUNINGS.items():
        shares = {
            kind: 0.0 if null_effect else getattr(tuning, kind)
            for kind in ("contrast", "luminance", "colour")
        }
        unrelated = tuning.signal if null_effect else 0.0
        rows.append(
            {"subject": subject, "roi": roi, "hemisphere": hemisphere}
            | {"n_vertices": int((labels == roi).sum()), **shares}
            | {"unrelated": unrelated, "noise": 1 - tuning.signal}
        )
    return rows


def _write_images(folder: Path, shown: Shown, part: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("*.png"):
        left_over.unlink()
    for place, (number, picture) in enumerate(zip(shown.numbers, shown.pictures, strict=True), 1):
        path = folder / f"{part}-{place:04d}_nsd-{number:05d}.png"
        with written_whole(path) as temporary:
            Image.fromarray(picture).save(temporary, compress_level=1)


def _write_names(folder: Path, subject: str) -> None:
    """Write the names of the labels, as published: pickled dictionaries."""
    for of_class, names in ROI_CLASSES.items():
        mapping = dict(enumerate((UNKNOWN, *names)))
        _save(folder / mapping_file(subject, of_class), np.array(mapping, dtype=object))


def _write_hemisphere(
    folder: Path,
    subject: str,
    hemisphere: str,
    vertices: Hemisphere,
    rng: np.random.Generator,
) -> None:
    """Write responses with and without noise, and labels in both spaces."""
    _save(folder / responses_file(subject, hemisphere), vertices.responses)
    _save(folder / noiseless_file(subject, hemisphere), vertices.noiseless)
    on_surface = np.sort(rng.choice(N_SURFACE, len(vertices.labels), replace=False))
    surface = np.zeros(N_SURFACE, np.int8)
    surface[on_surface] = 1
    _save(folder / surface_file(subject, hemisphere), surface)
    for of_class, names in ROI_CLASSES.items():
        labels = _labels(vertices.labels, of_class, names)
        whole = np.zeros_like(surface)
        whole[on_surface] = labels
        for space, of_space in zip(SPACES, (labels, whole), strict=True):
            _save(folder / mask_file(subject, hemisphere, of_class, space), of_space)


def _labels(rois: np.ndarray, of_class: str, names: tuple[str, ...]) -> np.ndarray:
    """Return the labels of vertices in a class of ROIs, int8 (n_vertices,)."""
    in_class = [STREAMS.get(roi, UNKNOWN) for roi in rois] if of_class == "streams" else rois
    numbers = {name: number for number, name in enumerate(names, 1)}
    return np.array([numbers.get(name, 0) for name in in_class], np.int8)


def _save(path: Path, array: np.ndarray) -> None:
    with written_whole(path) as temporary:
        np.save(temporary, array, allow_pickle=array.dtype == object)


if __name__ == "__main__":
    with script_job(snakemake):
        truth = simulate(
            Path(snakemake.output.truth).parent,
            n_images=snakemake.params.n_images,
            null_effect=snakemake.params.null_effect,
            seed=snakemake.params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(truth, snakemake.output.truth)
