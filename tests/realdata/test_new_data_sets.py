"""Data sets that the repository has never seen, by config alone."""

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat
from scipy.stats import spearmanr

from tests.checkout import copy_of_repository

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.xdist_group("workflow")]

HAXBY = """
run: haxby
studies: [haxby]
rsa:
  haxby:
    title: Haxby 2001, one slice
    source: path
    path: {mirror}/haxby_slice
    brain:
      data: patterns
      files: bold.nii.gz
      subjects: {{names: [sub-1], from: constant}}
      rois: {{names: {{VT: mask.nii.gz}}, from: mask}}
      observations: {{file: attributes_literal.txt, condition: 0, run: 1, drop: [rest]}}
      detrend: true
      standardise: run
      remove_mean_pattern: true
    models:
      animacy: {{control: groups}}
    images: {{groups: {{animate: "face|cat", inanimate: "."}}}}
    inference: {{n_permutations: 200}}
"""

MIYAWAKI = """
run: miyawaki
studies: [miyawaki]
rsa:
  miyawaki:
    title: Miyawaki 2008, ten shapes
    source: path
    path: {folder}
    brain:
      data: patterns
      files: responses.npz
      key: responses
      subjects: {{names: [S1], from: constant}}
      rois: {{names: [V1], from: constant}}
      observations: {{file: trials.tsv, condition: shape, run: repeat}}
    stimuli: {{files: shapes.npz, key: images, conditions: {{from: stored, key: names}}}}
    models:
      pixel: {{control: pixel}}
    encoding: {{folds: 3}}
    inference: {{n_permutations: 200}}
"""


@pytest.fixture
def checkout(tmp_path):
    """Return a copy of the repository in which nothing has run."""
    return copy_of_repository(tmp_path / "copy")


def test_haxby_slice_runs_from_a_config_of_its_own(checkout, mirror):
    """Faces resemble cats and houses other things in ventral temporal cortex (Haxby 2001)."""
    config = checkout.write("haxby.yaml", HAXBY.format(mirror=mirror))
    printed = checkout.run("scripts.check.check_config", str(config))
    assert "images common to all files: 8" in printed
    assert "ridge encoding: left out, 8 images are too few" in printed
    checkout.snakemake("--configfile", str(config))
    table = pd.read_csv(checkout.folder / "results/haxby/haxby/tables/rsa_sub-1.csv")
    images = pd.read_csv(checkout.folder / "results/haxby/haxby/rdms/images.csv")
    assert set(images["name"]) == {
        *("face", "house", "shoe", "cat", "scissors", "scrambledpix", "bottle", "chair"),
    }
    assert (table["similarity"] > 0).all()
    figures = checkout.folder / "results/haxby/haxby/figures"
    assert (figures / "heatmap_sub-1.png").is_file()
    assert "too few images for 5 folds" in (figures / "encoding.rst").read_text()


def test_shapes_that_people_saw_predict_their_primary_visual_cortex(checkout, mirror, tmp_path):
    """V1 is retinotopic: pixels of the ten shapes explain its geometry (Miyawaki 2008)."""
    raw = loadmat(mirror / "miyawaki/V1_mean_figure.mat")
    pictures, responses = raw["I2"].T, raw["R2"].T
    shapes, which = np.unique(pictures, axis=0, return_inverse=True)
    folder = tmp_path / "miyawaki"
    folder.mkdir()
    names = np.array([f"shape{i}" for i in range(len(shapes))])
    images = np.repeat(shapes.reshape(-1, 10, 10)[..., None] * 255, 3, axis=-1).astype(np.uint8)
    np.savez(folder / "shapes.npz", images=images, names=names)
    np.savez(folder / "responses.npz", responses=responses)
    repeat = pd.Series(which).groupby(which).cumcount()
    pd.DataFrame({"shape": names[which], "repeat": repeat}).to_csv(
        folder / "trials.tsv", sep="\t", index=False
    )
    config = checkout.write("miyawaki.yaml", MIYAWAKI.format(folder=folder))
    checkout.snakemake("--configfile", str(config))
    tables = checkout.folder / "results/miyawaki/miyawaki/tables"
    rsa = pd.read_csv(tables / "rsa_S1.csv").query("comparator == 'spearman'").iloc[0]
    encoding = pd.read_csv(tables / "encoding_S1.csv").iloc[0]
    means = np.stack([responses[which == i].mean(axis=0) for i in range(len(shapes))])
    pairs = np.triu_indices(len(shapes), 1)
    direct = spearmanr(
        (1 - np.corrcoef(shapes.astype(float)))[pairs], (1 - np.corrcoef(means))[pairs]
    ).statistic
    assert direct > 0.3
    assert rsa["similarity"] == pytest.approx(direct, abs=0.15)
    assert rsa["p"] < 0.05
    assert encoding["ceiling"] > encoding["similarity"]
