"""The workflow as users run it: everything, one figure, again after a change, with bad input."""

import json
import os
import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from rsatoolbox.rdm import load_rdm

from workflow.lib.config.complete import complete_config
from workflow.lib.config.merging import laid_over
from workflow.lib.digest import imported_modules
from workflow.lib.prediction import study_size

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
HEATMAP = "results/tiny/bold5000/figures/heatmap_CSI1.png"
# What the simulation wrote, as if it were somebody's data.
FROM_PATH = {"rsa": {"bold5000": {"source": "path", "path": "resources/simulated/tiny/bold5000"}}}


def test_tables_hold_one_row_per_cell(tiny_run):
    table = pd.read_csv(tiny_run.folder / "results/tiny/bold5000/tables/rsa_CSI1.csv")
    cells = table.groupby(["comparator", "roi", "layer"]).size()
    # Five layers, and the source of the images.
    assert len(table) == 2 * 10 * 6
    assert (cells == 1).all()
    assert table["similarity"].between(-1, 1).all()
    assert table["p"].between(1 / 100, 1).all()
    assert (table["q"] >= table["p"] - 1e-12).all()


def test_controls_and_partition_of_the_simulated_truth(tiny_run):
    """Pixels drive the early region and categories the late one, see simulate_objects."""
    tables = tiny_run.folder / "results/tiny/objects/tables"
    partial = pd.read_csv(tables / "partial_joint.csv").query("comparator == 'pearson'")
    assert "pixel" not in set(partial["model"])
    category = partial.query("model == 'category' and roi == 'late' and kind == 'partial'")
    assert category["p"].item() < 0.05
    shares = pd.read_csv(tables / "variance_partition.csv").query(
        "comparator == 'pearson' and subject == 'joint'"
    )
    largest = shares.loc[shares.groupby("roi")["share"].idxmax()].set_index("roi")["models"]
    assert largest.to_dict() == {"early": "pixel", "late": "category"}


def test_rdms_open_in_rsatoolbox(tiny_run):
    rdms = load_rdm(str(tiny_run.folder / "results/tiny/bold5000/rdms/brain_CSI1.h5"))
    images = pd.read_csv(tiny_run.folder / "results/tiny/bold5000/rdms/images.csv")
    assert list(rdms.pattern_descriptors["name"]) == list(images["name"])
    assert set(rdms.rdm_descriptors["roi"]) >= {"LHEarlyVis", "RHRSC"}


def test_aligned_rdm_holds_the_dissimilarities_of_its_names(tiny_run):
    """Look single pairs up by name in the raw file, which has another order."""
    results = tiny_run.folder / "results/tiny/bold5000/rdms"
    images = pd.read_csv(results / "images.csv")
    aligned = load_rdm(str(results / "brain_CSI2.h5"))
    raw = load_rdm(
        str(tiny_run.folder / "resources/simulated/tiny/bold5000/CSI2_BOLD5000_CORR_RDMs.h5")
    )
    raw_names = list(raw.pattern_descriptors["image"])
    row = list(raw.rdm_descriptors["ROI"]).index("RHPPA")
    aligned_row = list(aligned.rdm_descriptors["roi"]).index("RHPPA")
    for i, j in ((0, 1), (3, 40), (17, 25)):
        a, b = (raw_names.index(images["label"][k]) for k in (i, j))
        assert raw.get_matrices()[row, a, b] == pytest.approx(
            aligned.get_matrices()[aligned_row, i, j], abs=1e-6
        )


def test_published_images_are_those_spelled_alike_everywhere(tiny_run):
    """Exact names lose every ImageNet image, as the published analysis seems to have."""
    groups = {
        study: pd.read_csv(tiny_run.folder / f"results/tiny/{study}/rdms/images.csv")["group"]
        for study in ("bold5000", "bold5000_published")
    }
    assert "ImageNet" in set(groups["bold5000"])
    assert set(groups["bold5000_published"]) == {"Scene", "COCO"}


