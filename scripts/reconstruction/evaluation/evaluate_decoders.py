"""Score decoded shapes and categories, of training images out of fold and of test images.

snakemake --cores 1 results/demo/pictures/tables/decoder_means.csv
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.decoders.clusters import Clusters, read_clusters
from scripts.reconstruction.evaluation.image_scores import (
    Evaluation,
    Mean,
    Reconstructions,
    matched_null,
    means,
    named,
    over_subjects,
)
from scripts.reconstruction.evaluation.measure_names import PIXELS
from workflow.lib.errors import InputError
from workflow.lib.jobs import script_job
from workflow.lib.scores.copies import over_copies
from workflow.lib.scores.images import correlations, pixel_correlation
from workflow.lib.seeds import generator
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.splits.held_out import HeldOut, attributes_of, parts_of, read_held_out
from workflow.lib.tables import write_table

SHAPES, SEMANTICS = "shapes", "semantics"
SHAPE_COLUMNS = ["decoder", "part", "subject", "name", "pixel_correlation"]


def shape_means(decoded: HeldOut, images: ImageTable, evaluation: Evaluation) -> list[Mean]:
    """Return the mean correlation of decoded with true shapes, and their identification.

    Parameters
    ----------
    decoded : HeldOut
        predicted (n_images, side, side).
    images : ImageTable
        Of the same part.
    evaluation : Evaluation
    """
    alike = correlations(decoded.of(images.names).predicted, images.shapes)
    scores = pd.DataFrame({"pixel_correlation": np.diagonal(alike)})
    return list(means(Reconstructions(scores, {PIXELS: alike}), evaluation))


def shape_scores(decoded: HeldOut, images: ImageTable) -> pd.DataFrame:
    """Return the correlation of each decoded with its true shape: name, pixel_correlation.

    Parameters
    ----------
    decoded : HeldOut
        predicted (n_images, side, side).
    images : ImageTable
        Of the same part.
    """
    made = decoded.of(images.names).predicted
    return pd.DataFrame(
        {"name": images.names, "pixel_correlation": pixel_correlation(made, images.shapes)}
    )


def category_means(
    probabilities: np.ndarray, codes: np.ndarray, top: Sequence[int], evaluation: Evaluation
) -> Iterator[Mean]:
    """Yield in how many images the category is among the most probable ones.

    Parameters
    ----------
    probabilities : float array (n_images, n_categories)
    codes : int array (n_images,)
    top : sequence of int
        Of how many: 1 is the accuracy.
    evaluation : Evaluation

    Notes
    -----
    Chance is what the same predictions reach if they are given to other images, of their fold: who
    always says the most frequent category is right as often as that is, and tells nothing. NaN
    where no two images share a fold.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    for n_top in top:
        named_ones = ranked[:, :n_top, np.newaxis]
        right = (named_ones == codes).any(axis=1).astype(np.float64)
        expected, null = matched_null(right, evaluation)
        draws = evaluation.resampled(over_copies(np.diagonal(right), evaluation.groups))
        measure = "accuracy" if n_top == 1 else f"top_{n_top}"
        chance = expected if evaluation.has_chance else np.nan
        against = evaluation.against(expected, null)
        yield Mean(measure, "", None, null[0], draws, against, chance, is_share=True)


def confusion(probabilities: np.ndarray, codes: np.ndarray) -> pd.DataFrame:
    """Return how many images of each category (label) were decoded as each (predicted)."""
    n_categories = probabilities.shape[1]
    counts = np.zeros((n_categories, n_categories), int)
    np.add.at(counts, (codes, probabilities.argmax(axis=1)), 1)
    label, predicted = np.indices(counts.shape)
    return pd.DataFrame(
        {"label": label.ravel(), "predicted": predicted.ravel(), "n": counts.ravel()}
    )


@dataclass(frozen=True)
class Scoring:
    """What decoders are scored against.

    Attributes
    ----------
    images : ImageTable
        Of all parts.
    clusters : Clusters or None
        Where categories are decoded.
    evaluations : mapping, part -> Evaluation
    top : sequence of int
        Of how many most probable categories one has to be right.
    """

    images: ImageTable
    clusters: Clusters | None
    evaluations: Mapping[str, Evaluation]
    top: Sequence[int]

    def means(self, what: str, part: str, decoded: HeldOut) -> list[Mean]:
        """Return the means of what a decoder says of the images of a part.

        Raises
        ------
        InputError
            Folds that are not those of the evaluation.
        """
        own, evaluation = self.images.of(part), self.evaluations[part]
        decoded = decoded.of(own.names)
        if not np.array_equal(decoded.fold, evaluation.folds):
            raise InputError(
                f"predictions of {what}: found another fold of some images of the part {part!r} "
                "than in another file, expected the folds of the study in all; delete the files "
                "and run again"
            )
        if what == SHAPES:
            return shape_means(decoded, own, evaluation)
        probabilities = decoded.extra["probabilities"]
        codes = self.clusters.codes(part, own.names)
        top = [n for n in self.top if n < probabilities.shape[1]]
        return list(category_means(probabilities, codes, top, evaluation))

    def confusion(self, part: str, decoded: HeldOut) -> pd.DataFrame:
        """Return the confusions of a decoder of categories."""
        names = self.images.of(part).names
        return confusion(decoded.of(names).extra["probabilities"], self.clusters.codes(part, names))


