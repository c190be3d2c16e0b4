"""`make check` of pairs of images: what a run of models of pairs would stop at, found before it."""

import dataclasses
import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts.check.check_config import DEFAULT_CONFIG, check_study
from scripts.dissimilarity.data.simulate_scenes import simulate
from tests.unit.checked_entries import DEFAULT, REGISTRY, problems_of_entry
from tests.unit.pair_splits import make_splits
from workflow.lib.config.complete import complete_config, section_raw_paths
from workflow.lib.config.merging import laid_over
from workflow.lib.config.pair_kinds import model_kinds
from workflow.lib.config.pair_options import check_options, model_options
from workflow.lib.config.pair_sizes import n_training_images
from workflow.lib.errors import InputError
from workflow.lib.pairs.splits import CLEAN

N = 36
SUBJECTS_OF_92 = ("BE", "KO", "SN", "TI")
HEMISPHERE = "subj01/training_split/training_fmri/lh_training_fmri.npy"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Simulate a folder of the challenge, as if it were somebody's."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, n_images=N, null_effect=False, seed=0, name="lab")
    return folder


@pytest.fixture
def folder(simulated, tmp_path):
    """Return a copy of the folder that a test may change."""
    return shutil.copytree(simulated, tmp_path / "lab")


def entry(folder, **keys):
    """Return an entry of two subjects in a folder."""
    block = {
        "title": "Lab",
        "source": "path",
        "path": str(folder),
        "subjects": ["subj01", "subj02"],
        "rois": {"V1": ["V1v", "V1d"], "all": "all"},
        "embeddings": {"pixel": {"kind": "pixel"}},
        "splits": {"n_folds": 3},
        "models": {"ridge": {"kind": "ridge"}},
    }
    return block | keys


def problems_of(block, name="lab"):
    return problems_of_entry("dissimilarity", block, name)


def test_nothing_stands_in_the_way_of_a_whole_folder(folder, capsys):
    assert problems_of(entry(folder)) == []
    printed = capsys.readouterr().out
    n_vertices = sum(
        np.load(folder / HEMISPHERE.replace("lh", hemisphere), mmap_mode="r").shape[1]
        for hemisphere in ("lh", "rh")
    )
    assert f"subj02: {N} images with responses" in printed
    assert f"{n_vertices:,} in all" in printed


@pytest.mark.parametrize("path", [DEFAULT_CONFIG, DEFAULT_CONFIG.with_name("tiny.yaml")])
def test_simulated_entries_of_the_repository_pass(path, capsys):
    over = yaml.safe_load(Path(path).read_text())
    config = complete_config(laid_over(DEFAULT, over))
    assert check_study("scenes", config, REGISTRY) == []
    assert "raw files are simulated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("network", "layer", "sentence"),
    [
        ("squeezenet1_9", "features.0", "did you mean 'squeezenet1_"),
        ("squeezenet1_0", "fire99", "features."),
    ],
)
def test_networks_and_layers_of_embeddings_are_known(folder, network, layer, sentence):
    block = {"kind": "network", "network": network, "layer": layer, "weights": "untrained"}
    (problem,) = problems_of(entry(folder, embeddings={"net": block}))
    assert problem.startswith("lab: embedding net: found the ")
    assert sentence in problem
    block = block | {"network": "squeezenet1_0", "layer": "features.0"}
    assert problems_of(entry(folder, embeddings={"net": block})) == []


def lose_hemisphere(folder):
    (folder / HEMISPHERE).unlink()


def lose_an_image(folder):
    next((folder / "subj01/training_split/training_images").glob("*.png")).unlink()


def empty_an_roi(folder):
    for hemisphere in ("lh", "rh"):
        path = folder / f"subj01/roi_masks/{hemisphere}.prf-visualrois_challenge_space.npy"
        np.save(path, np.zeros_like(np.load(path)))


