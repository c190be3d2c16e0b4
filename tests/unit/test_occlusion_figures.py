"""Figures of what networks need: panels, outlines of planted voxels, and what captions state."""

import re
from dataclasses import dataclass

import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from scripts.emotions.data.planted import AFFINE, REGIONS, brain_mask, region_masks
from scripts.emotions.figures.plot_occlusion import N_SLICES, VIEWS, plot_occlusion
from scripts.emotions.figures.plot_top_voxels import plot_top_voxels
from scripts.emotions.maps.compare_occlusion import tabulate_top_voxels
from scripts.emotions.maps.occlusion_recovery import Planted, tabulate_recovery
from tests.simulated_movie_study import planted_voxels
from workflow.lib.nifti.maps import read_maps, write_maps

EMOTIONS = ("FEAR", "LOVE", "SADNESS")


def checks():
    table = pd.DataFrame({"emotion": EMOTIONS, "n": [10, 10, 7], "n_right": [0, 2, 1]})
    return table.assign(
        n_wrong=[0, 0, 1],
        n_confident=[10, 20, 0],
        share_right=[0.5, 0.8, np.nan],
        largest_drop=[0.2, 0.1, 0.05],
        r_gradients=[0.6, 0.7, 0.8],
        r_shuffled=[0.0, 0.1, -0.1],
        r_subjects=[0.3, 0.4, 0.5],
        r_subjects_other=[0.0, 0.1, 0.2],
    )


def written(folder, name, values):
    """Return a map of the brain per emotion, through a file."""
    read = []
    for emotion, one in zip(EMOTIONS, values, strict=True):
        write_maps(folder / f"{name}_{emotion}.nii.gz", one[None], brain_mask(), AFFINE)
        read.append(read_maps(folder / f"{name}_{emotion}.nii.gz"))
    return read


@dataclass
class Maps:
    read: list
    values: np.ndarray
    planted: list
    recovery: pd.DataFrame


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    """Return a map per emotion, largest in its planted voxels, and how well they find them."""
    return maps_of(tmp_path_factory.mktemp("maps"), effect=True)


def maps_of(folder, *, effect):
    mask, masks = brain_mask(), region_masks()
    truth = np.stack([planted_voxels(emotion)[mask] for emotion in EMOTIONS])
    alone = {r.emotions[0]: masks[name] for name, r in REGIONS.items() if len(r.emotions) == 1}
    own = np.stack([alone[emotion][mask] for emotion in EMOTIONS])
    noise = np.random.default_rng(0).uniform(-0.02, 0.02, truth.shape)
    values = noise + truth * np.array([[0.15], [0.07], [0.03]])
    planted = Planted(own, truth & ~own, effect)
    kinds = {"occlusion": values, "shuffled weights": noise}
    return Maps(
        written(folder, "occlusion", values),
        values,
        written(folder, "planted", planted.maps()),
        tabulate_recovery(kinds, planted, EMOTIONS, np.random.default_rng(0)),
    )


def drawn(maps, *, known=True):
    options = {"planted": maps.planted, "recovery": maps.recovery} if known else {}
    return plot_occlusion(
        maps.read,
        checks(),
        **options,
        cube=2,
        stride=3,
        min_probability=0.75,
        title="T",
        simulated=True,
    )


def test_a_row_per_emotion_of_slices_and_views(maps):
    figure, caption = drawn(maps)
    panels = [axes for axes in figure.axes if axes.get_ylabel() or axes.images]
    assert len(panels) >= len(EMOTIONS) * (N_SLICES + len(VIEWS))
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert [label.split("\n")[0] for label in labels[:3]] == list(EMOTIONS)
    # What a height is along stands before it.
    titles = [panel.get_title() for panel in figure.axes[: N_SLICES + len(VIEWS)]]
    assert all(re.fullmatch(r"z = -?\d+ mm", title) for title in titles[:N_SLICES])
    assert titles[N_SLICES:] == list(VIEWS)
    assert "n = 27 volumes, 4 of them told with less" in caption
    assert "Cubes of 2 x 2 x 2 voxels, every 3 voxels" in caption
    assert "0.70 with integrated gradients, 0.00 with networks of shuffled" in caption
    assert "0.40 between subjects (of different emotions 0.10)" in caption
    row = maps.recovery.query("emotion == 'all' and kind == 'occlusion'").iloc[0]
    assert f"Area under the ROC curve of the former {row['auc_own']:.2f}" in caption
    assert f"of both together {row['auc']:.2f}" in caption
    # 5 of 10 and 16 of 20.
    assert "30 are given an emotion with a probability of 0.75 or more, 70% of them" in caption