def folds_of(files: Sequence[Path], part: str, names: Sequence[str]) -> np.ndarray | None:
    """Return the fold of each image in the first file that holds a part; None where none does."""
    for file in files:
        if part in parts_of(file):
            return read_held_out(file, part).of(names).fold
    return None


def score_shapes(files: Sequence[Path], images: ImageTable) -> pd.DataFrame:
    """Return the score of every decoded shape, of all decoders, subjects and parts.

    Parameters
    ----------
    files : sequence of paths
        Predictions of decoders of shapes, of all subjects.
    images : ImageTable
        Of all parts.

    Returns
    -------
    DataFrame
        decoder, part, subject, name, pixel_correlation.
    """
    tables = [
        shape_scores(read_held_out(file, part), images.of(part)).assign(
            part=part, **attributes_of(file)
        )
        for file in files
        for part in parts_of(file)
    ]
    empty = pd.DataFrame(columns=SHAPE_COLUMNS)
    return pd.concat(tables or [empty], ignore_index=True)[SHAPE_COLUMNS]


def evaluate_decoders(
    files: Mapping[str, Sequence[Path]], scoring: Scoring
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the means of all decoders, and the confusions of those of categories.

    Parameters
    ----------
    files : mapping, "shapes" and "semantics" -> paths of predictions of all subjects
    scoring : Scoring

    Returns
    -------
    means : DataFrame
        what, decoder, part, subject ("joint" for the mean over subjects), and `Mean.row`.
    confusions : DataFrame
        decoder, part, subject, label, predicted, n.
    """
    rows, confusions = [], []
    for what, paths in files.items():
        found: dict[tuple[str, str], dict[str, list[Mean]]] = {}
        for path in paths:
            about = attributes_of(path)
            for part in parts_of(path):
                decoded = read_held_out(path, part)
                key = str(about["decoder"]), part
                by_subject = found.setdefault(key, {})
                by_subject[str(about["subject"])] = scoring.means(what, part, decoded)
                if what == SEMANTICS:
                    table = scoring.confusion(part, decoded)
                    confusions.append(table.assign(part=part, **about))
        for (decoder, part), by_subject in found.items():
            by_subject[JOINT_SUBJECT] = over_subjects(list(by_subject.values()))
            for subject, values in by_subject.items():
                about = {"what": what, "decoder": decoder, "part": part, "subject": subject}
                rows += named((mean.row(scoring.evaluations[part]) for mean in values), **about)
    columns = ["decoder", "part", "subject", "label", "predicted", "n"]
    empty = pd.DataFrame(columns=columns)
    return pd.DataFrame(rows), pd.concat([empty, *confusions], ignore_index=True)[columns]


if __name__ == "__main__":
    with script_job(snakemake):
        params, study = snakemake.params, snakemake.wildcards.study
        images = read_image_table(Path(snakemake.input.images))
        clusters = snakemake.input.get("clusters")
        files = {
            SHAPES: [Path(file) for file in snakemake.input.shapes],
            SEMANTICS: [Path(file) for file in snakemake.input.semantics],
        }
        scoring = Scoring(
            images,
            read_clusters(Path(clusters)) if clusters else None,
            {
                part: Evaluation.of(
                    images.of(part).groups,
                    n_bootstrap=params.n_bootstrap,
                    n_permutations=params.n_permutations,
                    n_way=params.n_way,
                    rng=generator(params.seed, "reconstruction", "decoders", study, part),
                    folds=folds_of(
                        [*files[SHAPES], *files[SEMANTICS]], part, images.of(part).names
                    ),
                )
                for part in dict.fromkeys(images.parts)
            },
            params.top,
        )
        table, confusions = evaluate_decoders(files, scoring)
        write_table(table, snakemake.output.means)
        write_table(confusions, snakemake.output.confusion)
        write_table(score_shapes(files[SHAPES], images), snakemake.output.shapes)