def test_an_roi_without_vertices_can_be_skipped(folder, capsys):
    empty_an_roi(folder)
    rois = {"V1": ["V1v"], "EBA": ["EBA"]}
    (problem,) = problems_of(entry(folder, rois=rois))
    assert "subj01, V1v: found no vertex in either hemisphere" in problem
    assert "rois_missing: skip" in problem
    assert problems_of(entry(folder, rois=rois, rois_missing="skip")) == []
    printed = capsys.readouterr().out.splitlines()
    assert "in V1" not in next(line for line in printed if "subj01: " in line)
    assert "in V1" in next(line for line in reversed(printed) if "subj02: " in line)
    (problem,) = problems_of(entry(folder, rois={"V1": ["V1v"]}, rois_missing="skip"))
    assert "subj01: found no vertex of V1, expected some" in problem


def lose_every_number(folder):
    for hemisphere in ("lh", "rh"):
        path = folder / HEMISPHERE.replace("lh", hemisphere)
        np.save(path, np.full_like(np.load(path), np.nan))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lose_hemisphere, "expected both hemispheres"),
        (lose_an_image, f"with a row for each of the {N - 1} images"),
        (empty_an_roi, "found no vertex in either hemisphere"),
        (lose_every_number, "found no numbers for train-0001"),
    ],
)
def test_bad_folder_of_one_subject_is_one_problem(folder, spoil, sentence):
    spoil(folder)
    (problem,) = problems_of(entry(folder))
    assert problem.startswith("lab: ")
    assert sentence in problem
    assert "subj01" in problem


def test_every_problem_is_named_at_once(folder):
    lose_hemisphere(folder)
    embeddings = {
        "vgg": {"kind": "network", "network": "vgg16", "layer": "classifier.4", "weights": "no.pt"},
        "clip": {"kind": "file", "file": "clip_{subject}.npy"},
    }
    subjects = ["subj01", "subj02", "subj07"]
    problems = problems_of(entry(folder, embeddings=embeddings, subjects=subjects))
    expected = [
        "found no weights no.pt",
        "clip_subj01.npy (3 of 3 missing)",
        "found no folder of subj07",
        "expected both hemispheres",
    ]
    assert len(problems) == len(expected)
    for problem, sentence in zip(problems, expected, strict=True):
        assert sentence in problem


def test_folder_that_is_not_there(tmp_path):
    (problem,) = problems_of(entry(tmp_path / "nowhere"))
    assert "found no folder of subj01, subj02" in problem


def test_unknown_roi_has_near_names(folder):
    problems = problems_of(entry(folder, rois={"V1": ["V1x"]}))
    assert len(problems) == 2
    assert all("found 'V1x'" in problem and "V1v" in problem for problem in problems)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"n_images": N + 1}, f"found {N} images with responses, expected {N + 1}"),
        ({"splits": {"n_folds": 4}}, "9 test images in each, expected at least 10"),
        (
            {
                "splits": {"n_folds": 3, "n_training_images": [30]},
                "models": {"ridge": {"kind": "ridge", "training_size": True}},
            },
            "found 30 training images asked for, expected at most 20",
        ),
        (
            {"splits": {"n_folds": 3}, "n_components": 19},
            "found n_components 19 for 20 training images",
        ),
    ],
)
def test_too_few_images(folder, keys, sentence):
    problems = problems_of(entry(folder, subjects=["subj01"], **keys))
    assert any(sentence in problem for problem in problems)


def test_excluded_images_are_checked_and_counted(folder, capsys):
    names = [
        path.stem for path in sorted((folder / "subj01/training_split/training_images").iterdir())
    ]
    subject = {"subjects": ["subj01"], "splits": {"n_folds": 3}}
    assert problems_of(entry(folder, images={"exclude": names[:6]}, **subject)) == []
    assert f"subj01: {N - 6} images with responses" in capsys.readouterr().out
    problems = problems_of(entry(folder, images={"exclude": names[:7]}, **subject))
    assert ["9 test images in each, expected at least 10" in problem for problem in problems]
    (problem,) = problems_of(entry(folder, images={"exclude": [names[3] + "0"]}, **subject))
    assert f"did you mean {names[3]!r}" in problem
    (problem,) = problems_of(entry(folder, images={"exclude": "nowhere.txt"}, **subject))
    assert "found 'nowhere.txt', which cannot be read" in problem


# What is found before anything is run.


