"""The grid of decoded shapes: columns from best to worst, the right shape above every score."""

import numpy as np
import pandas as pd
import pytest

from scripts.reconstruction.data.image_table import ImageTable
from scripts.reconstruction.figures.plot_shapes import N_SHOWN, plot_shapes
from workflow.lib.sources import TRAINING

SIDE, N_IMAGES = 6, 30
SUBJECTS, DECODERS = ("01", "02"), ("early", "shuffled")


@pytest.fixture
def images():
    # Image k has the level k in one of its pixels, by which panels are told apart.
    shapes = np.zeros((N_IMAGES, SIDE, SIDE), np.float32)
    shapes[:, 0, 0] = np.arange(N_IMAGES) / N_IMAGES
    return ImageTable(
        names=[f"i{k:02d}" for k in range(N_IMAGES)],
        parts=[TRAINING] * N_IMAGES,
        images=np.zeros((N_IMAGES, SIDE, SIDE, 3), np.uint8),
        shapes=shapes,
        groups=np.arange(N_IMAGES),
    )


def drawn(images, value_of):
    decoded = {subject: dict.fromkeys(DECODERS, images.shapes) for subject in SUBJECTS}
    scores = pd.DataFrame(
        [
            {"subject": s, "decoder": d, "name": n, "pixel_correlation": value_of(s, d, k)}
            for s in SUBJECTS
            for d in DECODERS
            for k, n in enumerate(images.names)
        ]
    )
    # Tables are in whatever order.
    scores = scores.sample(frac=1, random_state=0)
    figure, caption = plot_shapes(images, decoded, scores, title="Pictures", simulated=True)
    return [axis for part in figure.subfigs for axis in part.axes], caption


def levels(row):
    """Return which images a row shows, from left to right."""
    by_place = sorted(row.images, key=lambda image: image.get_extent()[0])
    shown = [round(float(image.get_array()[0, 0]) * N_IMAGES) for image in by_place]
    assert len(shown) == N_SHOWN
    return shown


def notes(row):
    """Return what stands below the images of a row, each held to stand below its middle."""
    assert [tick - 0.5 for tick in row.get_xticks()] == list(range(N_SHOWN))
    return [label.get_text() for label in row.get_xticklabels()]


def test_images_stand_from_best_to_worst_of_the_first_decoder(images):
    # The mean over subjects falls from the last image to the first, of one subject it does not.
    value = {("01", "early"): lambda k: k / 30, ("02", "early"): lambda k: 0.5 * (k % 2)}
    rows, _ = drawn(images, lambda s, d, k: value.get((s, d), lambda k: -0.1)(k))
    means = [k / 30 + 0.5 * (k % 2) for k in range(N_IMAGES)]
    shown = levels(rows[1])
    assert [means[k] for k in shown] == sorted((means[k] for k in shown), reverse=True)
    assert (shown[0], shown[-1]) == (int(np.argmax(means)), int(np.argmin(means)))
    # Every row shows the same images, with the scores of its subject and decoder below.
    for row in rows[2:]:
        assert levels(row) == shown
    assert notes(rows[2]) == [f"{k / 30:.2f}" for k in shown]
    assert notes(rows[4]) == [f"{0.5 * (k % 2):.2f}" for k in shown]
    assert set(notes(rows[3])) == {"-0.10"}


def test_the_caption_says_how_many_images_and_the_means_over_all_of_them(images):
    drawn_rows, caption = drawn(images, lambda s, d, k: {"early": 0.8, "shuffled": 0.1}[d])
    assert caption.startswith("training n = 30 images; n = 2 subjects")
    assert "early 0.80, shuffled 0.10 on average" in caption
    assert "no response to it" in caption
    rows = [row.get_ylabel().replace("\n", " ") for row in drawn_rows]
    assert rows[:2] == ["seen", "its shape"]
    assert [row.split()[-1] for row in rows[2:]] == ["early", "shuffled"] * 2
    assert all("01" in row for row in rows[2:4])
    assert all("02" in row for row in rows[4:])


def test_copies_are_counted_once_in_the_caption(images):
    copies = ImageTable(
        images.names, images.parts, images.images, images.shapes, np.arange(N_IMAGES) // 3
    )
    _, caption = drawn(copies, lambda s, d, k: 0.5)
    assert caption.startswith("training n = 30 images (10 different ones)")
