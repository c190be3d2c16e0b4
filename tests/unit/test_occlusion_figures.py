"""Figures of what networks need: panels, outlines of planted voxels, and what captions state."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from scripts.emotions.compare_occlusion import tabulate_recovery, tabulate_top_voxels
from scripts.emotions.planted import AFFINE, brain_mask, planted_voxels
from scripts.emotions.plot_occlusion import N_SLICES, VIEWS, plot_occlusion
from scripts.emotions.plot_top_voxels import plot_top_voxels
from workflow.lib.searchlight.maps import read_maps, write_maps

EMOTIONS = ("FEAR", "LOVE", "SADNESS")


def checks():
    table = pd.DataFrame({"emotion": EMOTIONS, "n": [10, 10, 7], "n_right": [0, 2, 1]})
    return table.assign(
        n_wrong=[0, 0, 1],
        largest_drop=[0.2, 0.1, 0.05],
        r_gradients=[0.6, 0.7, 0.8],
        r_shuffled=[0.0, 0.1, -0.1],
        r_subjects=[0.3, 0.4, 0.5],
        r_subjects_other=[0.0, 0.1, 0.2],
    )


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Return a map per emotion, largest in its planted voxels, and how well they find them."""
    folder, mask = tmp_path_factory.mktemp("maps"), brain_mask()
    truth = np.stack([planted_voxels(emotion)[mask] for emotion in EMOTIONS])
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, truth.shape)
    values = noise + truth * np.array([[0.15], [0.07], [0.03]])
    read = []
    for emotion, one in zip(EMOTIONS, values, strict=True):
        write_maps(folder / f"{emotion}.nii.gz", one[None], mask, AFFINE)
        read.append(read_maps(folder / f"{emotion}.nii.gz"))
    kinds = {"occlusion": values, "shuffled weights": noise}
    return read, values, tabulate_recovery(kinds, truth, EMOTIONS)


def drawn(maps, recovery):
    return plot_occlusion(maps, checks(), recovery, cube=2, stride=3, title="T", simulated=True)


def test_a_row_per_emotion_of_slices_and_views(maps):
    figure, caption = drawn(maps[0], maps[2])
    panels = [axes for axes in figure.axes if axes.get_ylabel() or axes.images]
    assert len(panels) >= len(EMOTIONS) * (N_SLICES + len(VIEWS))
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert [label.split("\n")[0] for label in labels[:3]] == list(EMOTIONS)
    assert "n = 27 volumes, 4 of them told with less" in caption
    assert "Cubes of 2 x 2 x 2 voxels, every 3 voxels" in caption
    assert "0.70 with integrated gradients, 0.00 with networks of shuffled" in caption
    assert "0.40 between subjects (of different emotions 0.10)" in caption
    row = maps[2].query("emotion == 'all' and kind == 'occlusion'").iloc[0]
    assert f"Area under the ROC curve of these {row['auc']:.2f}" in caption


def test_planted_voxels_are_outlined_where_they_are_known(maps):
    """Seen from above an outline encloses what projects there, in the orientation of the map."""
    figure, _ = drawn(maps[0], maps[2])
    without, caption = drawn(maps[0], None)
    assert "planted" not in caption
    assert "respond" not in caption
    above = figure.axes[N_SLICES]
    outlines = [one for one in above.collections if isinstance(one, LineCollection)]
    edges = np.concatenate([np.asarray(path.vertices) for path in outlines[-1].get_paths()])
    mask = brain_mask()
    # x runs to the left in the file, and to the right in the figure.
    region = planted_voxels("FEAR")[::-1]
    held = np.argwhere(mask[::-1])
    places = np.argwhere(region.any(axis=2)) - held.min(axis=0)[:2]
    np.testing.assert_allclose(edges.min(axis=0), places.min(axis=0) - 0.5)
    np.testing.assert_allclose(edges.max(axis=0), places.max(axis=0) + 0.5)
    bare = without.axes[N_SLICES].collections[-1]
    assert not len(bare.get_paths())


def test_what_costs_nothing_is_grey_and_the_largest_value_has_the_last_colour(maps):
    figure, _ = drawn(maps[0], maps[2])
    for row, emotion in enumerate(EMOTIONS):
        above = figure.axes[row * (N_SLICES + len(VIEWS)) + N_SLICES]
        shown = above.images[0].get_array()
        assert above.images[0].get_clim() == (0, 1)
        largest = maps[1][row].max() / checks().set_index("emotion").loc[emotion, "largest_drop"]
        assert np.nanmax(shown.filled(np.nan)) == pytest.approx(largest, rel=1e-5)


def test_top_voxels_are_drawn_where_they_lie(maps):
    mask = brain_mask()
    top = tabulate_top_voxels(maps[1], mask, AFFINE, EMOTIONS, 30)
    figure, caption = plot_top_voxels(top, checks(), title="T", simulated=True)
    x, y, z = figure.axes[1].collections[0]._offsets3d
    own = top[top["emotion"] == "LOVE"]
    np.testing.assert_allclose(np.c_[x, y, z], own[["x", "y", "z"]])
    back = nibabel.affines.apply_affine(np.linalg.inv(AFFINE), np.c_[x, y, z]).round().astype(int)
    assert planted_voxels("LOVE")[tuple(back.T)].mean() > 0.9
    assert "n = 27 volumes" in caption
    assert "LOVE 30" in caption


def test_an_emotion_without_voxels_has_an_empty_panel(maps):
    top = tabulate_top_voxels(maps[1][:1], brain_mask(), AFFINE, EMOTIONS[:1], 5)
    _, caption = plot_top_voxels(top, checks(), title="T", simulated=False)
    assert "FEAR 5, LOVE 0, SADNESS 0" in caption
