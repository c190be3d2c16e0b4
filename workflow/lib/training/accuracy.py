"""How well a network classifies: shares of right answers with their intervals, and confusions.

All from a table of predictions, a row per image: label, predicted, and p_<category>, the
probability of every category, in the order of the network's classes.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

PROBABILITY = "p_"
# What a row of the table of accuracies is about.
CATEGORY, GROUP, ALL = "category", "group", "all"


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """Return the categories of a table of predictions, in order."""
    return [name.removeprefix(PROBABILITY) for name in predictions if name.startswith(PROBABILITY)]


def confusion_matrix(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how often each category (rows) was taken for each (columns)."""
    classes = classes_of(predictions)
    counts = pd.crosstab(predictions["label"], predictions["predicted"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)


def accuracy_table(
    predictions: pd.DataFrame, groups: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """Return the accuracy of every category, of every group of categories, and of all images.

    Parameters
    ----------
    predictions : DataFrame, a row per image
    groups : mapping, group -> its categories, each category in one; all are one group if not given

    Returns
    -------
    DataFrame, a row per category, group (where there are several) and for all
        level, name, n (images), n_correct, accuracy; low and high, its 95 % interval (Wilson 1927);
        chance, see `chance_note`.

    References
    ----------
    Wilson 1927, J Am Stat Assoc, doi:10.1080/01621459.1927.10502953
    """
    groups = groups or {ALL: classes_of(predictions)}
    group_of = {category: group for group, those in groups.items() for category in those}
    correct = predictions["label"] == predictions["predicted"]
    guess = predictions["label"].map(group_of).map(group_chance(groups))
    parts = [(CATEGORY, name, predictions["label"] == name) for name in group_of]
    if len(groups) > 1:
        of_image = predictions["label"].map(group_of)
        parts += [(GROUP, name, of_image == name) for name in groups]
    parts.append((ALL, ALL, correct.notna()))
    rows = [
        {"level": level, "name": name, **_accuracy(correct[chosen]), "chance": guess[chosen].mean()}
        for level, name, chosen in parts
    ]
    return pd.DataFrame(rows)


def group_chance(groups: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return group -> the accuracy of who knows the group of an image and guesses within it."""
    return {group: 1 / len(those) for group, those in groups.items()}


def overall_chance(groups: Mapping[str, Sequence[str]]) -> float:
    """Return the accuracy of who guesses within groups, over as many images of every category."""
    return len(groups) / sum(map(len, groups.values()))


def chance_note(groups: Mapping[str, Sequence[str]]) -> str:
    """Return what figures mean by chance, beside what it would be for all categories at once."""
    n_categories = sum(map(len, groups.values()))
    if len(groups) == 1:
        return f"a guess among the {n_categories} categories"
    shares = ", ".join(f"{group} {share:.3g}" for group, share in group_chance(groups).items())
    return (
        f"a guess among the categories of the image's own group ({shares}); "
        f"a guess among all {n_categories} categories is right in {1 / n_categories:.3g}"
    )


def _accuracy(correct: pd.Series) -> dict[str, float]:
    """Return the share of right answers with its interval."""
    # Figures of this table, which use what else is here, need not wait for it.
    from scipy.stats import binomtest

    n, n_correct = len(correct), int(correct.sum())
    interval = binomtest(n_correct, n).proportion_ci(method="wilson")
    return {
        "n": n,
        "n_correct": n_correct,
        "accuracy": n_correct / n,
        "low": interval.low,
        "high": interval.high,
    }
