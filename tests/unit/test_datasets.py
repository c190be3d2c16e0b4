"""The registry of raw data: what it says, what it refuses, and that the real files agree."""

import hashlib
import os
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from workflow.lib.acquire.datasets import (
    SCHEMA,
    Dataset,
    RawFile,
    download_plan,
    find_file,
    load_datasets,
    size_text,
    small_families,
)
from workflow.lib.errors import InputError

REPOSITORY = Path(__file__).parents[2]
REGISTRY = REPOSITORY / "config" / "datasets.yaml"
MIRROR = Path(os.environ.get("REALDATA_MIRROR", REPOSITORY.parent / "shared" / "mirror"))

DATASET = {
    "title": "Two runs",
    "licence": "CC0-1.0",
    "citation": "Nobody 2024",
    "homepage": "https://example.org",
    "access": "open",
    "files": [{"path": "a.csv", "url": "https://example.org/a.csv", "bytes": 3}],
}


@pytest.fixture(scope="module")
def registry():
    return load_datasets(REGISTRY)


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a registry of one dataset, `toy`, with some keys changed."""

    def load_changed(**changes):
        entry = {key: value for key, value in {**DATASET, **changes}.items() if value is not None}
        path = tmp_path / "datasets.yaml"
        path.write_text(yaml.safe_dump({"toy": entry}, sort_keys=False))
        return load_datasets(path)["toy"]

    return load_changed


def paths(dataset, pattern):
    return [f.path for f in dataset.files if re.fullmatch(pattern, f.path)]


# What the notes of the studies say of the data.


def test_registry_has_the_datasets_of_all_studies(registry):
    assert set(registry) == {
        "bold5000",
        "images92",
        "algonauts2019",
        "squeezenet",
        "clip",
        "haxby_slice",
        "studyforrest",
        "digitobject",
        "mnist",
        "cifar10",
        "miyawaki",
        "imagenet_sample",
        "algonauts2023",
        "deeprecon",
    }


def test_families_of_small_files_are_those_of_known_small_size(registry):
    found = [(name, len(files)) for name, files in small_families(registry)]
    images = [f"92images/images/image_{i:02d}.jpg" for i in range(1, 93)]
    assert ("algonauts2019", images) in small_families(registry)
    # Hundreds of megabytes each, and files of unknown size, are fetched one by one.
    assert not {"bold5000", "algonauts2023", "deeprecon"} & {name for name, _ in found}
    assert all(n > 1 for _, n in found)


def test_bold5000_study_needs_four_files_of_3_38_gb(registry):
    names = ["ResNet50_CORR_RDMs.h5"] + [f"CSI{s}_BOLD5000_CORR_RDMs.h5" for s in (1, 2, 3)]
    sizes = [registry["bold5000"].file(name).approx_bytes for name in names]
    assert size_text(sum(sizes)) == "3.38 GB"


@pytest.mark.parametrize(
    ("name", "n_images", "n_rdms"),
    [
        ("ResNet50_CORR_RDMs.h5", 4916, 5),
        ("AlexNet_CORR_RDMs.h5", 4916, 5),
        ("efficientnet_b0_CORR_RDMs.h5", 4916, 10),
        ("mobilenet_v2_CORR_RDMs.h5", 4916, 19),
        ("CSI1_BOLD5000_CORR_RDMs.h5", 4916, 10),
        ("CSI4_BOLD5000_CORR_RDMs.h5", 2952, 10),
        ("CSI2_vcAtlas_CORR_RDMs.h5", 4916, 16),
        ("CSI3_visfAtlas_CORR_RDMs.h5", 4916, 33),
    ],
)
def test_bold5000_sizes_fit_the_documented_layout(registry, name, n_images, n_rdms):
    """Float64 upper triangles, uncompressed, make up all but the names and the rounding."""
    triangles = n_rdms * n_images * (n_images - 1) // 2 * 8
    assert registry["bold5000"].file(name).approx_bytes == pytest.approx(triangles, rel=0.003)


def test_studyforrest_has_120_volume_files_of_7_54_gb(registry):
    volumes = [f for f in registry["studyforrest"].files if f.path.startswith("bold/")]
    assert len(volumes) == 120
    assert size_text(sum(f.approx_bytes for f in volumes)) == "7.54 GB"
    assert volumes[0].url == (
        "https://s3.amazonaws.com/openneuro.org/ds000113/sub-01/ses-movie/func/"
        "sub-01_ses-movie_task-movie_run-1_bold.nii.gz"
    )
    subjects = {int(re.search(r"sub-(\d\d)", f.path)[1]) for f in volumes}
    assert subjects == {1, 2, 3, 4, 5, 6, 9, 10, *range(14, 21)}


def test_studyforrest_has_parcels_of_8_subjects_and_annotations_of_12_observers(registry):
    dataset = registry["studyforrest"]
    assert len(paths(dataset, r"aggregate/sub-\d\d/shen_fconn/.*_run-[1-8]_bold\.csv")) == 64
    assert len(paths(dataset, r"annotation/data/raw/av1o0[1-9]\.csv")) == 9
    assert len(paths(dataset, r"annotation/data/raw/ao1o0[1-3]\.csv")) == 3


def test_algonauts2023_float32_responses_have_the_documented_numbers_of_vertices(registry):
    dataset = registry["algonauts2023"]
    for subject, n_images, n_left, n_right in (
        ("01", 9841, 19004, 20544),
        ("08", 8779, 18981, 20530),
    ):
        folder = f"subj{subject}/training_split/training_fmri"
        assert dataset.file(f"{folder}/lh_training_fmri.npy").approx_bytes == n_images * n_left * 4
        assert dataset.file(f"{folder}/rh_training_fmri.npy").approx_bytes == n_images * n_right * 4


def test_deeprecon_fmriprep_files_have_their_md5(registry):
    raw_file = registry["deeprecon"].file("fmri/sub-03_ImageNetTest_fmriprep_volume_native.h5")
    assert raw_file.url == "https://figshare.com/ndownloader/files/37849986"
    assert raw_file.md5 == "b7ee993435fc9b27ca507d988bdc98e9"


def test_digitobject_publishes_one_archive_of_which_three_files_are_unpacked(registry):
    """Neither the pickled weights nor the TensorFlow checkpoint are among them."""
    files = registry["digitobject"].files
    assert [file.path for file in files if file.url] == ["Sample_Data.zip"]
    assert [file.path for file in files if file.is_packed] == [
        "Train_Data.npz",
        "Val_Data.npz",
        "Sample_fMRI_data.npz",
    ]
    made = {file.origin for file in files if file.path.startswith("converted/")}
    assert made == {"Sample_fMRI_data.npz"}


def test_every_file_on_github_is_pinned_to_a_commit_and_has_a_checksum(registry):
    files = [f for dataset in registry.values() for f in dataset.files]
    on_github = [f for f in files if "github" in (f.url or "")]
    assert len(on_github) > 180
    for raw_file in on_github:
        assert re.match(
            r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", raw_file.url
        )
        assert raw_file.sha256, raw_file.path


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    shared = schema["$defs"]
    for definition in ("dataset", "file", "row"):
        for key, value in shared[definition]["properties"].items():
            described = shared[value["$ref"].rsplit("/")[-1]] if "$ref" in value else value
            assert described.get("description"), f"{definition}.{key}"


@pytest.mark.realdata
@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no folder of real raw files at {MIRROR}")
def test_mirror_and_registry_agree_in_name_size_and_sha256(registry):
    of_the_mirror_itself = {"README.md", "SHA256SUMS"}
    held = {
        path.relative_to(MIRROR).as_posix(): path for path in MIRROR.rglob("*") if path.is_file()
    }
    listed = {f"{d.name}/{f.path}": f for d in registry.values() for f in d.files}
    assert set(held) - set(listed) == of_the_mirror_itself
    for name in set(held) - of_the_mirror_itself:
        content = held[name].read_bytes()
        assert (listed[name].bytes, listed[name].sha256) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        ), name


# Reading a registry.


def test_family_is_written_out_with_what_differs_between_its_files(load):
    dataset = load(
        files=[
            {
                "path": "sub-{subject}/run-{run}.csv",
                "url": "https://example.org/{subject}/{run}",
                "expand": {"subject": ["01", "09"], "run": ["1", "2"]},
                "each": {
                    f"{s} {r}": {"bytes": int(s) * 10 + r} for s in ("01", "09") for r in (1, 2)
                },
            }
        ]
    )
    family = "sub-{subject}/run-{run}.csv"
    assert dataset.files == (
        RawFile("sub-01/run-1.csv", "https://example.org/01/1", bytes=11, family=family),
        RawFile("sub-01/run-2.csv", "https://example.org/01/2", bytes=12, family=family),
        RawFile("sub-09/run-1.csv", "https://example.org/09/1", bytes=91, family=family),
        RawFile("sub-09/run-2.csv", "https://example.org/09/2", bytes=92, family=family),
    )


def test_path_without_expand_keeps_its_braces(load):
    assert load(files=[{"path": "{odd}.csv", "url": "https://example.org/x"}]).files[0].path == (
        "{odd}.csv"
    )


FAMILY = {"path": "{run}.csv", "url": "https://example.org/{run}", "expand": {"run": ["1", "2"]}}

HUNDREDS = {field: [str(i) for i in range(100)] for field in "abcd"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": None}, r"key toy: 'licence' is a required property"),
        ({"license": "MIT"}, r"key toy: .*'license' was unexpected"),
        ({"access": "secret"}, r"key toy\.access: 'secret' is not one of"),
        ({"access": "registration"}, r"key toy: 'how_to_get' is a required property"),
        ({"files": []}, r"key toy\.files: "),
        (
            {"files": [{"path": "a.csv"}]},
            r"key toy\.how_to_get is missing, but 'a\.csv' has no url",
        ),
        ({"files": [DATASET["files"][0], {**DATASET["files"][0]}]}, r"files gives 'a\.csv' twice"),
        (
            {"files": [{**DATASET["files"][0], "bytes": "3"}]},
            r"key toy\.files\.0\.bytes: '3' is not",
        ),
        ({"files": [{**DATASET["files"][0], "sha256": "f00"}]}, r"key toy\.files\.0\.sha256: "),
        ({"files": [{**DATASET["files"][0], "approx_bytes": 3}]}, r"key toy\.files\.0: "),
        ({"files": [{**DATASET["files"][0], "path": "../a.csv"}]}, r"key toy\.files\.0\.path: "),
        ({"files": [{**DATASET["files"][0], "path": "/a.csv"}]}, r"key toy\.files\.0\.path: "),
        ({"files": [{**DATASET["files"][0], "path": "a.sha256"}]}, r"key toy\.files\.0\.path: "),
        ({"files": [{**DATASET["files"][0], "url": "a.csv"}]}, r"key toy\.files\.0\.url: "),
        ({"files": [{**FAMILY, "expand": {"run": [1]}}]}, r"expand\.run\.0: 1 is not of type"),
        ({"files": [{**FAMILY, "path": "a.csv"}]}, r"path lacks \{run\}"),
        ({"files": [{**FAMILY, "url": "https://a/{rum}"}]}, r"files\.0\.url .*no value \('rum'\)"),
        (
            {"files": [{**FAMILY, "url": "https://a/{run:>9}"}]},
            r"files\.0\.url .*no value \('run'\)",
        ),
        (
            {"files": [{"path": "{a}{b}{c}{d}", "url": "https://a", "expand": HUNDREDS}]},
            r"key toy\.files\.0\.expand: found 100,000,000 combinations",
        ),
        ({"files": [{**FAMILY, "each": {"1": {"bytes": 1}}}]}, r"do not fit together at '2'"),
        (
            {"files": [{**FAMILY, "each": {k: {"bytes": 1} for k in "123"}}]},
            r"do not fit together at '3'",
        ),
        (
            {"files": [{**FAMILY, "each": {1: {"bytes": 1}}}]},
            r"key toy\.files\.0\.each\.1 is read as",
        ),
    ],
)
def test_wrong_key_is_named(load, changes, message):
    with pytest.raises(InputError, match=message):
        load(**changes)


def test_dataset_may_not_take_the_folder_of_simulated_files(tmp_path):
    path = tmp_path / "datasets.yaml"
    path.write_text(yaml.safe_dump({"simulated": DATASET}))
    with pytest.raises(InputError, match="simulated"):
        load_datasets(path)


def test_unreadable_and_broken_registries_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml cannot be read"):
        load_datasets(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("toy: [")
    with pytest.raises(InputError, match=r"broken\.yaml is not YAML"):
        load_datasets(broken)


BILLIONS = "a0: &a0 [1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]\n", r"the alias \*a, expected what it stands for"),
        (BILLIONS, r"the alias \*a0, expected what it stands for"),
        ("[" * 5_000 + "]" * 5_000, "more than 20 lists or mappings in one another"),
    ],
)
def test_registry_of_which_a_little_stands_for_much_is_refused(tmp_path, text, message):
    (tmp_path / "datasets.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_datasets(tmp_path / "datasets.yaml")


# Looking files up.


def test_unknown_dataset_and_file_raise_with_near_names(registry):
    dataset, raw_file = find_file(registry, "images92", "92_brainRDMs.mat")
    assert (dataset.name, raw_file.bytes) == ("images92", 224663)
    with pytest.raises(InputError, match=r"no dataset 'image92'.*did you mean 'images92'"):
        find_file(registry, "image92", "92_brainRDMs.mat")
    with pytest.raises(InputError, match=r"'92_brain\.mat'.*did you mean '92_brainRDMs\.mat'"):
        find_file(registry, "images92", "92_brain.mat")


# The plan before a run.


@pytest.fixture
def closed():
    return Dataset(
        name="closed",
        title="",
        licence="",
        citation="",
        homepage="",
        access="registration",
        files=(RawFile("secret.npy"),),
        how_to_get="Ask nicely.",
    )


@pytest.fixture
def public():
    files = (
        RawFile("here.csv", "https://example.org/here", bytes=10),
        RawFile("mirrored.csv", "https://example.org/mirrored", bytes=2_000),
        RawFile("rounded.h5", "https://example.org/rounded", approx_bytes=3_000_000),
        RawFile("exact.h5", "https://example.org/exact", bytes=500_000),
        RawFile("unknown.zip", "https://example.org/unknown"),
    )
    return Dataset("public", "", "", "", "", "open", files)


def test_plan_finds_each_file_where_it_is(tmp_path, public, closed):
    resources, mirror = tmp_path / "resources", tmp_path / "mirror"
    for path in (
        resources / "public" / "here.csv",
        mirror / "public" / "here.csv",
        mirror / "public" / "mirrored.csv",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    wanted = [(dataset, f) for dataset in (public, closed) for f in dataset.files]
    plan = download_plan([*wanted, *wanted], resources, mirror)

    def names(part):
        return [raw_file.path for _, raw_file in part]

    assert names(plan.in_place) == ["here.csv"]
    assert names(plan.to_copy) == ["mirrored.csv"]
    assert names(plan.to_download) == ["rounded.h5", "exact.h5", "unknown.zip"]
    assert names(plan.unavailable) == ["secret.npy"]
    assert str(plan) == (
        "Raw files in place: 1 file, 10 bytes\n"
        "  public: 1 file, 10 bytes\n"
        "Raw files to copy from the mirror: 1 file, 2 kB\n"
        "  public: 1 file, 2 kB\n"
        "Raw files to download: 3 files, about 3.5 MB and 1 of unknown size\n"
        "  public: 3 files, about 3.5 MB and 1 of unknown size\n"
        "Raw files not to be had: 1 file, size unknown\n"
        "  closed: 1 file, size unknown\n"
        "closed: Ask nicely."
    )


def test_file_of_closed_dataset_in_the_mirror_can_be_had(tmp_path, closed):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "secret.npy").touch()
    plan = download_plan([(closed, closed.files[0])], tmp_path / "resources", tmp_path)
    assert (len(plan.to_copy), len(plan.unavailable)) == (1, 0)


def test_mirror_that_does_not_exist_is_refused(tmp_path, public):
    with pytest.raises(InputError, match=r"mirror folder .*nowhere does not exist"):
        download_plan([(public, public.files[0])], tmp_path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (3_383_520_000, "3.38 GB")],
)
def test_size_text(n_bytes, text):
    assert size_text(n_bytes) == text
