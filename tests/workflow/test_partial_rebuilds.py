"""What runs again after a change: exactly what depends on it.

A table of changes as users make them, each with the jobs that must run again. Changes of which
none reaches the jobs of another are planned together, since each plan takes seconds.
"""

import os
import shutil
from collections import Counter
from functools import reduce

import pytest

from tests.checkout import Checkout, merged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

TINY = ("--configfile", "config/tiny.yaml")
RAW = "resources/simulated/tiny/objects/s1_responses.npz"
# What gathers all results, and so runs again whatever does.
GATHERING = (
    *("all", "write_provenance", "write_methods", "tabulate_costs", "plot_costs"),
    *("score_claims", "plot_scorecard"),
)

# What follows from similarities of study objects, of two subjects and their mean.
AFTER_COMPARISON = {
    "plot_encoding": 1,
    "plot_heatmap": 3,
    "summarise_study": 1,
    "write_explorer": 1,
}
# Scores of the models of pairs of both subjects.
AFTER_MODELS_OF_PAIRS = {
    "tabulate_pair_scores": 1,
    "plot_flow_chart": 1,
    "plot_inflation": 1,
    "plot_model_ranking": 2,
    "plot_pair_r2": 1,
    "plot_subject_rois": 1,
    "plot_training_size": 1,
    "plot_true_predicted": 2,
}
AFTER_DECODERS_OF_EMOTIONS = {
    "compute_emotion_rdms": 1,
    "evaluate_decoding": 1,
    "occlude_volumes": 1,
    "plot_training": 1,
    "compare_emotion_rdms": 1,
    "compare_occlusion_movie": 1,
    "plot_emotion_calibration": 1,
    "plot_emotion_confusion": 1,
    "plot_emotion_rdms": 1,
    "plot_leakage": 1,
    "plot_roc": 1,
    "embed_emotions": 1,
    "plot_emotion_rsa": 1,
    "plot_occlusion": 1,
    "plot_parcel_rsa": 1,
    "plot_top_voxels": 1,
    "tabulate_emotion_corrections": 1,
    "plot_emotion_embedding": 1,
}
# The names that all files share may be others with another file: they are found anew, and all that
# follows them. Networks and controls saw the images already, and are not shown them again.
AFTER_ALIGNMENT = {
    "align_images": 1,
    "compute_groups_with_grams": 1,
    "select_images": 4,
    "average_subjects": 1,
    "cross_validate_group": 1,
    "estimate_noise_ceiling": 1,
    "gather_held_out": 1,
    "infer_group": 1,
    "partition_variance": 1,
    "plot_encoding": 1,
    "plot_variance_partition": 1,
    "summarise_study": 1,
    "write_explorer": 1,
}


def of_subjects(n):
    """Return what follows images of each of n subjects of study objects, and of their mean."""
    each = ("compute_brain_rdms", "cross_validate_layers", "fit_encoding")
    with_mean = ("control_models", "resample_images", "compare_rdms", "plot_heatmap")
    return dict.fromkeys(each, n) | dict.fromkeys(with_mean, n + 1)


# Changes of the config that are planned together: what is changed, how, which jobs run again.
CONFIGS = {
    "comparator, model of pairs, training of the network of emotions": [
        (
            {"rsa": {"objects": {"comparators": ["pearson", "spearman", "cosine"]}}},
            {
                "control_models": 3,
                "estimate_noise_ceiling": 1,
                "partition_variance": 1,
                "resample_images": 3,
                "compare_rdms": 3,
                "infer_group": 1,
                "plot_variance_partition": 1,
                **AFTER_COMPARISON,
            },
        ),
        (
            {"dissimilarity": {"scenes": {"models": {"additive": {"kind": "additive"}}}}},
            {
                "fit_pair_model": 2,
                "plot_architectures": 1,
                "score_pair_models": 2,
                **AFTER_MODELS_OF_PAIRS,
            },
        ),
        (
            {"emotions": {"movie": {"models": {"cnn": {"training": {"n_epochs": 3}}}}}},
            {"train_emotion_cnn": 1, **AFTER_DECODERS_OF_EMOTIONS},
        ),
    ],
    "permutations, ROI of pairs": [
        # No resample is drawn again, nor is any layer's preference.
        (
            {"rsa": {"objects": {"inference": {"n_permutations": 49}}}},
            {"compare_rdms": 3, "control_models": 3, "fit_encoding": 2, **AFTER_COMPARISON},
        ),
        # RDMs of all ROIs of a subject are one file: models of other ROIs are fitted again, too.
        (
            {"dissimilarity": {"scenes": {"rois": {"OPA": ["OPA"]}}}},
            {
                "compute_fmri_rdms": 2,
                "count_vertices": 1,
                "compare_raw_distances": 1,
                "compute_pair_ceilings": 1,
                "find_extreme_pairs": 1,
                "fit_pair_model": 7,
                "plot_distributions": 1,
                "plot_fmri_rdms": 2,
                "plot_extreme_pairs": 1,
                "plot_loss_curves": 2,
                "plot_raw_distances": 1,
                "score_pair_models": 2,
                **AFTER_MODELS_OF_PAIRS,
            },
        ),
    ],
    "subject, training of one network of pairs": [
        (
            {"rsa": {"objects": {"brain": {"subjects": {"names": ["s1", "s2", "s3"]}}}}},
            AFTER_ALIGNMENT | of_subjects(3) | {"extract_patterns": 1},
        ),
        # The only fit of that network, of the only subject that has one.
        (
            {"dissimilarity": {"scenes": {"models": {"siamese": {"options": {"n_steps": 4}}}}}},
            {
                "fit_pair_model": 1,
                "plot_architectures": 1,
                "plot_loss_curves": 1,
                "score_pair_models": 1,
                **AFTER_MODELS_OF_PAIRS,
            },
        ),
    ],
}


