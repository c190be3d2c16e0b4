"""Gather the scores of all models of pairs: what leakage adds to them, and their order.

snakemake --cores 1 results/demo/scenes/tables/model_ranking.csv
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from scripts.dissimilarity.evaluation.pair_draws import OF_DRAWS, read_draws
from scripts.dissimilarity.evaluation.score_tables import NAMING, fully_trained, read_scores
from workflow.lib.inference.variance import interval, one_factor_variance
from workflow.lib.jobs import script_job
from workflow.lib.pairs.resampling import MEASURES
from workflow.lib.pairs.splits import CLEAN, LEAKED, ONE_SEEN
from workflow.lib.tables import read_table, write_table

# What names a fit in these tables, and which kind of model it is.
NAMING_AND_KIND = (*NAMING, "kind")
# Splits whose test images were seen in training, and what is compared with the clean one.
SEEN = (LEAKED, ONE_SEEN)
# What is said of a split: how leaked pairs were dealt out, and what labels were standardised by.
OF_SPLIT = ("deal", "labels")
INFLATION = (
    *("study", "subject", "roi", "metric", *NAMING_AND_KIND, "measure", "split", *OF_SPLIT),
    *("seen", "clean", "value", "low", "high", "n_images"),
    *("mean", "mean_low", "mean_high", "n_subjects"),
)
RANKING = (
    *(
        "study",
        "roi",
        "metric",
        "split",
        "measure",
        "rank",
        *NAMING_AND_KIND,
        "value",
        "low",
        "high",
    ),
    *("subject_low", "subject_high", "difference", "difference_low", "difference_high"),
    *("ceiling", "share_of_ceiling", "n_subjects", "n_images", "n_pairs"),
)


@dataclass(frozen=True)
class Fit:
    """Scores of one fit in every subject that it was applicable to.

    Attributes
    ----------
    values : float64 array (n_subjects,)
    draws : list of float64 arrays (n_resamples,)
        In resamples of each subject's images, the same of those that several saw.
    n_images : int array (n_subjects,)
    subjects : tuple of str
    """

    values: np.ndarray
    draws: list[np.ndarray]
    n_images: np.ndarray
    subjects: tuple[str, ...] = ()

    @cached_property
    def mean(self) -> float:
        """Mean over subjects, NaN of none."""
        return float(self.values.mean()) if self.values.size else np.nan

    def less(self, other: "Fit") -> "Fit":
        """Return the difference from another fit, both resampled alike."""
        draws = [own - others for own, others in zip(self.draws, other.draws, strict=True)]
        return Fit(self.values - other.values, draws, self.n_images, self.subjects)

    def over_images(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean, for new images of these subjects.

        From the mean over subjects in each resample: scores of subjects who saw the same images
        vary together, those of others do not, and draws do as scores. Degrees of freedom are those
        of the subject with the fewest images.

        Notes
        -----
        Of 150 data sets with 40 images of each subject, intervals held the mean score in 93 to 96 %
        (4, 6 and 15 subjects who saw the same images), and of six subjects with half of the images,
        or none, in common in 98 %. Variances added up, as of subjects who saw images of their own,
        are too small for the same images: 83, 78 and 61 %.
        """
        if not self.values.size:
            return np.nan, np.nan
        n = int(self.n_images.min())
        variance = one_factor_variance(np.mean(self.draws, axis=0), n)
        low, high = interval(np.float64(self.mean), variance, n - 1)
        return float(low), float(high)

    def over_subjects(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean, for new subjects; NaN of fewer than two."""
        n = self.values.size
        if n < 2:
            return np.nan, np.nan
        low, high = interval(np.float64(self.mean), self.values.var(ddof=1) / n, n - 1)
        return float(low), float(high)


class Fits:
    """Finds the scores of fits to all training images.

    Parameters
    ----------
    scores : DataFrame, tables of `score_pair_models` together
    draws : mapping, values of `OF_DRAWS` -> array (n_resamples, n_measures)
    """

    def __init__(self, scores: pd.DataFrame, draws: Mapping[tuple[str, ...], np.ndarray]) -> None:
        self.rows = {
            (*(getattr(row, name) for name in OF_DRAWS), row.measure): row
            for row in fully_trained(scores).itertuples()
            if np.isfinite(row.value)
        }
        self.draws = draws

    def find(self, subjects: Sequence[str], labels: Mapping[str, str], measure: str) -> Fit:
        """Return a fit of the subjects that it was applicable to.

        Parameters
        ----------
        subjects : sequence of str
        labels : mapping with a value for each of `OF_DRAWS` but the subject
        measure : str
        """
        keys = [
            tuple(subject if name == "subject" else labels[name] for name in OF_DRAWS)
            for subject in subjects
        ]
        keys = [key for key in keys if (*key, measure) in self.rows]
        rows = [self.rows[(*key, measure)] for key in keys]
        return Fit(
            np.array([row.value for row in rows], np.float64),
            [self.draws[key][:, MEASURES.index(measure)] for key in keys],
            np.array([row.n_images for row in rows], int),
            tuple(row.subject for row in rows),
        )


def inflation_table(scores: pd.DataFrame, fits: Fits) -> pd.DataFrame:
    """Return what scores gain by images that were seen, of every fit, subject and measure.

    Parameters
    ----------
    scores : DataFrame, tables of `score_pair_models` together
    fits : Fits

    Returns
    -------
    DataFrame with the columns `INFLATION`
        A row for each split of `SEEN`: its score (seen), that of the clean split, and the
        difference (value) with its interval over images (low, high), which both splits resample
        alike; NaN where a split was not applicable. The mean over subjects with its interval over
        subjects (mean_low, mean_high) stands in each of their rows.
    """
    rows = []
    by_fit = ["study", "roi", "metric", *NAMING_AND_KIND, "measure"]
    seen = scores[scores["split"].isin(SEEN)]
    for names, of_fit in seen.groupby([*by_fit, "split"], sort=False):
        labels = dict(zip([*by_fit, "split"], names, strict=True))
        labels |= of_fit.iloc[0][list(OF_SPLIT)].to_dict()
        rows += _inflations(fits, list(dict.fromkeys(of_fit["subject"])), labels)
    return pd.DataFrame(rows, columns=list(INFLATION))


def _inflations(
    fits: Fits, subjects: Sequence[str], labels: Mapping[str, str]
) -> list[dict[str, float | str]]:
    """Return the rows of one fit on one split, a subject each."""
    pairs = {
        subject: [
            fits.find([subject], {**labels, "split": split}, labels["measure"])
            for split in (labels["split"], CLEAN)
        ]
        for subject in subjects
    }
    differences = {
        subject: seen.less(clean)
        for subject, (seen, clean) in pairs.items()
        if seen.values.size and clean.values.size
    }
    values = np.array([difference.mean for difference in differences.values()])
    mean = Fit(values, [], np.zeros(values.size, int))
    low, high = mean.over_subjects()
    rows = []
    for subject, (seen, clean) in pairs.items():
        row = {**labels, "subject": subject, "seen": seen.mean, "clean": clean.mean}
        row |= {"mean": mean.mean, "mean_low": low, "mean_high": high, "n_subjects": values.size}
        if subject in differences:
            difference = differences[subject]
            row |= {"value": difference.mean, "n_images": int(difference.n_images[0])}
            row |= dict(zip(("low", "high"), difference.over_images(), strict=True))
        rows.append(row)
    return rows


def ranking_table(scores: pd.DataFrame, fits: Fits, ceilings: pd.DataFrame) -> pd.DataFrame:
    """Return the fits of every ROI, metric, split and measure, from the best to the worst.

    Parameters
    ----------
    scores : DataFrame, tables of `score_pair_models` together
    fits : Fits
    ceilings : DataFrame, roi, metric, measure, value; a row per subject, or none

    Returns
    -------
    DataFrame with the columns `RANKING`
        value is the mean over subjects, with its intervals over images of these subjects (low,
        high) and over subjects (subject_low, subject_high). difference is that from the best fit,
        with its interval over images, which both fits resample alike: the best is the best on these
        same pairs, so that others are a little nearer to it than it seems. Best is one of those
        fitted to the most subjects; fits to others are not compared with it, and fits that were not
        applicable come last. Ceilings are those of the same subjects, and of clean pairs alone:
        what an image of the training has of its own, noise too, is no secret of other pairs.
    """
    tables = []
    place = ["study", "roi", "metric", "split", "measure"]
    for names, of_place in scores.groupby(place, sort=False):
        labels = dict(zip(place, names, strict=True))
        subjects = list(dict.fromkeys(of_place["subject"]))
        named = of_place[list(NAMING_AND_KIND)].drop_duplicates().to_dict("records")
        found = [
            (name, fits.find(subjects, {**labels, **name}, labels["measure"])) for name in named
        ]
        found.sort(key=lambda one: -one[1].mean if one[1].values.size else np.inf)
        # As in the order of the means, so that of several the best comes first.
        best = max((fit for _, fit in found), key=lambda fit: len(fit.subjects))
        table = pd.DataFrame(
            [_ranked(fit, best, _mean_ceiling(ceilings, labels, fit)) | name for name, fit in found]
        ).assign(**labels, n_pairs=of_place["n_pairs"].max())
        table["rank"] = table["value"].rank(ascending=False, method="min").astype("Int64")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)[list(RANKING)]


def _ranked(fit: Fit, best: Fit, ceiling: float) -> dict[str, float]:
    # Of fits to other subjects the difference is not one of fits alone.
    paired = fit.less(best) if fit.subjects == best.subjects else Fit(np.empty(0), [], np.empty(0))
    columns = {"value": fit.mean, "difference": paired.mean, "ceiling": ceiling}
    for names, limits in (
        (("low", "high"), fit.over_images()),
        (("subject_low", "subject_high"), fit.over_subjects()),
        (("difference_low", "difference_high"), paired.over_images()),
    ):
        columns |= dict(zip(names, limits, strict=True))
    return columns | {
        "share_of_ceiling": fit.mean / ceiling if ceiling > 0 else np.nan,
        "n_subjects": fit.values.size,
        "n_images": fit.n_images.max(initial=0),
    }


def _mean_ceiling(ceilings: pd.DataFrame, labels: Mapping[str, str], fit: Fit) -> float:
    """Return the mean ceiling of the subjects of a fit, NaN where pairs are not clean."""
    if labels["split"] != CLEAN:
        return np.nan
    of_place = np.logical_and.reduce(
        [ceilings[name] == labels[name] for name in ("roi", "metric", "measure")]
        + [ceilings["subject"].isin(fit.subjects)]
    )
    return float(ceilings.loc[of_place, "value"].mean())


if __name__ == "__main__":
    with script_job(snakemake):
        inputs, outputs = snakemake.input, snakemake.output
        # Read as text before they are joined: whole numbers beside missing ones would become 1.0.
        scores = pd.concat(map(read_scores, inputs.scores), ignore_index=True)
        fits = Fits(scores, dict(ChainMap(*map(read_draws, inputs.draws))))
        write_table(scores, outputs.scores)
        write_table(inflation_table(scores, fits), outputs.inflation)
        write_table(ranking_table(scores, fits, read_table(inputs.ceilings)), outputs.ranking)
