"""Draw a true and a predicted RDM side by side, and pair against pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator

from scripts.dissimilarity.evaluation.score_tables import (
    chosen,
    first_if_none,
    fully_trained,
    read_scores,
)
from scripts.dissimilarity.figures.pair_figures import (
    METRICS,
    SPLITS,
    best_fit,
    best_note,
    called,
    measured,
    say_not_applicable,
)
from scripts.dissimilarity.fits.pair_predictions import read_predictions
from workflow.lib.jobs import script_job
from workflow.lib.pairs.predictions import PairPredictions
from workflow.lib.plotting import PAGE_WIDTH, SEQUENTIAL, titled, use_style, write_figure
from workflow.lib.rdms.vectors import condensed_index, n_conditions, take_conditions, to_square

# More images than a panel has dots; a part of them, evenly spread, is shown.
MAX_IMAGES = 400
# Of pairs, beyond which the bins of the scatter look the same.
MAX_PAIRS = 2_000_000
SHOWN = ("r2", "spearman", "pearson")
# Why some pairs have no prediction, by split.
WHY_NOT = {
    "clean": ", since they join images of two folds",
    "one_seen": " (of a pair that two folds test, the mean prediction is shown)",
}


@dataclass(frozen=True)
class Prediction:
    """Of one fit, by condensed pairs; NaN where a pair was not tested.

    Attributes
    ----------
    true, predicted : float32 array (n_pairs,)
    """

    true: np.ndarray
    predicted: np.ndarray

    @property
    def tested(self) -> np.ndarray:
        """Return which pairs have a prediction, bool (n_pairs,)."""
        return np.isfinite(self.predicted)


def read_prediction(path: str | Path, fit: Mapping[str, str]) -> Prediction | None:
    """Return the prediction of a fit, None where the model was not applicable.

    Parameters
    ----------
    path : predictions of a subject and model, HDF5
    fit : roi, metric, embedding, variant and split

    Returns
    -------
    Prediction
        Where a pair was tested, true by the labels of the fold; else by those of all images.
    """
    found = read_predictions(path).find(fit)
    if found is None:
        return None
    split, measured = found
    true, predicted = (
        _condensed(split.tests, measured.size, name) for name in ("true", "predicted")
    )
    return Prediction(np.where(np.isnan(true), measured, true).astype(np.float32), predicted)


def _condensed(tests: Sequence[PairPredictions], n_pairs: int, name: str) -> np.ndarray:
    """Return a field of tests by condensed pairs, the mean of those of a pair of two folds."""
    sums, times = np.zeros(n_pairs), np.zeros(n_pairs, np.uint8)
    for test in tests:
        # Within a fold no pair is tested twice.
        index = condensed_index(test.first, test.second, n_conditions(n_pairs))
        sums[index] += getattr(test, name)
        times[index] += 1
    with np.errstate(invalid="ignore"):
        return (sums / np.where(times, times, np.nan)).astype(np.float32)


def folds_of(prediction: Prediction) -> np.ndarray:
    """Return the fold of each image: sets of images that test pairs connect.

    In a clean split no test pair goes from one fold to another; in the others all images are in
    one set.

    Parameters
    ----------
    prediction : Prediction

    Returns
    -------
    int array (n_images,), counted from 0
    """
    n_images = n_conditions(prediction.true.size)
    tested, images = prediction.tested, np.arange(n_images)
    folds = np.full(n_images, -1)
    for seed in images:
        if folds[seed] >= 0:
            continue
        folds[seed], waiting = folds.max() + 1, [seed]
        while waiting:
            image = waiting.pop()
            others = images[(folds < 0) & (images != image)]
            found = others[tested[condensed_index(np.full(others.size, image), others, n_images)]]
            folds[found] = folds[seed]
            waiting.extend(found)
    return folds


def shown_images(prediction: Prediction) -> np.ndarray:
    """Return images by fold, then by the first principal coordinate of the true RDM.

    Parameters
    ----------
    prediction : Prediction

    Returns
    -------
    int array (n_shown,)
        At most `MAX_IMAGES`, evenly spread over the folds.
    """
    folds = folds_of(prediction)
    by_fold = np.argsort(folds, kind="stable")
    n_shown = min(folds.size, MAX_IMAGES)
    shown = by_fold[np.linspace(0, folds.size - 1, n_shown).astype(int)]
    true = take_conditions(prediction.true, shown).astype(float)
    square = to_square(np.nan_to_num(true, nan=np.nanmean(true)), n_shown)
    centred = square - square.mean(axis=0) - square.mean(axis=1, keepdims=True) + square.mean()
    # Of the most negative eigenvalue: dissimilarities as squared distances, less a factor of -1/2.
    coordinate = np.linalg.eigh(centred)[1][:, 0]
    return shown[np.lexsort((coordinate, folds[shown]))]


def plot_true_predicted(
    prediction: Prediction | None,
    scores: pd.DataFrame,
    *,
    fit: Mapping[str, str],
    n_fits: int,
    title: str,
    simulated: bool,
) -> tuple[plt.Figure, str]:
    """Draw the true RDM, the predicted one, and every test pair.

    Parameters
    ----------
    prediction : Prediction, or None where no model was applicable
    scores : DataFrame, rows of `pair_scores.csv`
    fit : subject, roi, metric, split, model, embedding and variant of the fit that is shown
    n_fits : number of fits that it is the best of
    title : name of the study
    simulated : whether the data is simulated
    """
    use_style()
    figure, axes = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 3.05), layout="constrained")
    model = called(fit)
    figure.suptitle(
        f"{titled(title, simulated=simulated)}: {fit['subject']}, {fit['roi']}, {model}\n"
        f"{SPLITS.get(fit['split'], fit['split'])}"
    )
    if prediction is None or not prediction.tested.any():
        say_not_applicable(axes[1])
        for axis in axes:
            axis.set_axis_off()
        return figure, f"{model} was not applicable to {fit['roi']} of {fit['subject']}."
    shown = shown_images(prediction)
    label = METRICS.get(fit["metric"], fit["metric"])
    for axis, name in zip(axes, ("true", "predicted"), strict=False):
        _draw_rdm(axis, prediction, name, shown)
        axis.set_title(f"{name}: {label}")
    measures = _measures(scores, fit)
    _draw_pairs(axes[2], prediction, label)
    scores_shown = ", ".join(_short(measures, name) for name in SHOWN[:2])
    axes[2].set_title(f"{scores_shown}\nn = {prediction.tested.sum():,} pairs")
    caption = _caption(prediction, measures, fit, len(shown))
    return figure, f"{caption} {best_note(n_fits, split=fit['split'])}".strip()


def _draw_rdm(axis: plt.Axes, prediction: Prediction, name: str, shown: np.ndarray) -> None:
    n_images = n_conditions(prediction.true.size)
    values = np.where(prediction.tested, getattr(prediction, name), np.nan)
    square = to_square(take_conditions(values, shown), len(shown))
    np.fill_diagonal(square, np.nan)
    low, high = np.nanpercentile(square, [1, 99])
    mesh = axis.imshow(square, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
    axis.set_facecolor("0.88")
    axis.set_xticks([])
    axis.set_yticks([])
    part = f"{len(shown)} of " if len(shown) < n_images else ""
    axis.set_xlabel(f"{part}{n_images:,} images")
    bar = axis.figure.colorbar(mesh, ax=axis, shrink=0.75, extend="both", pad=0.03)
    bar.ax.tick_params(labelsize=6.5)


def _step(n_pairs: int) -> int:
    """Return that one pair in so many is drawn."""
    return -(-n_pairs // MAX_PAIRS)


def _draw_pairs(axis: plt.Axes, prediction: Prediction, label: str) -> None:
    tested = np.flatnonzero(prediction.tested)
    drawn = tested[:: _step(tested.size)]
    predicted, true = prediction.predicted[drawn], prediction.true[drawn]
    bins = axis.hexbin(predicted, true, gridsize=36, bins="log", mincnt=1, cmap=SEQUENTIAL, lw=0)
    # One scale for both, so that the line of equal values lies at 45 degrees.
    ends = min(predicted.min(), true.min()), max(predicted.max(), true.max())
    axis.plot(ends, ends, color="black", lw=1, ls="--")
    axis.set(xlim=ends, ylim=ends, aspect="equal")
    axis.set_xlabel(f"predicted: {label}")
    axis.set_ylabel(f"true: {label}")
    ticks = LogLocator(subs=(1, 2, 5))
    bar = axis.figure.colorbar(bins, ax=axis, shrink=0.75, pad=0.03, ticks=ticks, format="%d")
    bar.minorticks_off()
    bar.set_label("test pairs", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)


def _measures(scores: pd.DataFrame, fit: Mapping[str, str]) -> pd.DataFrame:
    """Return the scores of the fit, a row per measure."""
    rows = fully_trained(chosen(scores, **fit))
    return rows.drop_duplicates("measure").set_index("measure")


def _short(measures: pd.DataFrame, name: str) -> str:
    symbol = {"r2": "$R^2$", "spearman": r"$\rho$"}[name]
    return f"{symbol} = {measures['value'].get(name, np.nan):.3f}"


def _caption(
    prediction: Prediction, measures: pd.DataFrame, fit: Mapping[str, str], n_shown: int
) -> str:
    said = "; ".join(
        f"{measured(name, measures)} {row.value:.3f} (95 % interval over images {row.low:.3f} to "
        f"{row.high:.3f})"
        for name in SHOWN
        if name in measures.index
        for row in [measures.loc[name]]
    )
    n_images, n_tested = n_conditions(prediction.true.size), int(prediction.tested.sum())
    untested = prediction.true.size - n_tested
    gaps = (
        f" Grey: {untested:,} pairs that no fold tests{WHY_NOT.get(fit['split'], '')}, and the "
        "diagonal."
        if untested
        else " Grey: the diagonal."
    )
    step = _step(n_tested)
    binned = f"one test pair in {step}" if step > 1 else "test pairs"
    part = f" {n_shown} of {n_images:,} images are shown, the scores are of all." * (
        n_shown < n_images
    )
    return (
        f"True and predicted dissimilarity of {fit['roi']}, {fit['subject']}, a single case, by "
        f"{called(fit)}, {SPLITS.get(fit['split'], fit['split'])}: n = {n_tested:,} test pairs of "
        f"{n_images:,} images. {said}. Images stand by fold, then by the "
        "first principal coordinate of the true RDM; each RDM has its own scale (1st to 99th "
        f"percentile).{gaps}{part} Right: {binned} in bins, both axes of one scale; dashed: "
        "predicted and true are equal; pairs share images and are not independent."
    )


def choose_fit(
    scores: pd.DataFrame, place: Mapping[str, str | None], model: str | None
) -> tuple[dict[str, str], int]:
    """Return the labels of the best fit of a subject, ROI, metric and split, and of how many.

    Parameters
    ----------
    scores : DataFrame, `pair_scores.csv`
    place : subject, roi, metric and split; None for the first of the table
    model : name of a model whose fits alone are considered; None for all

    Returns
    -------
    labels : dict
        Without any fit that was applicable, those of the model that was asked for.
    n_fits : int
    """
    place = {name: first_if_none(label, scores[name]) for name, label in place.items()}
    found = best_fit(chosen(scores, **place), model=model)
    if found is None:
        return {**place, "model": model or "no model", "embedding": "", "variant": ""}, 1
    return {**place, **found[0]}, found[1]


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        scores = read_scores(snakemake.input.table)
        fit, n_fits = choose_fit(scores, params.place, params.model)
        files = {Path(file).stem: file for file in snakemake.input.predictions}
        file = files.get(f"{fit['subject']}_{fit['model']}")
        figure, caption = plot_true_predicted(
            read_prediction(file, fit) if file else None,
            scores,
            fit=fit,
            n_fits=n_fits,
            title=params.title,
            simulated=params.simulated,
        )
        write_figure(snakemake, figure, caption)
