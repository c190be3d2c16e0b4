"""Accuracy of trained networks: shares, intervals, confusions, and how they are drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from scripts.figures.plot_confusion import plot_confusion
from scripts.figures.plot_training import plot_training
from workflow.lib.training import accuracy
from workflow.lib.training.accuracy import accuracy_table, overall_chance
from workflow.lib.training.history import TRAINING, VALIDATION

CLASSES = ["zero", "one", "cat"]
GROUPS = {"digit": ["zero", "one"], "object": ["cat"]}


def predictions_of(labels, predicted, classes=CLASSES):
    table = pd.DataFrame({"image": range(len(labels)), "label": labels, "predicted": predicted})
    return table.assign(**{f"p_{name}": 1 / len(classes) for name in classes})


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    labels = np.repeat(CLASSES, [40, 30, 50])
    wrong = rng.random(len(labels)) < 0.4
    return predictions_of(labels, np.where(wrong, rng.choice(CLASSES, len(labels)), labels))


def wilson(n_correct, n, z=1.959963984540054):
    """Where |p - share| = z sqrt(p (1 - p) / n), the roots of a quadratic (Wilson 1927)."""
    share = n_correct / n
    return np.sort(np.roots([1 + z**2 / n, -2 * share - z**2 / n, share**2]))


def test_intervals_solve_wilsons_equation(predictions):
    table = accuracy_table(predictions, GROUPS)
    for row in table.itertuples():
        np.testing.assert_allclose([row.low, row.high], wilson(row.n_correct, row.n), atol=1e-9)


def test_no_right_answer_in_ten():
    """By hand: from 0 to z^2 / (n + z^2)."""
    table = accuracy_table(predictions_of(["zero"] * 10, ["one"] * 10), {"digit": ["zero"]})
    row = table.iloc[0]
    assert (row["accuracy"], row["low"]) == (0, 0)
    assert row["high"] == pytest.approx(0.2775, abs=5e-5)


def test_rows_are_categories_groups_and_all(predictions):
    table = accuracy_table(predictions, GROUPS)
    assert table[["level", "name"]].to_numpy().tolist() == [
        *(["category", name] for name in CLASSES),
        ["group", "digit"],
        ["group", "object"],
        ["all", "all"],
    ]
    by_name = table.set_index("name")
    digits = predictions[predictions["label"].isin(["zero", "one"])]
    expected = accuracy_score(digits["label"], digits["predicted"])
    assert by_name.loc["digit", "accuracy"] == pytest.approx(expected)
    assert by_name["n"].tolist() == [40, 30, 50, 70, 50, 120]
    # Who knows the group guesses among two categories, or has none to guess.
    assert by_name.loc[["zero", "digit", "cat"], "chance"].tolist() == [0.5, 0.5, 1]
    assert by_name.loc["all", "chance"] == pytest.approx((70 * 0.5 + 50) / 120)


def test_without_groups_chance_is_one_of_all(predictions):
    table = accuracy_table(predictions)
    assert set(table["level"]) == {"category", "all"}
    np.testing.assert_allclose(table["chance"], 1 / 3)


@pytest.mark.parametrize("groups", [GROUPS, {"all": CLASSES}])
def test_chance_of_the_curves_is_that_of_the_table(groups):
    """With as many images of every category, as a validation set has."""
    table = accuracy_table(predictions_of(CLASSES * 7, CLASSES * 7), groups)
    expected = table.set_index("level").loc["all", "chance"]
    assert overall_chance(groups) == pytest.approx(expected)


def test_chance_is_that_of_guesses():
    """Who knows the kind of each image, and guesses."""
    rng = np.random.default_rng(0)
    groups = {"digit": list("0123456789"), "object": list("abcdef")}
    right = [rng.choice(those, 20_000) == those[0] for those in groups.values() for _ in those]
    assert overall_chance(groups) == pytest.approx(np.mean(right), abs=0.002)


def test_figures_say_which_chance_they_draw(predictions):
    """Both the same: digits 1 in 2, the only object always; among all three 1 in 3."""
    history = pd.DataFrame({"epoch": [1], "part": VALIDATION, "measure": "accuracy", "value": 0.5})
    study = {"title": "t", "simulated": False, "groups": GROUPS}
    captions = []
    drawn = plot_training(history, network="vgg", **study), plot_confusion(predictions, **study)
    for figure, caption in drawn:
        captions.append(caption)
        plt.close(figure)
    for caption in captions:
        assert "a guess among the categories of the image's own group (digit 0.5, object 1)" in (
            caption
        )
        assert "a guess among all 3 categories is right in 0.333" in caption
    assert "Dotted: chance, 0.667, a guess" in captions[0]


def test_confusions_are_those_of_scikit_learn(predictions):
    found = accuracy.confusion_matrix(predictions)
    expected = confusion_matrix(predictions["label"], predictions["predicted"], labels=CLASSES)
    np.testing.assert_array_equal(found, expected)
    assert found.index.tolist() == found.columns.tolist() == CLASSES


def test_category_that_is_never_answered_has_its_column():
    found = accuracy.confusion_matrix(predictions_of(["zero", "one"], ["zero", "zero"]))
    assert found.to_numpy().tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_confusion_figure_states_what_it_shows(predictions):
    figure, caption = plot_confusion(predictions, title="t", simulated=True, groups=GROUPS)
    numbers = {text.get_text() for text in figure.axes[0].texts}
    expected = accuracy.confusion_matrix(predictions).to_numpy()
    assert numbers == {str(number) for number in expected.flat if number}
    row = accuracy_table(predictions).set_index("name").loc["all"]
    assert f"All: {row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in caption
    assert caption.startswith("n = 120 validation images, which the network was not trained on.")
    assert "120 validation images" in figure.get_suptitle()
    assert "simulated" in figure.get_suptitle()


def test_learning_curves_of_every_measure_and_part():
    rows = [
        (epoch, part, measure, value * epoch)
        for epoch in (1, 2, 3)
        for part, measure, value in (
            (TRAINING, "loss", 0.5),
            (TRAINING, "penalty", 0.1),
            (VALIDATION, "loss", 0.6),
            (VALIDATION, "accuracy", 0.3),
            ("other", "accuracy", 0.2),
        )
    ]
    history = pd.DataFrame(rows, columns=["epoch", "part", "measure", "value"])
    figure, caption = plot_training(
        history, network="vgg", title="t", simulated=False, groups=GROUPS
    )
    drawn = {
        (axes.get_title(), line.get_label()): list(line.get_ydata())
        for axes in figure.axes
        for line in axes.lines
    }
    assert drawn[("loss", VALIDATION)] == pytest.approx([0.6, 1.2, 1.8])
    assert drawn[("accuracy", "other")] == pytest.approx([0.2, 0.4, 0.6])
    assert drawn[("accuracy", "chance")] == pytest.approx([2 / 3, 2 / 3])
    assert ("loss", "chance") not in drawn
    assert "after the last epoch: loss 1.8, accuracy 0.9. Dotted: chance" in caption
