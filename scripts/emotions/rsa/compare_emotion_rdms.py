"""Compare the RDMs of emotions with one another, and map where responses resemble each model.

snakemake --cores 1 results/demo/movie/tables/emotion_rsa.csv
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from workflow.lib.inference.permutation import PermutationTest, permute_images
from workflow.lib.inference.sign_flip import SignFlips, sign_flip_test
from workflow.lib.jobs import script_job
from workflow.lib.rdms.store import RDMStore, check_same_images
from workflow.lib.rsa.comparators import compare
from workflow.lib.seeds import generator
from workflow.lib.sources import JOINT_SUBJECT
from workflow.lib.tables import write_table

BRAIN = "brain"
COLUMNS = (
    *("comparator", "subject", "roi", "first", "second", "similarity", "p", "n_reached"),
    *("n_orders", "complete", "mean", "t", "p_subjects", "n_subjects", "reason", "n_images"),
)
PLACE_COLUMNS = (
    *("comparator", "name", "model", "layer", "mean", "t", "p", "p_max", "n_flips"),
    *("n_subjects", "reason", "p_orders", "n_orders", "n_images"),
)


def model_labels(models: RDMStore) -> list[str]:
    """Return how tables call every RDM of models: the model, and its layer where it has several."""
    return [" ".join(filter(None, (row["model"], row["layer"]))) for row in models.rows()]


def compare_emotion_rdms(
    brain: RDMStore,
    models: RDMStore,
    *,
    comparator: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the similarity of every two RDMs, of each subject and of the mean over subjects.

    Parameters
    ----------
    brain : RDMs of subjects and regions, and their means over subjects
    models : what they are compared with
    comparator : str
    n_permutations : int
        All permutations of the emotion labels are taken where there are no more.
    rng : numpy Generator

    Returns
    -------
    DataFrame with `COLUMNS`
        `p` is one-sided, `n_reached` / `n_orders` where all orders are taken. `mean` to `reason`
        belong to the rows of the mean RDM: the subjects' similarities, tested over subjects.
    """
    check_same_images([brain, models])
    options = {
        "n_images": brain.n_images,
        "n_permutations": n_permutations,
        "rng": rng,
    }
    names, vectors = model_labels(models), models.vectors()
    with_brain = permute_images(vectors, brain.vectors(), comparator, **options)
    rows = [
        _row(with_brain, place, column, subject=labels["subject"], roi=labels["roi"])
        | {"first": f"{BRAIN} {labels['roi']}", "second": names[place]}
        | _over_subjects(with_brain, brain, place, column, rng)
        for column, labels in enumerate(brain.rows())
        for place in range(len(names))
    ]
    among = permute_images(vectors, vectors, comparator, **options)
    rows += [
        _row(among, first, second, subject="", roi="")
        | {"first": names[first], "second": names[second]}
        for first, second in itertools.combinations(range(len(names)), 2)
    ]
    table = pd.DataFrame(rows).assign(comparator=comparator, n_images=brain.n_images)
    return table.reindex(columns=list(COLUMNS))


def _row(test: PermutationTest, model: int, other: int, **labels: str) -> dict[str, object]:
    p, n_orders = test.p[model, other], len(test.null)
    return labels | {
        "similarity": test.similarity[model, other],
        "p": p,
        "n_reached": round(p * n_orders) if np.isfinite(p) else np.nan,
        "n_orders": n_orders,
        "complete": test.complete,
    }


def _over_subjects(
    test: PermutationTest, brain: RDMStore, model: int, column: int, rng: np.random.Generator
) -> dict[str, object]:
    """Return the test over subjects of a region, for the row of the mean RDM alone."""
    own = brain.rows()[column]
    if own["subject"] != JOINT_SUBJECT:
        return {}
    columns = [
        place
        for place, labels in enumerate(brain.rows())
        if labels["roi"] == own["roi"] and labels["subject"] != JOINT_SUBJECT
    ]
    flips = sign_flip_test(test.similarity[model, columns][:, np.newaxis], rng=rng)
    return {
        "mean": flips.mean[0],
        "t": flips.t[0],
        "p_subjects": flips.p[0],
        "n_subjects": len(columns),
        "reason": flips.reason,
    }


def map_models(
    places: RDMStore,
    models: RDMStore,
    *,
    comparator: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return where responses resemble each model, a row per place and model.

    Parameters
    ----------
    places : RDMs of every place of every subject
    models : the models; of a network's layers the last one
    comparator, n_permutations, rng : as in `compare_emotion_rdms`

    Returns
    -------
    DataFrame with `PLACE_COLUMNS`
        `p_max` by the largest statistic over the places of a model, sign-flips of subjects;
        `p_orders` of the mean RDM over subjects, by permutations of the emotion labels, of one
        place alone.
        Places without an RDM in some subject are left out.
    """
    check_same_images([places, models])
    names, vectors = _by_subject(places)
    rows = _last_layers(models)
    of_models = models.vectors(rows)
    n_subjects, n_places, n_pairs = vectors.shape
    values = compare(of_models, vectors.reshape(-1, n_pairs), comparator)
    values = values.reshape(len(rows), n_subjects, n_places)
    orders = permute_images(
        of_models,
        vectors.mean(axis=0),
        comparator,
        n_images=places.n_images,
        n_permutations=n_permutations,
        rng=rng,
    )
    labels = models.rows()
    table = pd.concat(
        [
            _map_rows(sign_flip_test(values[number], rng=rng), names, n_subjects).assign(
                model=labels[row]["model"],
                layer=labels[row]["layer"],
                p_orders=orders.p[number],
            )
            for number, row in enumerate(rows)
        ],
        ignore_index=True,
    )
    table = table.assign(comparator=comparator, n_orders=len(orders.null), n_images=places.n_images)
    return table[list(PLACE_COLUMNS)]


def _map_rows(flips: SignFlips, names: Sequence[str], n_subjects: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": names,
            "mean": flips.mean,
            "t": flips.t,
            "p": flips.p,
            "p_max": flips.p_max,
            "n_flips": flips.n_flips,
            "n_subjects": n_subjects,
            "reason": flips.reason,
        }
    )


def _by_subject(places: RDMStore) -> tuple[list[str], np.ndarray]:
    """Return the places that have an RDM in all subjects, and these (n_subjects, n, n_pairs)."""
    subjects = dict.fromkeys(places.labels["subject"])
    vectors = places.vectors().reshape(len(subjects), -1, places.n_pairs)
    names = places.labels["place"][: vectors.shape[1]]
    whole = np.isfinite(vectors).all(axis=(0, 2)) & (np.ptp(vectors, axis=2) > 0).all(axis=0)
    return [name for name, kept in zip(names, whole, strict=True) if kept], vectors[:, whole]


def _last_layers(models: RDMStore) -> list[int]:
    """Return the row of every model, of networks that of the last layer."""
    last = {row["model"]: number for number, row in enumerate(models.rows())}
    return list(last.values())


if __name__ == "__main__":
    with script_job(snakemake):
        params, study = snakemake.params, snakemake.wildcards.study
        brain, places, models = (
            RDMStore(snakemake.input[name]) for name in ("brain", "places", "models")
        )
        for output, function, stores, purpose in (
            (snakemake.output.table, compare_emotion_rdms, (brain, models), "rsa"),
            (snakemake.output.places, map_models, (places, models), "map"),
        ):
            table = function(
                *stores,
                comparator=params.comparator,
                n_permutations=params.n_permutations,
                rng=generator(params.seed, "emotions", purpose, study),
            )
            table.insert(0, "study", study)
            write_table(table, output)
