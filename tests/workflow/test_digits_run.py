"""Study digits as users run it: every figure by itself, and what its tables and maps hold."""

import nibabel
import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
RESULTS = "results/tiny/digits"
CATEGORIES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CATEGORIES += ["bed", "bird", "cat", "dog", "house", "tree"]
N_LAYERS = 15
# What each figure takes when nothing but itself is missing.
FIGURES = {
    "learning_curves_vgg": "plot_training",
    "confusion_vgg": "plot_confusion",
    "maximised_classes": "plot_maximised",
    "maximised_filters": "plot_maximised",
    "embedding_tsne": "plot_embedding",
    "layer_rdms_common": "plot_layer_rdms",
    "layer_rdms_own": "plot_layer_rdms",
    "codes": "plot_codes",
    "code_cosines": "plot_code_cosines",
    "code_fit_layers": "plot_code_fit",
    "code_fit_brains": "plot_code_fit_of_brains",
    "code_rois": "plot_code_rois",
    "searchlight_group_vgg": "plot_searchlight_group",
    "searchlight_group_codes": "plot_searchlight_group",
    "searchlight_01_vgg": "plot_searchlight",
    "assignment_group_vgg": "plot_assignment",
    "heatmap_joint": "plot_heatmap",
}


def test_every_figure_builds_alone(changed_run):
    drawn = {file.stem for file in (changed_run.folder / RESULTS / "figures").glob("*.png")}
    assert set(FIGURES) <= drawn
    for name, rule in FIGURES.items():
        figure = f"{RESULTS}/figures/{name}.png"
        (changed_run.folder / figure).unlink()
        assert changed_run.planned_jobs(figure, *TINY) == {rule: 1}


def test_report_holds_every_figure_and_table_of_the_study(tiny_run):
    page = (tiny_run.folder / "results/tiny/report.html").read_text()
    for figure in (tiny_run.folder / RESULTS / "figures").glob("*.rst"):
        assert figure.read_text().split(".")[0] in page, figure
    for table in ("corrections", "map_recovery", "accuracy_vgg"):
        assert f"digits/tables/{table}.html" in page


def test_models_are_over_the_categories_of_the_config(tiny_run):
    for model, n_rdms in (("vgg", N_LAYERS), ("codes", 5)):
        rdms = load_rdm(str(tiny_run.folder / RESULTS / f"features/rdms/model_{model}.h5"))
        assert list(rdms.pattern_descriptors["name"]) == CATEGORIES
        assert rdms.n_rdm == n_rdms
    codes = dict(zip(rdms.rdm_descriptors["layer"], rdms.dissimilarities.sum(axis=1), strict=True))
    assert codes == {"Digit": 45, "Object": 15, "Versus": 60, "Magnitude": 9, "Animacy": 9}


def test_every_held_out_image_is_predicted_once(tiny_run):
    table = pd.read_csv(tiny_run.folder / RESULTS / "models/vgg_predictions.csv")
    assert table["label"].value_counts().to_dict() == dict.fromkeys(CATEGORIES, 8)
    probabilities = table[[f"p_{category}" for category in CATEGORIES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    best = np.array(CATEGORIES)[probabilities.argmax(axis=1)]
    assert (best == table["predicted"]).all()


def test_maps_hold_a_volume_for_every_layer_and_code_within_the_mask(tiny_run):
    mask = nibabel.load(tiny_run.folder / "resources/simulated/tiny/digits/mask.nii.gz").get_fdata()
    for subject in ("01", "02"):
        maps = nibabel.load(tiny_run.folder / RESULTS / f"maps/similarity_{subject}.nii.gz")
        rows = pd.read_csv(tiny_run.folder / RESULTS / f"tables/searchlight_{subject}.csv")
        assert maps.shape == (*mask.shape, N_LAYERS + 5)
        assert rows["volume"].tolist() == list(range(N_LAYERS + 5))
        assert np.isnan(maps.get_fdata()[mask == 0]).all()


def test_corrections_stand_beside_what_the_original_did(tiny_run):
    table = pd.read_csv(tiny_run.folder / RESULTS / "tables/corrections.csv")
    assert set(table["correction"]) >= {
        *("weight decay", "colour components", "training accuracy", "analysed network"),
        *("images of layer RDMs", "cosine of codes and layers", "joint fit of codes"),
        "distance between categories",
        *("regions of codes", "null of the group's maps", "layer of each voxel", "subjects"),
    }
    shift = table[table["correction"] == "colour components"].iloc[0]
    assert 100 * shift["original"] < shift["ours"]
    cosines = table[table["correction"] == "cosine of codes and layers"]["original"]
    # Of a constant RDM with codes of 45, 15, 60, 9 and 9 of 120 pairs.
    expected = np.sqrt(np.array([45, 15, 60, 9, 9]) / 120)
    np.testing.assert_allclose(cosines, expected, rtol=1e-6)
    assert table["note"].notna().all()