def test_every_figure_has_a_caption_with_n_and_says_that_it_is_simulated(tiny_run):
    figures = list((tiny_run.folder / "results/tiny").glob("*/figures/*.png"))
    assert len(figures) >= 6
    for figure in figures:
        caption = figure.with_suffix(".rst").read_text()
        # Networks that are drawn layer by layer were shown nothing.
        assert re.search(r"n = [\d,]+ [a-z]", caption) or figure.stem == "architectures", figure
        # Codes and networks are models, not data.
        models = ("codes", "architectures")
        assert "Simulated data." in caption or figure.stem in models, figure
        assert figure.with_suffix(".svg").stat().st_size > 1000


def test_report_holds_captions_and_rules(tiny_run):
    page = (tiny_run.folder / "results/tiny/report.html").read_text()
    caption = (tiny_run.folder / HEATMAP).with_suffix(".rst").read_text().split(".")[0]
    assert caption in page
    assert "compare_rdms" in page
    assert "How to read the numbers" in page
    for item in ("methods, for a paper", "claims of the originals", "seconds and memory"):
        assert item in page
    # Self-contained: nothing is loaded from elsewhere.
    assert not re.search(r'<(script|link)[^>]+(src|href)="http', page)


def test_provenance_names_commit_versions_and_inputs(tiny_run):
    record = json.loads((tiny_run.folder / "results/tiny/provenance.json").read_text())
    assert record["packages"]["rsatoolbox"] == "0.3.2"
    assert record["config"]["rsa"]["bold5000"]["simulation"]["n_images"] == 60
    model = "resources/simulated/tiny/bold5000/ResNet50_CORR_RDMs.h5"
    assert re.fullmatch("[0-9a-f]{64}", record["raw_files"][model])
    assert record["seconds_per_rule"]["bold5000/tables/rsa_CSI1"] > 0


def test_cost_of_every_job_is_told(tiny_run):
    tables = tiny_run.folder / "results/tiny/tables"
    jobs, costs = (pd.read_csv(tables / f"{name}.csv") for name in ("cost_jobs", "cost"))
    assert jobs["job"].is_unique
    assert (costs["n_measured"] == costs["n_jobs"]).all()
    assert costs["n_jobs"].sum() == len(jobs) > 200
    assert costs["seconds"].sum() == pytest.approx(jobs["seconds"].sum(), rel=1e-6)
    assert jobs[["threads", "gpu", "cpu_seconds", "memory_mb"]].notna().all(axis=None)
    # A process cannot use more time than all cores have.
    assert (jobs["cpu_seconds"] <= os.cpu_count() * jobs["seconds"] + 2).all()
    trained = jobs[jobs["rule"] == "fit_pair_model"]
    assert set(trained["gpu"]) == {0, 1}
    # Both are told to the second.
    span = pd.to_datetime(jobs["finished"]) - pd.to_datetime(jobs["started"])
    assert (span.dt.total_seconds() - jobs["seconds"]).abs().max() <= 1


def test_methods_tell_the_numbers_of_their_tables(tiny_run):
    results = tiny_run.folder / "results/tiny"
    for study in ("bold5000", "objects", "digits", "scenes", "movie"):
        text = (results / study / "methods.md").read_text()
        assert text.startswith("# Methods: ")
        assert "Simulated data. No person took part" in text
        assert "the seed 20260" in text
        assert not re.search(r"\bnan\b|None|\[@", text), study
    n_images = len(pd.read_csv(results / "bold5000/rdms/images.csv"))
    text = (results / "bold5000/methods.md").read_text()
    assert f"Responses of 2 subjects were simulated; {n_images} images" in text
    assert "99 permutations of the images" in text
    labelled = pd.read_csv(results / "movie/tables/labels.csv").query("used and label.notna()")
    classes = labelled[labelled["label"].isin(["FEAR", "HAPPINESS", "SADNESS"])]
    assert f"{len(classes)} labelled moments" in (results / "movie/methods.md").read_text()


