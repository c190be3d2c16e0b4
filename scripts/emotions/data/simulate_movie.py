"""Simulate people in a scanner who watch a movie: BIDS volumes, confounds, and what observers saw.

Planted regions respond to the emotions that the movie shows, with the haemodynamic delay. All else
has nothing to do with emotions, and is what makes a careless split look good:

- a response to the movie that all subjects share, so that one subject tells which moment it is in
  the others;
- fluctuations that last longer than a volume, so that neighbours in time resemble each other;
- drift, offsets of runs, and motion.

The null simulation has all of this but the response to emotions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.ndimage
import scipy.signal
from nilearn.glm.first_level import compute_regressor

from scripts.emotions.data.planted import AFFINE, GRID, REGIONS, brain_mask, region_masks
from scripts.emotions.data.prepare_volumes import MOTION
from scripts.emotions.data.simulate_annotations import simulate_annotations
from scripts.emotions.labelling.timeline import Run, duration, runs_of
from workflow.lib.errors import InputError
from workflow.lib.files import written_whole
from workflow.lib.jobs import script_job
from workflow.lib.nifti.files import write_image
from workflow.lib.seeds import generator
from workflow.lib.tables import write_table

NULL = "none"
TRUTH_COLUMNS = ["region", "number", "emotion", "with_effect", "n_voxels"]
# ASSUME: fixed once, before any model was fitted. In percent of a voxel's mean, as BOLD responses
# and noise are at 3 T (Triantafyllou et al. 2005, NeuroImage 26:243). Fluctuations are such that
# the autocorrelation from one volume to the next is about 0.4, and the correlation of a voxel
# between two subjects about 0.1, as in the published parcel time series (0.43, and 0.07 with 0.32
# in the upper twentieth of parcels). Volumes are told apart better than parcels are (about 35
# effective dimensions against 13, as voxels share less of one global signal), so that decoders
# remember more of single moments, and splits leak more, than in the parcels.
RESPONSE, STRENGTH, WEIGHT = 0.9, (0.75, 1.25), (0.5, 1.5)
# (standard deviation, autocorrelation from one volume to the next)
FAST, SLOW, SHARED = (1.0, 0.2), (0.5, 0.93), (0.45, 0.8)
DRIFT, OFFSET, MOVED = 1.0, 1.0, 0.4
# Gaussian in voxels that fluctuations are blurred with.
BLUR = 0.7
# mm and radians per volume, of a random walk.
STEP = np.array([0.02, 0.02, 0.02, 0.0003, 0.0003, 0.0003])
# A sphere of this radius, in mm, carries rotations over to displacements (Power et al. 2012).
HEAD = 50.0
BRIGHTNESS, DARK = 800.0, 0.03


def emotion_responses(
    episodes: pd.DataFrame, runs: Mapping[str, Run], *, emotions: Sequence[str], tr: float
) -> dict[str, np.ndarray]:
    """Return what an emotion evokes, by run: boxcars of its episodes, convolved with the HRF.

    Parameters
    ----------
    episodes : DataFrame
        start, end (s of the movie), emotion.
    runs : mapping, run -> Run
        Nothing is seen before a run begins, or after it ended.
    emotions : sequence of n_emotions str
    tr : float
        Seconds between volumes.

    Returns
    -------
    dict, run -> float64 array (n_volumes, n_emotions)
        One for an emotion that lasts.

    References
    ----------
    Glover 1999, NeuroImage 9:416.
    """
    responses = {}
    for name, run in runs.items():
        times = tr * np.arange(run.n_volumes)
        columns = []
        for emotion in emotions:
            own = episodes[episodes["emotion"] == emotion]
            start, end = ((own[side] - run.start).clip(0, times[-1]) for side in ("start", "end"))
            shown = np.array([start, end - start, np.ones(len(own))])[:, (end > start).to_numpy()]
            columns.append(_convolved(shown, times))
        responses[name] = np.stack(columns, axis=1)
    return responses


def _convolved(shown: np.ndarray, times: np.ndarray) -> np.ndarray:
    if not shown.size:
        return np.zeros(len(times))
    regressor, _ = compute_regressor(shown, "glover", times, oversampling=20)
    return regressor[:, 0]


def fluctuations(
    n_volumes: int, autocorrelation: float, rng: np.random.Generator, inside: np.ndarray
) -> np.ndarray:
    """Return noise that neighbours in space and in time share.

    Parameters
    ----------
    n_volumes : int
    autocorrelation : float
        From one volume to the next, of a process of first order.
    rng : numpy Generator
    inside : bool array GRID
        Of the voxels that are wanted.

    Returns
    -------
    float32 array (n_volumes, n_voxels)
        Of unit variance.
    """
    white = rng.standard_normal((n_volumes, *GRID), dtype=np.float32)
    # Around the edges, so that all voxels have the same variance.
    blurred = scipy.ndimage.gaussian_filter(white, BLUR, axes=(1, 2, 3), mode="wrap")
    impulse = np.zeros(GRID)
    impulse[0, 0, 0] = 1
    kernel = scipy.ndimage.gaussian_filter(impulse, BLUR, mode="wrap")
    innovations = blurred[:, inside] * np.float32(1 / np.linalg.norm(kernel))
    gain = np.float32(np.sqrt(1 - autocorrelation**2))
    # Stationary from the first volume on.
    innovations[0] /= gain
    past = np.array([1, -autocorrelation], dtype=np.float32)
    return scipy.signal.lfilter(gain[np.newaxis], past, innovations, axis=0)


class Movie:
    """What all subjects see, and share.

    Parameters
    ----------
    runs : mapping, run -> Run
    responses : mapping, run -> float array (n_volumes, n_emotions)
        From `emotion_responses`.
    emotions : sequence of n_emotions str
    tr : float
        Seconds between volumes.
    rng : numpy Generator
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        responses: Mapping[str, np.ndarray],
        *,
        emotions: Sequence[str],
        tr: float,
        rng: np.random.Generator,
    ) -> None:
        self.runs, self.responses, self.tr = runs, responses, tr
        self.inside = brain_mask()
        # (n_emotions, n_voxels), a weight where a voxel responds.
        self.weights = np.zeros((len(emotions), int(self.inside.sum())))
        for name, mask in region_masks().items():
            own = mask[self.inside]
            weights = rng.uniform(*WEIGHT, int(own.sum()))
            for emotion in set(REGIONS[name].emotions) & set(emotions):
                self.weights[list(emotions).index(emotion), own] = weights
        size, autocorrelation = SHARED
        n_moments = int(np.ceil(duration(runs) / tr)) + 1
        self._shared = size * fluctuations(n_moments, autocorrelation, rng, self.inside)

    def shared(self, run: str) -> np.ndarray:
        """Return what all subjects share apart from emotions, percent (n_volumes, n_voxels).

        Where two runs show the same part of the movie, it is the same in both.
        """
        first, n_volumes = round(self.runs[run].start / self.tr), self.runs[run].n_volumes
        return self._shared[first : first + n_volumes]

    def evoked(self, run: str) -> np.ndarray:
        """Return the response to emotions, percent (n_volumes, n_voxels)."""
        return RESPONSE * self.responses[run] @ self.weights