def without_gathering(jobs):
    return Counter({rule: n for rule, n in jobs.items() if rule not in GATHERING})


@pytest.fixture(scope="module")
def finished(tiny_run, tmp_path_factory):
    """Return a copy of the finished tiny run; tests put back what they change."""
    folder = tmp_path_factory.mktemp("rebuilds") / "copy"
    shutil.copytree(tiny_run.folder, folder, symlinks=True)
    return Checkout(folder)


@pytest.fixture
def edit(finished):
    """Return a function that replaces the first such bytes of a file; the file is put back."""
    before = {}

    def replace(path, old, new):
        file = finished.folder / path
        content = file.read_bytes()
        before[file] = content, file.stat()
        assert old in content
        file.chmod(0o644)
        file.write_bytes(content.replace(old, new, 1))

    yield replace
    for file, (content, state) in before.items():
        file.write_bytes(content)
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("name", CONFIGS)
def test_changed_keys_rerun_what_depends_on_them(finished, name):
    changes, jobs = zip(*CONFIGS[name], strict=True)
    config = finished.write_tiny("config/changed.yaml", reduce(merged, changes))
    planned = finished.planned_jobs("--configfile", str(config))
    assert without_gathering(planned) == sum(map(Counter, jobs), Counter())
    assert set(planned) >= {"all", "write_provenance"}


def test_seed_reruns_all_but_what_is_not_random(finished):
    config = finished.write_tiny("config/changed.yaml", {"seed": 7})
    planned = finished.planned_jobs("--configfile", str(config))
    every = finished.planned_jobs(*TINY, "--forceall")
    # All data is simulated here. Codes are rules of the config, networks are drawn as built.
    kept = {"compute_codes": 1, "plot_codes": 1, "plot_architectures": 1}
    assert without_gathering(every) - without_gathering(planned) == kept


def test_edits_without_meaning_rerun_nothing(finished, edit):
    edit("workflow/lib/rdms/vectors.py", b"\nimport", b"\n# A comment.\nimport")
    edit("workflow/lib/plotting.py", b'"""', b'"""Indeed: ')
    # A run without conda has none of these environments.
    edit("envs/plot.yaml", b"plotly =7", b"plotly =6")
    # Touched, not changed: up to a megabyte Snakemake knows files by their content.
    edit(RAW, b"PK", b"PK")
    assert (finished.folder / RAW).stat().st_size < 1e6
    assert finished.planned_jobs(*TINY) == {}


def test_edited_sources_and_raw_files_rerun_what_uses_them(finished, edit):
    # The colour of a curve, in a module that two rules use.
    edit("workflow/lib/figures/curves.py", b"PALETTE[0]", b"PALETTE[4]")
    # Scripts are known by their time: a comment is an edit.
    edit("scripts/figures/plot_noise_ceiling.py", b"\nimport", b"\n# A comment.\nimport")
    edit(RAW, b"PK", b"KP")
    assert without_gathering(finished.planned_jobs(*TINY)) == {
        "plot_training": 2,
        "plot_loss_curves": 2,
        "plot_noise_ceiling": 1,
        "extract_patterns": 1,
        **AFTER_ALIGNMENT,
        **of_subjects(2),
    }