def test_scorecard_shows_mechanisms_on_simulated_data_and_tests_no_claim(tiny_run):
    card = pd.read_csv(tiny_run.folder / "results/tiny/tables/scorecard.csv")
    assert set(card["section"]) == {
        *("bold5000", "digits", "dissimilarity", "emotions", "reconstruction")
    }
    simulated = card[card["data"] == "simulated"]
    assert not set(simulated["verdict"]) & {"reproduced", "not reproduced", "leak", "corrected"}
    verdicts = card.set_index(["section", "claim"])["verdict"]
    assert verdicts["emotions", "accuracy of decoders leaks"] == "leak (mechanism)"
    assert verdicts["emotions", "labels overwritten"] == "corrected (mechanism)"
    # Ours is no number that a run finds: a label is of its volume.
    assert verdicts["emotions", "times of volumes"] == "differs by definition"
    assert verdicts["digits", "uncentred cosine"] == "differs by definition"
    assert verdicts["bold5000", "best cell"] == "untested"
    # Reconstruction is run by a test of its own.
    assert set(card.loc[card["section"] == "reconstruction", "verdict"]) == {
        *("not run", "no number", "not measured here")
    }
    decoding = pd.read_csv(tiny_run.folder / "results/tiny/movie/tables/decoding.csv")
    asked = "model == 'logistic' and split == 'random_matched' and measure == 'accuracy'"
    leaked = decoding.query(asked)
    row = card.query("section == 'emotions' and claim == 'accuracy of decoders leaks'").iloc[0]
    assert row["ours"] == leaked["value"].item()


def test_one_figure_needs_its_subject_only(fresh):
    jobs = fresh.planned_jobs(HEATMAP, *TINY)
    assert jobs == {
        "simulate_bold5000": 1,
        "align_images": 1,
        "import_brain_rdms": 1,
        "import_model_rdms": 1,
        "compute_groups": 1,
        "resample_images": 1,
        "compare_rdms": 1,
        "plot_heatmap": 1,
    }


def test_finished_run_has_nothing_to_do(tiny_run):
    assert tiny_run.planned_jobs(*TINY) == {}


def test_restyling_a_figure_reruns_exactly_one_job(changed_run):
    # What was measured is no reason to compute anything again.
    shutil.rmtree(changed_run.folder / "results/tiny/benchmarks")
    script = changed_run.folder / "scripts/figures/plot_noise_ceiling.py"
    script.write_text(script.read_text().replace('"0.8"', '"0.7"'))
    figure = "results/tiny/bold5000/figures/noise_ceiling.png"
    assert changed_run.planned_jobs(figure, *TINY) == {"plot_noise_ceiling": 1}


def test_editing_a_library_module_reruns_the_rules_that_use_it(changed_run):
    module = changed_run.folder / "workflow/lib/inference/held_out_layer.py"
    module.write_text(module.read_text() + "\nAN_EDIT = 1\n")
    users = [
        script.name
        for script in (changed_run.folder / "scripts").rglob("*.py")
        if "workflow.lib.inference.held_out_layer" in imported_modules(script)
    ]
    assert users == ["cross_validate_layers.py"]
    table = "results/tiny/bold5000/tables/held_out_CSI1.csv"
    assert changed_run.planned_jobs(table, *TINY) == {"cross_validate_layers": 1}
    assert changed_run.planned_jobs(HEATMAP, *TINY) == {}


def test_changing_the_alpha_of_a_figure_recomputes_no_table(changed_run):
    alpha = {"rsa": {"bold5000": {"inference": {"alpha": 0.01}}}}
    config = changed_run.write_tiny("config/alpha.yaml", alpha)
    jobs = changed_run.planned_jobs(HEATMAP, "--configfile", str(config))
    assert jobs == {"plot_heatmap": 1}


def test_fourth_subject_with_fewer_images_can_be_added(fresh):
    subjects = {"names": ["CSI1", "CSI2", "CSI4"]}
    config = fresh.write_tiny(
        "config/four.yaml",
        {"studies": ["bold5000"], "rsa": {"bold5000": {"brain": {"subjects": subjects}}}},
    )
    table = "results/tiny/bold5000/tables/rsa_CSI4.csv"
    fresh.snakemake(table, "--configfile", str(config))
    found = pd.read_csv(fresh.folder / table)
    assert 20 <= found["n_images"].iloc[0] <= 60 * 2952 / 4916


