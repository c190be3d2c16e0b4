"""Study reconstruction as users run it: figures by themselves, files that agree, no leak."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from scripts.reconstruction.data.image_table import read_image_table
from scripts.reconstruction.data.responses import read_responses
from tests.checkout import Checkout, copy_of_repository
from tests.study_runs import assert_figures_build_alone, assert_report_holds
from workflow.lib.sources import TRAINING
from workflow.lib.splits.held_out import read_held_out

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

CONFIG = ("--configfile", "config/tiny.yaml", "config/pictures_alone.yaml")
RESULTS = "results/tiny/pictures"
SUBJECTS = ("01", "02")
# What each figure takes when nothing but itself is missing.
FIGURES = {
    "reconstructions_natural": "plot_reconstructions",
    "controls_natural_01": "plot_controls",
    "controls_natural_02": "plot_controls",
    "identification_natural": "plot_identification",
    "ablations_natural": "plot_ablations",
    "decoders_training": "plot_decoders",
    "decoders_natural": "plot_decoders",
    "shapes_training": "plot_shapes",
    "shapes_natural": "plot_shapes",
    "image_clusters": "plot_image_clusters",
    "semantic_confusion_training": "plot_semantic_confusion",
    "semantic_confusion_natural": "plot_semantic_confusion",
    "samples_full_01": "plot_samples",
    "samples_full_02": "plot_samples",
    "learning_curves_generator_full_01": "plot_training",
    "learning_curves_generator_full_02": "plot_training",
}
TABLES = {
    "leak_audit.csv": "audit_reconstruction",
    "decoder_means.csv": "evaluate_decoders",
    "reconstruction_means.csv": "evaluate_reconstruction",
    "ablations.csv": "evaluate_reconstruction",
    "comparison.html": "tabulate_comparison",
}
DECODERS = {"shapes": ("early", "network"), "semantics": ("linear", "network")}


@pytest.fixture(scope="module")
def pictures_run(tmp_path_factory):
    """Return a copy of the repository in which this study has run; tests only read it."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("pictures"))
    alone = {"studies": ["pictures"], "calibration": {"n_simulations": 0}}
    checkout.write(CONFIG[-1], yaml.safe_dump(alone))
    checkout.snakemake(*CONFIG)
    checkout.snakemake(*CONFIG, "--report", "results/tiny/report.html")
    return checkout


@pytest.fixture
def changed(pictures_run, tmp_path):
    """Return a copy of the finished run that a test may change."""
    shutil.copytree(pictures_run.folder, tmp_path / "copy", symlinks=True)
    return Checkout(tmp_path / "copy")


@pytest.fixture(scope="module")
def results(pictures_run):
    return pictures_run.folder / RESULTS


@pytest.fixture(scope="module")
def images(results):
    return read_image_table(results / "features/images.npz")


def test_every_figure_builds_alone(changed):
    assert_figures_build_alone(changed, RESULTS, FIGURES, *CONFIG)
    one = f"{RESULTS}/figures/ablations_natural.png"
    changed.snakemake(one, *CONFIG)
    assert (changed.folder / one).is_file()


def test_every_table_builds_alone(changed):
    tables = [f"{RESULTS}/tables/{name}" for name in TABLES]
    for table in tables:
        (changed.folder / table).unlink()
    assert changed.planned_jobs(*tables, *CONFIG) == dict.fromkeys(TABLES.values(), 1)


def test_restyling_a_figure_reruns_exactly_one_job(changed):
    script = changed.folder / "scripts/reconstruction/figures/plot_ablations.py"
    script.write_text(script.read_text() + "\nA_STYLE = 1\n")
    figures = [f"{RESULTS}/figures/{name}.png" for name in FIGURES]
    assert changed.planned_jobs(*figures, *CONFIG) == {"plot_ablations": 1}


def test_a_figure_alone_builds_only_what_it_needs(changed):
    shutil.rmtree(changed.folder / RESULTS)
    clusters = f"{RESULTS}/figures/image_clusters.png"
    rules = ("prepare_pictures", "cluster_images", "plot_image_clusters")
    assert changed.planned_jobs(clusters, *CONFIG) == dict.fromkeys(rules, 1)
    # Of one subject alone, and one generator.
    jobs = changed.planned_jobs(f"{RESULTS}/figures/samples_full_02.png", *CONFIG)
    rules = (
        *("prepare_pictures", "cluster_images"),
        *("decode_shapes", "decode_semantics", "train_generator", "plot_samples"),
    )
    assert jobs == dict.fromkeys(rules, 1)


