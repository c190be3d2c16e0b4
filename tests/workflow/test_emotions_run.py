"""Study emotions as users run it: figures by themselves, predictions, maps and RDMs that agree."""

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml

from scripts.emotions.data.timeseries import TimeSeries
from scripts.emotions.decoding.predictions import read_predictions
from scripts.emotions.labelling.labels import read_labels
from tests.study_runs import assert_figures_build_alone, assert_report_holds
from workflow.lib.rdms.store import RDMStore
from workflow.lib.sources import JOINT_SUBJECT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
RESULTS = "results/tiny/movie"
SUBJECTS = ("01", "02")
CLASSES = ("FEAR", "HAPPINESS", "SADNESS")
# What each figure takes when nothing but itself is missing.
FIGURES = {
    "timeline": "plot_timeline",
    "agreement": "plot_agreement",
    "leakage": "plot_leakage",
    "roc": "plot_roc",
    "confusion": "plot_emotion_confusion",
    "calibration": "plot_emotion_calibration",
    "learning_curves_cnn_run_and_subject": "plot_training",
    "occlusion": "plot_occlusion",
    "top_voxels": "plot_top_voxels",
    "embedding": "plot_emotion_embedding",
    "emotion_rdms": "plot_emotion_rdms",
    "emotion_rsa": "plot_emotion_rsa",
    "parcel_rsa": "plot_parcel_rsa",
}
TABLES = {
    "agreement.csv": "measure_agreement",
    "emotion_counts.csv": "label_volumes",
    "leak_audit.csv": "audit_volumes",
    "decoding.csv": "evaluate_decoding",
    "auc.csv": "evaluate_decoding",
    "occlusion_checks.csv": "compare_occlusion_movie",
    "occlusion_recovery.csv": "compare_occlusion_movie",
    "top_voxels.csv": "compare_occlusion_movie",
    "embedding_quality.csv": "embed_emotions",
    "emotion_rsa.csv": "compare_emotion_rdms",
    "parcel_rsa.csv": "compare_emotion_rdms",
    "corrections.html": "tabulate_emotion_corrections",
}


@pytest.fixture(scope="module")
def results(tiny_run):
    return tiny_run.folder / RESULTS


@pytest.fixture(scope="module")
def labels(results):
    return read_labels(results / "tables/labels.csv", CLASSES)


def test_every_figure_builds_alone(changed_run):
    assert_figures_build_alone(changed_run, RESULTS, FIGURES, *TINY)


def test_every_table_builds_alone(changed_run):
    for name, rule in TABLES.items():
        table = f"{RESULTS}/tables/{name}"
        (changed_run.folder / table).unlink()
        assert changed_run.planned_jobs(table, *TINY)[rule] == 1


def test_report_holds_every_figure_and_table_with_its_caption(tiny_run):
    assert_report_holds(tiny_run, RESULTS, TABLES)


def test_restyling_a_figure_reruns_exactly_one_job(changed_run):
    script = changed_run.folder / "scripts/emotions/figures/plot_leakage.py"
    script.write_text(script.read_text() + "\nA_STYLE = 1\n")
    figures = {name: f"{RESULTS}/figures/{name}.png" for name in FIGURES}
    assert changed_run.planned_jobs(figures.pop("leakage"), *TINY) == {"plot_leakage": 1}
    assert changed_run.planned_jobs(*figures.values(), *TINY) == {}


def test_another_lag_labels_anew_and_prepares_nothing(changed_run):
    lag = changed_run.write("config/lag.yaml", "emotions: {movie: {labels: {lag: 3}}}\n")
    jobs = changed_run.planned_jobs(f"{RESULTS}/tables/decoding.csv", *TINY, str(lag))
    assert jobs["label_volumes"] == 1
    assert not {"prepare_volumes", "mask_volumes", "simulate_movie_movie"} & set(jobs)


def test_time_series_are_standardised_voxels_of_one_mask(results):
    series = [TimeSeries(results / f"timeseries/{subject}.h5") for subject in SUBJECTS]
    assert np.array_equal(series[0].mask, series[1].mask)
    for one in series:
        values = one.rows("2", np.arange(80))
        assert values.shape == (80, one.mask.sum())
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(values.std(axis=0, ddof=1), 1, atol=1e-3)


@pytest.mark.parametrize("model", ["logistic", "confounds", "cnn_run_and_subject"])
def test_every_used_volume_is_tested_once_in_every_split(results, labels, model):
    for found in read_predictions(results / f"models/predictions_{model}.h5").values():
        assert found.subjects == SUBJECTS
        assert np.array_equal(found.tested, np.tile(labels.used, (len(SUBJECTS), 1)))
        np.testing.assert_allclose(found.probabilities[found.tested].sum(axis=-1), 1, atol=1e-3)


def test_clean_splits_share_nothing(results):
    audit = pd.read_csv(results / "tables/leak_audit.csv")
    assert (audit.loc[~audit["allowed"], "n_shared"] == 0).all()
    of_test = audit.query("split == 'run_and_subject' and of == 'test' and seen_in == 'training'")
    assert (of_test["n_shared"] == 0).all()
    leaked = audit.query("split == 'random' and of == 'test' and seen_in == 'training'")
    for unit in ("movie times", "scans"):
        assert leaked.loc[leaked["unit"] == unit, "share"].min() > 0.5