def simulate_run(
    movie: Movie, run: str, *, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the volumes of one subject in one run, and the subject's motion.

    Parameters
    ----------
    movie : Movie
    run : str
    strength : float
        Of the subject's responses to emotions; 0 for none.
    rng : numpy Generator

    Returns
    -------
    volumes : float32 array (*GRID, n_volumes)
    motion : float64 array (n_volumes, 6), mm and radians
    """
    n_volumes, inside = movie.runs[run].n_volumes, movie.inside
    time = np.linspace(-1, 1, n_volumes)
    motion = np.cumsum(STEP * rng.standard_normal((n_volumes, len(MOTION))), axis=0)
    moved = (motion - motion.mean(axis=0)) / motion.std(axis=0)
    slopes, bends, offsets, *edges = fluctuations(3 + len(MOTION), 0.0, rng, inside)
    percent = (
        sum(size * fluctuations(n_volumes, rho, rng, inside) for size, rho in (FAST, SLOW))
        + movie.shared(run)
        + DRIFT * (np.outer(time, slopes) + np.outer(np.cos(np.pi * time), bends) / 2)
        + OFFSET * offsets
        + MOVED / np.sqrt(len(MOTION)) * moved @ np.array(edges)
        + strength * movie.evoked(run)
    )
    dark = DARK * BRIGHTNESS * np.abs(rng.standard_normal((n_volumes, *GRID), dtype=np.float32))
    dark[:, inside] = BRIGHTNESS * (1 + percent / 100)
    return np.moveaxis(dark, 0, -1), motion


def confound_table(motion: np.ndarray) -> pd.DataFrame:
    """Return a BIDS table of motion (n_volumes, 6) and framewise displacement, of which the first
    is not known.

    References
    ----------
    Power et al. 2012, NeuroImage 59:2142.
    """
    table = pd.DataFrame(motion, columns=list(MOTION))
    steps = np.abs(np.diff(motion * [1, 1, 1, HEAD, HEAD, HEAD], axis=0)).sum(axis=1)
    return table.assign(framewise_displacement=[np.nan, *steps])


def truth_table(emotions: Sequence[str], *, null_effect: bool) -> pd.DataFrame:
    """Return which regions respond to which emotions.

    Returns
    -------
    DataFrame, a row per region and emotion
        region, number (in the image of regions), emotion (that it responds to, "none" without an
        effect), with_effect (the emotion that it responds to where there is an effect), n_voxels.
    """
    rows = [
        (name, number, NULL if null_effect else emotion, emotion, int(mask.sum()))
        for number, (name, mask) in enumerate(region_masks().items(), 1)
        for emotion in REGIONS[name].emotions
        if emotion in emotions
    ]
    return pd.DataFrame(rows, columns=TRUTH_COLUMNS)


def simulate_movie(
    folder: str | Path,
    *,
    subjects: Sequence[str],
    runs: Mapping[str, Mapping[str, float]],
    tr: float,
    files: str,
    confounds: str | None,
    annotations: str,
    observers: Sequence[str],
    emotions: Sequence[str],
    null_effect: bool,
    seed: int,
    name: str,
) -> pd.DataFrame:
    """Write volumes, confounds, regions and annotations of a study; return which region does what.

    Parameters
    ----------
    folder : str or Path
        Where the files go.
    subjects, observers : sequences of str
    runs : mapping, run -> {start, end (s of the movie), n_volumes}
    tr : float
        Seconds between volumes.
    files, confounds : str
        Paths in the folder with {subject} and {run}; no tables of confounds without the latter.
    annotations : str
        Path in the folder with {observer}.
    emotions : sequence of str
        That the movie shows.
    null_effect : bool
        Whether no voxel responds to emotions.
    seed : int
        Of the run.
    name : str
        Of the simulation; others with the same seed are independent of it.

    Returns
    -------
    DataFrame, as of `truth_table`

    Raises
    ------
    InputError
        Runs that cannot be, or an emotion that no region responds to.
    """
    _check_planted(emotions)
    folder = Path(folder)
    found = runs_of(runs)
    episodes = simulate_annotations(
        folder,
        observers=observers,
        duration=duration(found),
        emotions=emotions,
        rng=generator(seed, "simulate_movie", name, "annotations"),
        files=annotations,
    )
    responses = emotion_responses(episodes, found, emotions=emotions, tr=tr)
    rng = generator(seed, "simulate_movie", name, "movie")
    movie = Movie(found, responses, emotions=emotions, tr=tr, rng=rng)
    for subject in subjects:
        rng = generator(seed, "simulate_movie", name, subject)
        strength = 0.0 if null_effect else rng.uniform(*STRENGTH)
        for run in found:
            volumes, motion = simulate_run(movie, run, strength=strength, rng=rng)
            write_bold(folder / files.format(subject=subject, run=run), volumes, tr=tr)
            if confounds:
                path = folder / confounds.format(subject=subject, run=run)
                with written_whole(path) as temporary:
                    confound_table(motion).to_csv(temporary, sep="\t", index=False, na_rep="n/a")
    numbers = sum(number * mask for number, mask in enumerate(region_masks().values(), 1))
    # The first is data of the study, as regions of an atlas are; the second goes with the truth.
    for file in ("regions.nii.gz", "truth.nii.gz"):
        write_image(folder / file, numbers.astype(np.uint8), AFFINE)
    return truth_table(emotions, null_effect=null_effect)


def _check_planted(emotions: Sequence[str]) -> None:
    planted = sorted({emotion for region in REGIONS.values() for emotion in region.emotions})
    for emotion in emotions:
        if emotion not in planted:
            raise InputError(
                f"config, labels.classes: found {emotion}, expected some of {', '.join(planted)}, "
                "which regions of the simulated brain respond to; choose among them"
            )


def write_bold(path: Path, volumes: np.ndarray, *, tr: float) -> None:
    """Write volumes (x, y, z, n_volumes) as scanners do: whole numbers and a slope, TR in s."""
    write_image(path, volumes, AFFINE, tr=tr, dtype=np.int16)


if __name__ == "__main__":
    with script_job(snakemake):
        params, output = snakemake.params, snakemake.output
        truth = simulate_movie(
            Path(output.truth).parent,
            subjects=params.subjects,
            runs=params.runs,
            tr=params.tr,
            files=params.files,
            confounds=params.confounds,
            annotations=params.annotations,
            observers=params.observers,
            emotions=params.emotions,
            null_effect=params.null_effect,
            seed=params.seed,
            name=snakemake.wildcards.folder,
        )
        write_table(truth, output.truth)
