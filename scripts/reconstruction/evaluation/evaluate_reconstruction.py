"""Score reconstructions against the images: image by image, means with intervals, ablations.

snakemake --cores 2 results/demo/pictures/tables/reconstruction_means.csv
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scripts.reconstruction.data.image_table import ImageTable, read_image_table
from scripts.reconstruction.evaluation.compared_features import read_compared, read_network
from scripts.reconstruction.evaluation.image_scores import (
    Evaluation,
    Mean,
    Reconstructions,
    differences,
    image_table,
    means,
    named,
    over_subjects,
)
from workflow.lib.jobs import script_job
from workflow.lib.seeds import generator
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.splits.held_out import attributes_of, parts_of, read_held_out
from workflow.lib.tables import write_table


@dataclass(frozen=True)
class Files:
    """The reconstructions of a study.

    Attributes
    ----------
    reconstructions : list of paths
        Of every generator and baseline, and every subject.
    by_networks : mapping, features -> path of what `compare_features` wrote
    """

    reconstructions: Sequence[Path]
    by_networks: Mapping[str, Path]

    def of(self, part: str, images: ImageTable) -> dict[tuple[str, str], Reconstructions]:
        """Return the scored reconstructions of a test by generator and subject."""
        found = {}
        for path in self.reconstructions:
            if part not in parts_of(path):
                continue
            about = attributes_of(path)
            made = read_held_out(path, part).of(images.names).predicted
            compared = {
                features: read_compared(file, path, part)
                for features, file in self.by_networks.items()
            }
            key = str(about["generator"]), str(about["subject"])
            found[key] = Reconstructions.of(made, images.images, compared)
        return found


@dataclass(frozen=True)
class Tables:
    """What is written of all tests.

    Attributes
    ----------
    images : DataFrame
        part, generator, subject, name, and scores, see `image_table`.
    means : DataFrame
        part, generator, subject ("joint" for the mean over subjects), and `Mean.row`.
    differences : DataFrame
        part, generator, other, subject, and `differences`: how much better the generator is than
        the other.

    In the last two, `network` says of features which network they are of, and its weights; it is
    empty for pixels.
    """

    images: pd.DataFrame
    means: pd.DataFrame
    differences: pd.DataFrame


def evaluate_part(
    part: str,
    images: ImageTable,
    found: Mapping[tuple[str, str], Reconstructions],
    evaluation: Evaluation,
    reference: str | None,
    pairs: Collection[Sequence[str]],
) -> Tables:
    """Return the tables of one test.

    Parameters
    ----------
    part : str
    images : ImageTable
        Of the part.
    found : mapping, (generator, subject) -> Reconstructions
    evaluation : Evaluation
    reference : str or None
        The generator that all others are compared with.
    pairs : collection of (generator, other)
        Others that are compared.
    """
    scores = [
        image_table(made, images.names, images.groups).assign(
            part=part, generator=generator_name, subject=subject
        )
        for (generator_name, subject), made in found.items()
    ]
    of_all: dict[tuple[str, str], list[Mean]] = {
        key: list(means(made, evaluation)) for key, made in found.items()
    }
    for name in dict.fromkeys(name for name, _ in found):
        own = [of_all[key] for key in found if key[0] == name]
        of_all[name, JOINT_SUBJECT] = over_subjects(own)
    rows, compared = [], []
    for (name, subject), values in of_all.items():
        about = {"part": part, "generator": name, "subject": subject}
        rows += named((mean.row(evaluation) for mean in values), **about)
        for better in _compared_with(name, reference, pairs):
            if (better, subject) in of_all:
                ours = of_all[better, subject]
                about = {"part": part, "generator": better, "other": name, "subject": subject}
                compared += named(differences(ours, values, evaluation), **about)
    return Tables(pd.concat(scores, ignore_index=True), pd.DataFrame(rows), pd.DataFrame(compared))


def _compared_with(
    name: str, reference: str | None, pairs: Collection[Sequence[str]]
) -> Iterator[str]:
    """Yield the generators that one is taken off: the reference, and those of pairs."""
    if reference is not None and name != reference:
        yield reference
    yield from (better for better, other in pairs if other == name)


def evaluate_reconstruction(
    images: ImageTable,
    files: Files,
    *,
    n_way: Sequence[int],
    n_bootstrap: int,
    n_permutations: int,
    reference: str | None,
    pairs: Collection[Sequence[str]],
    seed: int,
    study: str,
) -> Tables:
    """Return the tables of all tests.

    Parameters
    ----------
    images : ImageTable
        Of all parts.
    files : Files
    n_way : sequence of int
        Of identification.
    n_bootstrap, n_permutations : int
    reference : str or None
        The generator that all others are compared with.
    pairs : collection of (generator, other)
        Others that are compared.
    seed : int
    study : str

    Raises
    ------
    InputError
        Too few test images.
    """
    parts = []
    for part in images.tests:
        own = images.of(part)
        evaluation = Evaluation.of(
            own.groups,
            n_bootstrap=n_bootstrap,
            n_permutations=n_permutations,
            n_way=n_way,
            rng=generator(seed, "reconstruction", "evaluation", study, part),
        )
        found = files.of(part, own)
        parts.append(evaluate_part(part, own, found, evaluation, reference, pairs))
    networks = {name: read_network(path) for name, path in files.by_networks.items()}
    return Tables(
        pd.concat([tables.images for tables in parts], ignore_index=True),
        _with_networks([tables.means for tables in parts], networks),
        _with_networks([tables.differences for tables in parts], networks),
    )


def _with_networks(tables: Sequence[pd.DataFrame], networks: Mapping[str, str]) -> pd.DataFrame:
    """Return tables under one another, with the network that each row's features are of."""
    table = pd.concat(tables, ignore_index=True)
    if table.empty:  # a generator alone is compared with none
        return table
    return table.assign(network=[networks.get(features, "") for features in table["features"]])


if __name__ == "__main__":
    with script_job(snakemake):
        params = snakemake.params
        networks = dict(zip(params.networks, map(Path, snakemake.input.compared), strict=True))
        tables = evaluate_reconstruction(
            read_image_table(Path(snakemake.input.images)),
            Files([Path(file) for file in snakemake.input.reconstructions], networks),
            n_way=params.n_way,
            n_bootstrap=params.n_bootstrap,
            n_permutations=params.n_permutations,
            reference=params.reference,
            pairs=params.pairs,
            seed=params.seed,
            study=snakemake.wildcards.study,
        )
        write_table(tables.images, snakemake.output.images)
        write_table(tables.means, snakemake.output.means)
        write_table(tables.differences, snakemake.output.differences)