def parsed(**keys):
    """Complete the default with changes of its simulated study, and return that."""
    over = {"dissimilarity": {"scenes": keys}}
    return complete_config(laid_over(DEFAULT, over))["dissimilarity"]["scenes"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        # 150 images: 30 are tested, 18 of the others are validated.
        (
            {"splits": {"n_training_images": [30, 103]}},
            "splits: found 103 .* at most 102",
        ),
        ({"splits": {"n_folds": 16}}, "150 images in 16 folds, 9 test images"),
        ({"n_images": 151}, "n_images: found 151, expected at most the 150 that are simulated"),
        ({"n_images": 60}, "found 60 training images .* at most 41"),
        # Of 30 images of the learning curve, and of 102 without one.
        ({"n_components": 29}, "splits: found n_components 29 for 30 training images, .* most 28"),
        (
            {"n_components": 101, "splits": {"n_training_images": []}},
            "splits: found n_components 101 for 102 training images, .* at most 100",
        ),
    ],
)
def test_simulated_images_that_are_too_few_are_found_while_parsing(keys, sentence):
    parsed(splits={"n_training_images": [30, 102]}, n_components=28)
    parsed(splits={"n_training_images": []}, n_components=100)
    parsed(n_components=None)
    with pytest.raises(InputError, match=f"config, dissimilarity.scenes.*{sentence}"):
        parsed(**keys)


@pytest.mark.parametrize("n_images", [30, 31, 40, 59, 97, 150])
@pytest.mark.parametrize(("n_folds", "share"), [(2, 0.15), (3, 0.4), (3, 0.15)])
def test_sizes_are_those_of_the_splits_that_are_made(n_images, n_folds, share):
    values = np.zeros(n_images * (n_images - 1) // 2)
    splits = make_splits(
        values, n_images, n_folds=n_folds, validation_share=share, rng=np.random.default_rng(0)
    )
    clean = [split.training_images.size for split in splits if split.name == CLEAN]
    assert n_training_images(n_images, n_folds=n_folds, validation_share=share) == min(clean)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"options": {"penalti": 1}}, "ridge.options: .*'penalti' for the kind ridge.*'penalties'"),
        ({"variants": {"a": {"forma": []}}}, r"ridge.variants.a: found the option 'forma'"),
        ({"options": {"penalties": 3}}, "ridge.options.penalties: found 3, expected a list"),
        (
            {"options": {"max_pairs": True}},
            "ridge.options.max_pairs: found True, expected a whole number",
        ),
    ],
)
def test_wrong_options_of_models_are_found_while_parsing(block, sentence):
    with pytest.raises(InputError, match=f"config, dissimilarity.scenes.models.{sentence}"):
        parsed(models={"ridge": {"kind": "ridge", **block}})


@pytest.mark.parametrize("name", ["a/b", "none", ""])
@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("rois", lambda name: {"rois": {name: ["V1v"]}}),
        ("embeddings", lambda name: {"embeddings": {name: {"kind": "pixel"}}}),
        ("models", lambda name: {"models": {name: {"kind": "mean"}}}),
        (
            "models.mine.variants",
            lambda name: {"models": {"mine": {"kind": "mean", "variants": {name: {}}}}},
        ),
    ],
)
def test_names_that_no_file_could_hold_are_refused(where, keys, name):
    """`none` is what a file of predictions calls an embedding or a variant that there is not."""
    with pytest.raises(InputError, match=f"dissimilarity.scenes.{where}: found '{name}', expected"):
        parsed(**keys(name))


def test_numbers_that_yaml_takes_for_text_are_named():
    options = yaml.safe_load("{learning_rate: 1e-3, n_steps: null, weight_decay: 0}")
    with pytest.raises(
        InputError, match=r"learning_rate: found '1e-3', expected a number, written 0.001; correct"
    ):
        parsed(models={"mlp": {"kind": "pair_mlp", "options": options}})


@pytest.mark.parametrize("kind", model_kinds())
def test_options_that_are_read_are_the_fields_that_a_kind_is_made_with(kind):
    model = importlib.import_module(f"scripts.dissimilarity.models.{kind}").Model
    fields = {field.name for field in dataclasses.fields(model) if field.init}
    assert set(model_options(kind)) == fields
    check_options(kind, {name: getattr(model, name) for name in fields}, "defaults")