def test_real_files_get_the_published_comparison(changed_run):
    """The published layout under `source: path` stands for the real files."""
    studies = {"studies": ["bold5000", "bold5000_published"]}
    config = changed_run.write_tiny("config/path.yaml", {"run": "from_path"} | studies | FROM_PATH)
    changed_run.snakemake(
        "results/from_path/bold5000/figures/published.png", "--configfile", str(config)
    )
    table = pd.read_csv(changed_run.folder / "results/from_path/bold5000/tables/published.csv")
    ours = pd.read_csv(changed_run.folder / "results/from_path/bold5000/tables/rsa_CSI1.csv")
    cell = table.query("subject == 'CSI1' and roi == 'LHLOC' and layer == 'layer3'").iloc[0]
    mine = ours.query("comparator == 'pearson' and roi == 'LHLOC' and layer == 'layer3'").iloc[0]
    assert cell["published"] == 0.037
    assert cell["ours"] == mine["similarity"]
    assert len(table) == 3 * 50


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_with_nan(path):
    with h5py.File(path, "r+") as file:
        file["dissimilarities"][2, 5] = np.nan


def repeat_a_name(path):
    with h5py.File(path, "r+") as file:
        names = file["pattern_descriptors/image"][()]
        names[1] = names[0]
        file["pattern_descriptors/image"][...] = names


def rename_a_roi(path):
    with h5py.File(path, "r+") as file:
        rois = file["rdm_descriptors/ROI"][()]
        rois[0] = b"V9"
        file["rdm_descriptors/ROI"][...] = rois


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (truncate, "expected a whole one; download or copy it again"),
        (spoil_with_nan, "found 1 NaN or infinite"),
        (repeat_a_name, "more than once"),
        (rename_a_roi, "expected one with the rois"),
    ],
)
def test_bad_raw_file_stops_with_one_sentence_and_leaves_no_output(changed_run, spoil, sentence):
    raw = changed_run.folder / "resources/simulated/tiny/bold5000/CSI1_BOLD5000_CORR_RDMs.h5"
    raw.chmod(0o644)
    spoil(raw)
    config = changed_run.write_tiny("config/bad.yaml", {"run": "bad"} | FROM_PATH)
    table = "results/bad/bold5000/tables/rsa_CSI1.csv"
    printed = changed_run.snakemake(table, "--configfile", str(config), ok=False)
    told = [line for line in printed.splitlines() if sentence in line]
    assert told
    assert all("CSI1_BOLD5000_CORR_RDMs.h5" in line for line in told)
    assert "Traceback" not in printed
    left = {path.name for path in (changed_run.folder / "results/bad/bold5000").rglob("*.*")}
    assert not left & {"rsa_CSI1.csv", "brain_CSI1.h5"}
    assert not [name for name in left if ".part-" in name]


def test_unknown_key_stops_before_anything_runs(fresh):
    fresh.write("config/typo.yaml", "rsa: {bold5000: {comparator: [pearson]}}\n")
    printed = fresh.snakemake("--dry-run", "--configfile", "config/typo.yaml", ok=False)
    assert "rsa.bold5000: found the unknown key 'comparator'" in printed
    assert "did you mean 'comparators'?" in printed
    assert "Traceback" not in printed


def test_files_on_the_command_line_are_laid_over_one_another_as_make_check_does(fresh):
    """Snakemake itself would keep the groups of both, and the files of one study in another."""
    groups = "{images: {groups: {Only: nothing}}, brain: {subjects: {names: [CSI1]}}}"
    fresh.write("config/a.yaml", f"rsa: {{bold5000: {groups}}}\n")
    fresh.write("config/b.yaml", "rsa: {objects: {brain: {files: other.npz}}}\n")
    files = ("config/tiny.yaml", "config/a.yaml", "config/b.yaml")
    table = "results/tiny/bold5000/rdms/images.csv"
    fresh.snakemake(table, "--configfile", *files[:2])
    assert set(pd.read_csv(fresh.folder / table)["group"]) == {"other"}
    printed = fresh.snakemake("--dry-run", "--configfile", *files, ok=False)
    assert "rsa.objects.brain.files: found 'other.npz' laid over a study" in printed
    assert "Traceback" not in printed


