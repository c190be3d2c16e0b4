"""Cells and learning curves that figures share: what is written, read, marked and averaged."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize, to_rgb

from scripts.figures.plot_training import plot_training
from workflow.lib.figures.cells import draw_cells, luminance, text_colour
from workflow.lib.figures.curves import kept_epochs
from workflow.lib.plotting import DIVERGING, MUTED, SEQUENTIAL
from workflow.lib.training.history import TRAINING, VALIDATION


@pytest.fixture
def axes():
    return plt.subplots()[1]


# Cells.


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("white", 1),
        ("black", 0),
        # Of the primaries of sRGB, as the standard gives them.
        ("red", 0.2126),
        ("lime", 0.7152),
        ("blue", 0.0722),
        # Middle grey: ((128 / 255 + 0.055) / 1.055) ** 2.4.
        ("#808080", 0.2159),
    ],
)
def test_luminance_is_that_of_the_standard(colour, expected):
    assert luminance(to_rgb(colour)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("cmap", [SEQUENTIAL, DIVERGING])
def test_text_has_the_larger_of_the_two_contrasts_and_can_always_be_read(cmap):
    """4.5 is what WCAG asks for text of this size; black and white reach it on any colour."""
    for colour in mpl.colormaps[cmap](np.linspace(0, 1, 101)):
        ground = luminance(colour)
        contrasts = {"black": (ground + 0.05) / 0.05, "white": 1.05 / (ground + 0.05)}
        assert contrasts[text_colour(colour)] == max(contrasts.values()) >= 4.5


def test_cells_stand_where_the_table_has_them(axes):
    values = np.array([[0.0, 1.0, np.nan], [0.4, 0.9, 0.2]])
    texts = np.array([["a", "b", "c"], ["d", "e", "f"]])
    coloured = np.array([[True, True, True], [False, True, True]])
    mesh = draw_cells(
        axes,
        values,
        rows=["one", "two"],
        columns=["x", "y", "z"],
        norm=Normalize(0, 1),
        texts=texts,
        coloured=coloured,
    )
    # The first row is at the top.
    low, high = axes.get_ylim()
    assert low > high
    written = {text.get_text(): text for text in axes.texts}
    assert written["b"].get_position() == (1.5, 0.5)
    assert written["d"].get_position() == (0.5, 1.5)
    colours = {name: text.get_color() for name, text in written.items()}
    assert colours == {"a": "white", "b": "black", "c": MUTED, "d": MUTED, "e": "black"} | {
        "f": "white"
    }
    assert mesh.get_array().mask.ravel().tolist() == [False, False, True, True, False, False]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y", "z"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]


# Learning curves.


def history_of(losses, kept):
    """Return a history with a fold for each list of validation losses, kept at these epochs."""
    rows = [
        {"fold": fold, "epoch": epoch, "part": part, "measure": "loss"}
        | {"value": value * factor, "kept": int(epoch == kept[fold])}
        for fold, values in enumerate(losses)
        for epoch, value in enumerate(values, 1)
        for part, factor in ((TRAINING, 0.5), (VALIDATION, 1.0))
    ]
    return pd.DataFrame(rows)


def test_folds_are_thin_lines_and_their_mean_is_over_those_that_went_on():
    history = history_of([[3.0, 1.0, 2.0], [5.0, 4.0]], kept=(2, 2))
    figure, caption = plot_training(history, network="cnn", title="t", simulated=False)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    mean = lines["validation, mean of folds"]
    np.testing.assert_allclose(mean.get_ydata(), [4, 2.5, 2])
    thin = [line for line in figure.axes[0].lines if line.get_lw() < 1]
    assert len(thin) == 4
    assert "n = 2 folds, a network each" in caption
    assert "training ended after 2 to 3 epochs" in caption
    marked = lines["weights that are kept"]
    assert sorted(marked.get_ydata()) == [1, 4]
    # The mean of what the kept weights reach.
    assert "with these weights: loss 2.5." in caption
    assert figure.get_suptitle() == "t: training of cnn"


def test_one_network_has_one_line_and_no_folds():
    history = history_of([[3.0, 1.0, 2.0]], kept=(3,)).drop(columns="fold")
    figure, caption = plot_training(history, network="vgg", title="t", simulated=True)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == [TRAINING, VALIDATION, "weights that are kept"]
    assert "folds" not in caption
    assert "with these weights: loss 2." in caption


def test_histories_may_not_say_what_is_kept_or_be_empty():
    history = history_of([[3.0, 1.0]], kept=(1,)).drop(columns="kept")
    assert kept_epochs(history).empty
    _, caption = plot_training(history, network="a", title="t", simulated=False)
    assert "Circles" not in caption
    assert "after the last epoch: loss 1." in caption
    _, caption = plot_training(history[:0], network="a", title="t", simulated=False)
    assert caption.startswith("No learning curves")