def test_an_entry_without_models_is_refused():
    block = {**DEFAULT["dissimilarity"]["scenes"], "models": {}, "shown_model": None}
    with pytest.raises(InputError, match=r"dissimilarity.scenes.models: found {}, expected at lea"):
        complete_config({**DEFAULT, "dissimilarity": {"scenes": block}})


def test_rdms_exclude_no_images():
    block = DEFAULT["dissimilarity"]["images92"]
    for keys, key in (({"n_images": 40}, "n_images"), ({"images": {"exclude": ["1"]}}, "exclude")):
        with pytest.raises(InputError, match=rf"images92.*{key}: found .* for RDMs, expected"):
            problems_of({**block, **keys}, "images92")


def test_files_of_embeddings_are_looked_for(folder, tmp_path):
    np.save(tmp_path / "clip_subj01.npy", np.zeros((N, 4)))
    embeddings = {
        "clip": {"kind": "file", "file": f"{tmp_path}/clip_{{subject}}.npy"},
        "vgg": {"kind": "network", "network": "vgg16", "layer": "classifier.4", "weights": "no.pt"},
    }
    problems = problems_of(entry(folder, embeddings=embeddings))
    assert len(problems) == 2
    assert "clip_subj02.npy (1 of 2 missing)" in problems[0]
    assert "found no weights no.pt" in problems[1]


def pairs_of_rdms(**embedding):
    """Return a config whose only study has pairs of the RDMs of four subjects."""
    block = {**DEFAULT["dissimilarity"]["images92"], "embeddings": {"clip": embedding}}
    block["models"] = {"ridge": {"kind": "ridge"}}
    over = {"studies": ["images92"], "dissimilarity": {"images92": block}}
    return complete_config(laid_over(DEFAULT, over))


def test_arrays_of_the_subjects_of_a_study_of_rdms_are_raw_files_and_looked_for(tmp_path):
    """Provenance tells of all raw files, and `only_available` asks whether they are here."""
    files = {"file": f"{tmp_path}/{{subject}}.npy", "names": f"{tmp_path}/{{subject}}.txt"}
    config = pairs_of_rdms(kind="file", **files)
    expected = [f"{tmp_path}/{s}.{suffix}" for suffix in ("npy", "txt") for s in SUBJECTS_OF_92]
    paths = section_raw_paths(config, "dissimilarity", "images92", REGISTRY)
    assert paths == expected
    for path in expected[1:]:
        Path(path).touch()
    told = [problem for problem in check_study("images92", config, REGISTRY) if "clip" in problem]
    assert told == [
        f"images92: embedding clip: found no file {tmp_path}/BE.npy (1 of 4 missing), expected "
        "what was computed elsewhere; correct `file`"
    ]
    Path(expected[0]).touch()
    assert not any("clip" in text for text in check_study("images92", config, REGISTRY))


@pytest.mark.parametrize("key", ["file", "names"])
def test_placeholders_of_arrays_are_those_of_subjects(key):
    block = {"kind": "file", "file": "clip_{subject}.npy", key: "clip/{sub}.npy"}
    with pytest.raises(
        InputError, match=rf"clip\.{key}: found {{sub}} in 'clip/{{sub}}\.npy', exp"
    ):
        pairs_of_rdms(**block)


def test_simulations_have_three_subjects_and_the_rois_of_the_challenge():
    keys = {"source": "simulated", "path": None, "simulation": {"folder": "lab"}}
    problems = problems_of(entry(None, subjects=["subj01", "subj08"], rois={"V": ["V9"]}, **keys))
    assert len(problems) == 2
    assert "subjects: found 'subj08', expected one of subj01, subj02, subj03" in problems[0]
    assert "found 'V9'" in problems[1]


def test_names_of_a_study_of_rdms_are_those_of_its_axes():
    block = {
        **DEFAULT["dissimilarity"]["images92"],
        "rois": {"V1": ["V1"]},
        "models": {"mean": {"kind": "mean", "subjects": ["CSI1"]}},
    }
    problems = problems_of(block, "images92")
    told = [problem for problem in problems if "dissimilarity.images92" in problem]
    assert any("rois: found 'V1', expected one of" in problem for problem in told)
    assert any("models.mean.subjects: found 'CSI1'" in problem for problem in told)