def test_decoders_of_one_name_may_be_of_another_kind_in_another_study(pictures_run):
    """In config/full.yaml `shuffled` is a network of deeprecon, and a ridge of pictures."""
    shapes = "results/full/pictures/models/shapes_shuffled_01.h5"
    jobs = pictures_run.planned_jobs(shapes, CONFIG[0], "config/full.yaml", CONFIG[-1])
    assert jobs["decode_shapes"] == 1
    assert "train_shape_decoder" not in jobs


def test_another_epoch_of_the_generator_decodes_nothing_anew(changed):
    longer = changed.write(
        "config/longer.yaml", "reconstruction: {pictures: {generator: {n_epochs: 3}}}"
    )
    table = f"{RESULTS}/tables/reconstruction_means.csv"
    jobs = changed.planned_jobs(table, *CONFIG, str(longer))
    # Two generators of two subjects, of whom images are drawn.
    assert (jobs["train_generator"], jobs["reconstruct_images_pictures"]) == (4, 2)
    assert not {"prepare_pictures", "cluster_images", "audit_reconstruction"} & set(jobs)
    assert not [rule for rule in jobs if rule.startswith(("decode_", "train_s"))]


def test_another_roi_runs_what_uses_it_and_no_generator(changed):
    pictures = {
        "responses": {"rois": {"V3": "ROI_V3 = 1"}},
        "shapes": {"V3": {"kind": "ridge", "rois": ["V3"], "ridge": {"n_inner_folds": 2}}},
    }
    more = changed.write_tiny("config/more.yaml", {"reconstruction": {"pictures": pictures}})
    jobs = changed.planned_jobs(CONFIG[0], str(more), CONFIG[-1])
    # Of two subjects; what other decoders read is what it was.
    assert jobs["decode_shapes"] == 2
    again = {"audit_reconstruction", "evaluate_decoders", "plot_decoders", "plot_shapes"}
    assert again <= set(jobs)
    assert not {"prepare_pictures", "cluster_images", "simulate_pictures_pictures"} & set(jobs)
    drawn = ("train_", "decode_sem", "reconstruct_", "compare_features")
    assert not [rule for rule in jobs if rule.startswith(drawn)]


def test_report_holds_every_figure_and_table_with_its_caption(pictures_run):
    assert_report_holds(pictures_run, RESULTS, TABLES)


def test_a_network_without_training_is_called_untrained(results):
    told = "squeezenet1_1 features.2 (untrained)"
    for name in ("reconstruction_means", "ablations"):
        table = pd.read_csv(results / f"tables/{name}.csv")
        networks = table.groupby("features", dropna=False)["network"].agg(set).to_dict()
        assert networks["squeezenet"] == {told}
    assert told in (results / "tables/comparison.html").read_text()
    assert told in (results / "figures/identification_natural.rst").read_text()


def test_nothing_is_shared_between_what_is_learned_and_what_is_tested(results):
    audit = pd.read_csv(results / "tables/leak_audit.csv", dtype={"subject": str})
    assert (audit["n_shared"] == 0).all()
    of_all = {
        (name, subject) for names in DECODERS.values() for name in names for subject in SUBJECTS
    }
    assert set(zip(audit["decoder"], audit["subject"], strict=True)) == of_all
    assert {"items", "groups", "copies", "near-duplicates"} <= set(audit["check"])
    # Half of the images in each of two folds.
    tested = audit.query("part == 'training' and of == 'test' and check == 'items'")
    assert (tested["n"] == 12).all()


def test_training_images_are_decoded_out_of_fold_and_test_images_by_all(results, images):
    training, natural = images.of(TRAINING), images.of("natural")
    folds = []
    for stream, names in DECODERS.items():
        for name in names:
            path = results / f"models/{stream}_{name}_01.h5"
            decoded = read_held_out(path, TRAINING).of(training.names)
            folds.append(decoded.fold)
            assert set(decoded.fold.tolist()) == {0, 1}
            assert (read_held_out(path, "natural").of(natural.names).fold == -1).all()
    # The folds are those of the study, for shapes and categories alike.
    assert all(np.array_equal(fold, folds[0]) for fold in folds)