def test_study_without_its_data_does_not_block_another(fresh):
    fresh.write(
        "config/some.yaml",
        "run: tiny\nonly_available: true\nmirror: no_such_folder\n"
        "studies: [bold5000, images92, lab]\nrsa: {bold5000: {simulation: {n_images: 60}}}\n"
        "reconstruction: {lab: {title: Lab, source: path, path: lab, subjects: [S1], "
        "responses: {training: a.h5, rois: {V1: ROI_V1 = 1}}, "
        "stimuli: {training: 'images/{name}.*'}, shapes: {V1: {kind: ridge, rois: [V1]}}}}\n",
    )
    # Of the last study responses are here, and images are not.
    fresh.write("lab/a.h5", "")
    printed = fresh.snakemake("--dry-run", "--configfile", "config/some.yaml")
    assert "results/tiny/bold5000/figures" in printed
    assert "images92" not in printed
    assert "results/tiny/lab" not in printed


def test_study_that_lacks_its_images_says_so_where_they_are_asked_for(fresh):
    pictures = {"source": "path", "path": "lab"}
    fresh.write_tiny(
        "config/lab.yaml", {"studies": ["pictures"], "reconstruction": {"pictures": pictures}}
    )
    for kind in ("Training", "Test"):
        for subject in ("01", "02"):
            fresh.write(f"lab/fmri/sub-{subject}_ImageNet{kind}_fmriprep_volume_native.h5", "")
    config = ("--dry-run", "--configfile", "config/lab.yaml")
    images = "results/tiny/pictures/features/images.npz"
    printed = fresh.snakemake(images, *config, ok=False)
    assert "reconstruction.pictures.stimuli: found no folder lab/stimuli/training" in printed
    assert fresh.planned_jobs("results/tiny/bold5000/rdms/images.csv", *config[1:])


def test_check_names_what_is_matched_and_what_is_missing(changed_run):
    here = "resources/simulated/tiny/bold5000"
    config = (
        "run: mine\nstudies: [bold5000]\n"
        "rsa: {bold5000: {source: path, path: %s, images: {min_common: 20}}}\n"
    )
    good = changed_run.write("config/good.yaml", config % here)
    printed = changed_run.run("scripts.check.check_config", str(good))
    assert "images common to all files: 59" in printed
    assert "ResNet50_CORR_RDMs.h5: 59 images, 0 unmatched" in printed
    assert "CSI1_BOLD5000_CORR_RDMs.h5: 60 images, 1 unmatched" in printed
    assert "predicted: 59 images" in printed
    missing = changed_run.write("config/missing.yaml", config % "nowhere")
    printed = changed_run.run("scripts.check.check_config", str(missing), ok=False)
    assert "found 4 of its raw files missing" in printed


@pytest.mark.parametrize("study", ["bold5000", "bold5000_null", "bold5000_published", "objects"])
def test_disk_of_a_study_is_what_was_forecast(tiny_run, study):
    """Within the factor of two that `workflow.lib.prediction` promises."""
    written = yaml.safe_load((tiny_run.folder / "config/tiny.yaml").read_text())
    default = yaml.safe_load((tiny_run.folder / "config/config.yaml").read_text())
    entry = complete_config(laid_over(default, written))["rsa"][study]
    results = tiny_run.folder / "results/tiny" / study
    forecast = study_size(entry, len(pd.read_csv(results / "rdms/images.csv"))).disk_bytes()
    taken = sum(file.stat().st_size for file in results.rglob("*") if file.is_file())
    assert 0.5 < forecast / taken < 2


@pytest.mark.parametrize(
    ("network", "layer", "sentence"),
    [
        ("squeezenet1_9", "features.0", "did you mean 'squeezenet1_"),
        ("squeezenet1_0", "fire99", "features."),
    ],
)
def test_check_knows_networks_and_their_layers(changed_run, network, layer, sentence):
    config = changed_run.write(
        "config/network.yaml",
        "run: mine\nstudies: [objects]\nrsa:\n  objects:\n    source: path\n"
        "    path: resources/simulated/tiny/objects\n    brain: {subjects: {names: [s1, s2]}}\n"
        f"    models: {{squeezenet_untrained: {{network: {network}, layers: {{x: {layer}}}}}}}\n",
    )
    printed = changed_run.run("scripts.check.check_config", str(config), ok=False)
    problem = next(line for line in printed.splitlines() if line.startswith("problem"))
    assert sentence in problem
    assert "Traceback" not in printed
