"""Study dissimilarity as users run it: figures by themselves, leaks that stop it, fits resumed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist

from scripts.dissimilarity.data.algonauts import Algonauts2023
from scripts.dissimilarity.data.brain_rdms import rdm_rows
from scripts.dissimilarity.figures.plot_true_predicted import read_prediction
from tests.study_runs import assert_figures_build_alone, assert_report_holds
from workflow.lib.pairs.splits import CLEAN, LEAKED, ONE_SEEN, SPLITS
from workflow.lib.rdms.store import RDMStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
RESULTS = "results/tiny/scenes"
SIMULATED = "resources/simulated/tiny/scenes"
SUBJECTS = ("subj01", "subj02")
SCORES_OF_FIRST = "tables/pair_scores_subj01.csv"
N, N_FOLDS = 40, 3
# Those that have their name: a half-written one has a dot before it.
CHECKPOINTS = "[!.]*.checkpoint"
# What each figure takes when nothing but itself is missing.
FIGURES = {
    "flow_chart": "plot_flow_chart",
    "architectures": "plot_architectures",
    "distributions": "plot_distributions",
    "extreme_pairs": "plot_extreme_pairs",
    "raw_distances": "plot_raw_distances",
    "model_ranking_clean": "plot_model_ranking",
    "model_ranking_leaked": "plot_model_ranking",
    "inflation": "plot_inflation",
    "subject_rois": "plot_subject_rois",
    "training_size": "plot_training_size",
    "pair_r2_mlp_published": "plot_pair_r2",
    "loss_curves_subj01_mlp_published": "plot_loss_curves",
    "loss_curves_subj01_siamese": "plot_loss_curves",
    **{f"fmri_rdms_{subject}": "plot_fmri_rdms" for subject in SUBJECTS},
    **{f"true_predicted_{subject}": "plot_true_predicted" for subject in SUBJECTS},
}
TABLES = {
    "pair_scores": "tabulate_pair_scores",
    "inflation": "tabulate_pair_scores",
    "model_ranking": "tabulate_pair_scores",
    "leak_audit": "audit_pairs",
    "raw_distances": "compare_raw_distances",
    "extreme_pairs": "find_extreme_pairs",
    "ceilings": "compute_pair_ceilings",
    "vertices": "count_vertices",
}


@pytest.fixture(scope="module")
def scores(tiny_run):
    path = tiny_run.folder / RESULTS / "tables/pair_scores.csv"
    return pd.read_csv(path, dtype={"variant": str}).fillna({"variant": ""})


def test_every_figure_builds_alone(changed_run):
    assert_figures_build_alone(changed_run, RESULTS, FIGURES, *TINY)


def test_every_table_builds_alone(changed_run):
    for name, rule in TABLES.items():
        table = f"{RESULTS}/tables/{name}.csv"
        (changed_run.folder / table).unlink()
        assert changed_run.planned_jobs(table, *TINY) == {rule: 1}


def test_report_holds_every_figure_and_table_with_its_caption(tiny_run):
    tables = [f"{name}.csv" for name in TABLES]
    assert_report_holds(tiny_run, RESULTS, tables, not_data=["architectures"])


def test_restyling_a_figure_reruns_exactly_one_job(changed_run):
    script = changed_run.folder / "scripts/dissimilarity/figures/plot_inflation.py"
    script.write_text(script.read_text() + "\nA_STYLE = 1\n")
    figure = f"{RESULTS}/figures/inflation.png"
    assert changed_run.planned_jobs(figure, *TINY) == {"plot_inflation": 1}
    others = [f"{RESULTS}/figures/{name}.png" for name in FIGURES if name != "inflation"]
    assert changed_run.planned_jobs(*others, *TINY) == {}


def test_editing_a_kind_of_model_refits_the_models_of_this_kind_alone(changed_run):
    kind = changed_run.folder / "scripts/dissimilarity/models/siamese.py"
    kind.write_text(kind.read_text() + "\nAN_EDIT = 1\n")
    table = f"{RESULTS}/tables/pair_scores.csv"
    jobs = changed_run.planned_jobs(table, *TINY)
    assert jobs["fit_pair_model"] == 1
    # The other subject has no siamese network.
    assert jobs["score_pair_models"] == 1


def test_other_intervals_and_tests_score_again_and_fit_nothing(changed_run):
    scoring = {"score_pair_models": len(SUBJECTS), "tabulate_pair_scores": 1}
    table = f"{RESULTS}/tables/model_ranking.csv"
    for inference in ({"n_bootstrap": 200}, {"n_permutations": 299}):
        changes = {"run": "tiny", "dissimilarity": {"scenes": {"inference": inference}}}
        config = changed_run.write_tiny("config/inference.yaml", changes)
        assert changed_run.planned_jobs(table, "--configfile", str(config)) == scoring
    evaluation = changed_run.folder / "workflow/lib/pairs/evaluation.py"
    evaluation.write_text(evaluation.read_text() + "\nAN_EDIT = 1\n")
    assert changed_run.planned_jobs(table, *TINY) == scoring


@pytest.mark.parametrize(
    ("changes", "refitted"),
    [
        # Only ridge has a learning curve here, and only ridge, encoding and the MLP see embeddings.
        ({"splits": {"n_training_images": [10]}}, {"ridge"}),
        ({"n_components": 6}, {"ridge", "encode", "mlp_published"}),
        ({"splits": {"leaked": "random_pairs"}}, {"mean", "ridge", "mlp_published", "siamese"}),
    ],
)
def test_models_are_refitted_where_what_they_see_changes(changed_run, changes, refitted):
    of_run = {"run": "tiny", "dissimilarity": {"scenes": changes}}
    config = changed_run.write_tiny("config/changed.yaml", of_run)
    target = f"{RESULTS}/tables/model_ranking.csv"
    printed = changed_run.snakemake("--dry-run", target, "--configfile", str(config))
    fitted = re.findall(r"output: \S*/predictions/subj\d+_(\w+)\.h5", printed)
    assert set(fitted) == refitted


def test_fits_and_scores_of_a_subject_are_not_done_again_where_others_come_and_go(changed_run):
    config = changed_run.write_tiny(
        "config/one.yaml", {"run": "tiny", "dissimilarity": {"scenes": {"subjects": ["subj01"]}}}
    )
    files = [f"{RESULTS}/{name}" for name in ("predictions/subj01_ridge.h5", SCORES_OF_FIRST)]
    assert changed_run.planned_jobs(*files, "--configfile", str(config)) == {}


def test_rdms_are_the_distances_of_standardised_responses(tiny_run):
    subject = Algonauts2023(tiny_run.folder / SIMULATED, "subj01")
    store = RDMStore(tiny_run.folder / RESULTS / "rdms/fmri_subj01.h5")
    assert store.names == subject.image_names
    for (roi, metric), row in rdm_rows(store).items():
        parts = {"V1": ["V1v", "V1d"], "PPA": ["PPA"]}[roi]
        responses = subject.responses(parts, np.arange(N)).astype(np.float64)
        standardised = (responses - responses.mean(axis=0)) / responses.std(axis=0)
        expected = pdist(standardised, metric)
        np.testing.assert_allclose(store.vector(row), expected, rtol=1e-4)
    assert store.n_rdms == 2 * (1 + N_FOLDS)


def test_every_pair_within_a_fold_is_tested_once_and_no_other(tiny_run):
    file = tiny_run.folder / RESULTS / "predictions/subj01_ridge.h5"
    fit = {"roi": "V1", "metric": "correlation", "embedding": "gabor", "variant": ""}
    tested = {split: read_prediction(file, {**fit, "split": split}).tested for split in SPLITS}
    sizes = [N // N_FOLDS + (fold < N % N_FOLDS) for fold in range(N_FOLDS)]
    assert tested[CLEAN].sum() == sum(size * (size - 1) // 2 for size in sizes)
    np.testing.assert_array_equal(tested[LEAKED], tested[CLEAN])
    assert not (tested[CLEAN] & tested[ONE_SEEN]).any()


def test_clean_splits_share_nothing_and_leaked_ones_say_what_they_share(tiny_run):
    audit = pd.read_csv(tiny_run.folder / RESULTS / "tables/leak_audit.csv")
    assert (audit.query("split == 'clean'")["n_shared"] == 0).all()
    scalers = audit.query("split == 'clean' and seen_in == 'scaler'")
    assert set(scalers["check"]) == {"labels", "features"}
    leaked = audit.query("split == 'leaked' and of == 'test' and seen_in == 'training'")
    assert (leaked.query("check == 'pairs'")["n_shared"] == 0).all()
    assert (leaked.query("check == 'items'")["share"] > 0.9).all()


def test_inflation_is_what_leaked_scores_have_more_than_clean_ones(tiny_run, scores):
    fit = "subject == 'subj01' and roi == 'V1' and model == 'ridge' and embedding == 'gabor'"
    of = scores.query(f"{fit} and measure == 'r2'").sort_values("n_training_images")
    value = of.groupby("split")["value"].last()
    table = pd.read_csv(tiny_run.folder / RESULTS / "tables/inflation.csv")
    gains = table.query(f"{fit} and measure == 'r2'").groupby("split")["value"].first()
    for split in (LEAKED, ONE_SEEN):
        assert gains[split] == pytest.approx(value[split] - value[CLEAN])


def test_symmetric_models_have_no_symmetry_error(scores):
    errors = scores.query("status == 'fitted'").groupby("model")["symmetry_error"].max()
    assert (errors[["mean", "ridge", "encode", "siamese"]] == 0).all()
    assert errors["mlp_published"] > 0


def test_a_leak_stops_the_run(changed_run):
    """As many copies of an image as do not fit into one fold."""
    raw = changed_run.folder / SIMULATED
    raw.rename(changed_run.folder / "mine")
    images = sorted(
        (changed_run.folder / "mine/subj01/training_split/training_images").glob("*.png")
    )
    for image in images[1 : N // N_FOLDS + 3]:
        image.chmod(0o644)
        shutil.copy(images[0], image)
    entry = {"source": "path", "path": "mine"}
    config = changed_run.write_tiny(
        "config/leak.yaml", {"run": "leak", "dissimilarity": {"scenes": entry}}
    )
    table = "results/leak/scenes/tables/pair_scores_subj01.csv"
    printed = changed_run.snakemake(table, "--configfile", str(config), ok=False)
    told = [line for line in printed.splitlines() if "images that are copies" in line]
    assert told
    names = [image.stem for image in images]
    for line in told:
        assert "scenes: found" in line
        # Which of them have different parts follows from the seed.
        assert any(f"(subj01: {names[0]} and {name}" in line for name in names[1:])
        assert "`splits: {duplicates: together}`" in line
    # No model was fitted before that was found.
    assert not list((changed_run.folder / "results/leak/scenes").glob("predictions/*"))
    assert "Traceback" not in printed
    assert not (changed_run.folder / table).exists()


def test_a_killed_fit_goes_on_where_it_was(changed_run):
    siamese = {"siamese": {"options": {"n_epochs": 60, "save_every": 0}}}
    of_run = {
        run: changed_run.write_tiny(
            f"config/{run}.yaml", {"run": run, "dissimilarity": {"scenes": {"models": siamese}}}
        )
        for run in ("whole", "killed")
    }
    history = "results/{run}/scenes/models/subj01_siamese_history.csv"
    changed_run.snakemake(history.format(run="whole"), "--configfile", str(of_run["whole"]))
    arguments = (history.format(run="killed"), "--configfile", str(of_run["killed"]))
    # The fit alone is to be killed, not what it starts from.
    others = "results/killed/scenes/predictions/subj01_mean.h5"
    changed_run.snakemake(others, "--configfile", str(of_run["killed"]))
    kept = changed_run.folder / "results/killed/scenes/predictions/subj01_siamese.fits"
    # A kill that falls between two fits leaves finished fits, but none half done.
    for _ in range(10):
        kill_once(changed_run, lambda: any(kept.glob(CHECKPOINTS)), *arguments)
        assert kept.is_dir()
        changed_run.snakemake("--unlock", *arguments)
        if any(kept.glob(CHECKPOINTS)):
            break
    changed_run.snakemake("--rerun-incomplete", *arguments)
    log = (changed_run.folder / "results/killed/logs/scenes/models/subj01_siamese.log").read_text()
    assert re.search(r"going on at epoch \d+, step \d+", log)
    assert not kept.exists()
    whole, killed = (
        pd.read_csv(changed_run.folder / history.format(run=run)) for run in ("whole", "killed")
    )
    pd.testing.assert_frame_equal(whole, killed, rtol=1e-6)


def kill_once(checkout, condition, *arguments):
    """Run Snakemake, and kill it with all its jobs as soon as a condition holds."""
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete", *arguments],
        cwd=checkout.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        while not condition():
            assert run.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