def test_responses_are_standardised_by_training_and_tests_are_means(pictures_run, images):
    entry = yaml.safe_load((pictures_run.folder / CONFIG[1]).read_text())["reconstruction"]
    options = entry["pictures"]["responses"]
    raw = pictures_run.folder / "resources/simulated/tiny/pictures"
    for subject in SUBJECTS:
        files = {TRAINING: options["training"], **options["tests"]}
        parts = read_responses(
            {part: raw / file.format(subject=subject) for part, file in files.items()},
            images,
            subject=subject,
            rois=options["rois"],
            options={"format": "bdata", "names": "stimulus_name", "missing": "refuse"},
        ).parts
        trials = parts[TRAINING].responses
        assert len(trials) == 2 * 24
        np.testing.assert_allclose(trials.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(trials.std(axis=0), 1, atol=1e-3)
        assert parts["natural"].n_repeats.tolist() == [2] * 6


def test_mean_image_is_the_mean_of_training_images_for_every_test_image(results, images):
    mean = images.of(TRAINING).images.mean(axis=0)
    made = read_held_out(results / "reconstructions/mean_image_01.h5", "natural").predicted
    assert len(made) == 6
    np.testing.assert_allclose(made, np.broadcast_to(mean, made.shape), atol=1)


def test_nearest_image_is_a_training_image(results, images):
    training = images.of(TRAINING).images
    made = read_held_out(results / "reconstructions/nearest_image_02.h5", "natural").predicted
    assert all((training == image).all(axis=(1, 2, 3)).any() for image in made)


def test_means_are_those_of_the_images(results):
    scores = pd.read_csv(results / "tables/reconstruction_scores.csv", dtype={"subject": str})
    means = pd.read_csv(results / "tables/reconstruction_means.csv", dtype={"subject": str})
    own = scores.query("generator == 'full' and subject == '02'")
    assert len(own) == 6
    row = means.query("generator == 'full' and subject == '02' and measure == 'pixel_correlation'")
    assert row["value"].item() == pytest.approx(own["pixel_correlation"].mean(), abs=1e-6)
    # The mean image is the same whichever image was seen.
    two_way = means.query(
        "generator == 'mean_image' and features == 'pixels' and n_way == 2 and subject == '01'"
    )
    assert two_way["value"].item() == pytest.approx(0.5)


def test_ours_stands_beside_published_numbers_that_have_a_source(results):
    table = pd.read_csv(results / "tables/comparison.csv")
    assert table.loc[table["value"].notna(), "source"].notna().all()
    ours = table[table["source"] == "this study"]
    assert {"pixels", "squeezenet"} == set(ours["features"])
    assert "Fang, Qi &amp; Pan 2020" in (results / "tables/comparison.html").read_text()


def test_a_test_image_that_is_a_copy_is_refused_in_one_sentence(changed):
    shutil.rmtree(changed.folder / RESULTS)
    mine = changed.folder / "mine"
    shutil.copytree(changed.folder / "resources/simulated/tiny/pictures", mine)
    seen = sorted((mine / "stimuli/training").glob("*.png"))[0]
    test = sorted((mine / "stimuli/natural").glob("*.png"))[0]
    test.unlink()
    shutil.copy(seen, test)
    entry = yaml.safe_load((changed.folder / "config/tiny.yaml").read_text())["reconstruction"]
    ridge = {"early": entry["pictures"]["shapes"]["early"]}
    few = {"source": "path", "path": "mine", "subjects": ["01"], "shapes": ridge}
    copied = entry["pictures"] | few | {"semantics": {}, "generators": {}}
    config = {"run": "copy", "studies": ["pictures"], "calibration": {"n_simulations": 0}}
    over = changed.write(
        "config/copy.yaml", yaml.safe_dump(config | {"reconstruction": {"pictures": copied}})
    )
    table = "results/copy/pictures/tables/leak_audit.csv"
    printed = changed.snakemake(table, "--configfile", str(over), ok=False)
    told = [line for line in printed.splitlines() if "natural: found" in line]
    assert told
    assert "found 1 of 6 images that are copies of training images" in told[0]
    assert f"such as {test.stem} of {seen.stem}, expected others" in told[0]
    assert "Traceback" not in printed
    # Nothing was decoded in vain.
    assert not (changed.folder / "results/copy/pictures/models").exists()
    assert not (changed.folder / table).exists()