def test_the_leak_is_told_from_as_many_volumes_as_the_clean_score(results):
    rows = pd.read_csv(results / "tables/decoding.csv").drop_duplicates("split").set_index("split")
    learned = rows["n_training"] + rows["n_validation"]
    # Rounded, class by class, in two parts.
    assert abs(learned["random_matched"] - learned["run_and_subject"]) <= len(CLASSES)
    assert learned["random"] > 1.5 * learned["random_matched"]


def test_accuracy_in_the_table_is_that_of_the_predictions(results, labels):
    found = read_predictions(results / "models/predictions_logistic.h5")["run"]
    tested = found.tested & labels.labelled
    codes = np.broadcast_to(labels.codes, tested.shape)
    table = pd.read_csv(results / "tables/decoding.csv")
    row = table.query("model == 'logistic' and split == 'run' and measure == 'accuracy'").iloc[0]
    assert row["value"] == pytest.approx((found.chosen == codes)[tested].mean())
    assert row["n_volumes"] == tested.sum()


def test_maps_lie_within_the_brain(results):
    mask = TimeSeries(results / "timeseries/01.h5").mask
    for emotion in CLASSES:
        values = nibabel.load(results / f"maps/occlusion_{emotion}.nii.gz").get_fdata()[..., 0]
        known = np.isfinite(values)
        assert known.any()
        assert not known[~mask].any()


def test_rdms_are_over_the_same_emotions_and_the_joint_one_is_their_mean(results):
    brain = RDMStore(results / "rdms/emotions_brain.h5")
    models = RDMStore(results / "rdms/emotions_models.h5")
    assert tuple(brain.names) == tuple(models.names) == CLASSES
    assert models.labels["model"][:3] == ["affect", "co-occurrence", "runs"]
    rows = {
        subject: [row for row, name in enumerate(brain.labels["subject"]) if name == subject]
        for subject in (*SUBJECTS, JOINT_SUBJECT)
    }
    singles = np.mean([brain.vectors(rows[subject]) for subject in SUBJECTS], axis=0)
    np.testing.assert_allclose(brain.vectors(rows[JOINT_SUBJECT]), singles, rtol=1e-4, atol=1e-6)


def test_layers_of_the_network_have_rdms_from_its_features(results):
    with h5py.File(results / "features/cnn_run_and_subject.h5") as file:
        layers = list(file.attrs["layers"])
    models = RDMStore(results / "rdms/emotions_models.h5")
    of_network = [row["layer"] for row in models.rows() if row["model"] == "cnn"]
    assert of_network == layers


def test_p_of_few_emotions_is_a_share_of_all_their_orders(results):
    table = pd.read_csv(results / "tables/emotion_rsa.csv")
    assert (table["n_orders"] == 6).all()
    assert table["complete"].all()
    np.testing.assert_allclose(table["p"], table["n_reached"] / 6, atol=1e-8)


def test_few_subjects_are_not_tested(results):
    table = pd.read_csv(results / "tables/parcel_rsa.csv")
    assert table["p_max"].isna().all()
    assert table["reason"].str.contains("2 subjects").all()


def test_an_emotion_with_too_few_episodes_is_refused_in_one_sentence(changed_run):
    splits = {"splits": {"names": ["episode", "random", "run", "run_and_subject"], "n_folds": 12}}
    config = changed_run.write_tiny(
        "config/few.yaml", {"run": "few", "emotions": {"movie": splits}}
    )
    table = "results/few/movie/tables/leak_audit.csv"
    printed = changed_run.snakemake(table, "--configfile", str(config), ok=False)
    told = [line for line in printed.splitlines() if "episodes" in line and "expected" in line]
    assert told
    assert "Traceback" not in printed
    assert not (changed_run.folder / table).exists()


def test_a_run_with_another_tr_is_refused_in_one_sentence(changed_run):
    raw = changed_run.folder / "resources/simulated/tiny/movie"
    raw.rename(changed_run.folder / "mine")
    file = "sub-01/ses-movie/func/sub-01_ses-movie_task-movie_run-1_bold.nii.gz"
    path = changed_run.folder / "mine" / file
    image = nibabel.load(path)
    image.header.set_zooms((*image.header.get_zooms()[:3], 1.5))
    path.chmod(0o644)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), path)
    entry = yaml.safe_load((changed_run.folder / "config/tiny.yaml").read_text())["emotions"]
    mine = {**entry["movie"], "source": "path", "path": "mine"}
    config = changed_run.write_tiny("config/tr.yaml", {"run": "tr", "emotions": {"movie": mine}})
    mask = "results/tr/movie/timeseries/mask.nii.gz"
    printed = changed_run.snakemake(mask, "--configfile", str(config), ok=False)
    assert "found a TR of 1.5 s in the header, expected 2 s" in printed
    assert "Traceback" not in printed