def test_where_nothing_responds_the_caption_says_so(tmp_path):
    _, caption = drawn(maps_of(tmp_path, effect=False))
    assert "in the simulation with an effect" in caption
    assert "here none responds" in caption


def test_planted_voxels_are_outlined_where_they_are_known(maps):
    """Seen from above an outline encloses what projects there, in the orientation of the map."""
    figure, _ = drawn(maps)
    without, caption = drawn(maps, known=False)
    assert "planted" not in caption
    assert "respond" not in caption
    above = figure.axes[N_SLICES]
    outlines = [one for one in above.collections if isinstance(one, LineCollection)]
    # The brain; white and black around voxels of the emotion alone; the same, dashed, of others.
    assert len(outlines) == 5
    own = region_masks()["fear"]
    for lines, region in ((outlines[2], own), (outlines[4], planted_voxels("FEAR") & ~own)):
        edges = np.concatenate([np.asarray(path.vertices) for path in lines.get_paths()])
        # x runs to the left in the file, and to the right in the figure.
        held = np.argwhere(brain_mask()[::-1])
        shown = region[::-1].any(axis=2) & ~(own[::-1].any(axis=2) & (region is not own))
        places = np.argwhere(shown) - held.min(axis=0)[:2]
        np.testing.assert_allclose(edges.min(axis=0), places.min(axis=0) - 0.5)
        np.testing.assert_allclose(edges.max(axis=0), places.max(axis=0) + 0.5)
    bare = without.axes[N_SLICES].collections[-1]
    assert not len(bare.get_paths())


def test_what_costs_nothing_is_grey_and_the_largest_value_has_the_last_colour(maps):
    figure, _ = drawn(maps)
    for row, emotion in enumerate(EMOTIONS):
        above = figure.axes[row * (N_SLICES + len(VIEWS)) + N_SLICES]
        shown = above.images[-1].get_array()
        assert above.images[-1].get_clim() == (0, 1)
        largest = (
            maps.values[row].max() / checks().set_index("emotion").loc[emotion, "largest_drop"]
        )
        assert np.nanmax(shown.filled(np.nan)) == pytest.approx(largest, rel=1e-5)


def test_top_voxels_are_drawn_where_they_lie(maps):
    mask = brain_mask()
    top = tabulate_top_voxels(maps.values, mask, AFFINE, EMOTIONS, 30)
    figure, caption = plot_top_voxels(top, checks(), title="T", simulated=True)
    x, y, z = figure.axes[1].collections[0]._offsets3d
    own = top[top["emotion"] == "LOVE"]
    np.testing.assert_allclose(np.c_[x, y, z], own[["x", "y", "z"]])
    back = nibabel.affines.apply_affine(np.linalg.inv(AFFINE), np.c_[x, y, z]).round().astype(int)
    assert planted_voxels("LOVE")[tuple(back.T)].mean() > 0.9
    assert "n = 27 volumes" in caption
    assert "LOVE 30" in caption


def test_an_emotion_without_voxels_has_an_empty_panel(maps):
    top = tabulate_top_voxels(maps.values[:1], brain_mask(), AFFINE, EMOTIONS[:1], 5)
    _, caption = plot_top_voxels(top, checks(), title="T", simulated=False)
    assert "FEAR 5, LOVE 0, SADNESS 0" in caption
