"""Files in different orders: aligned by name they give one RDM, by position they give nonsense."""

import numpy as np
import pandas as pd
import pytest
import rsatoolbox
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.raw_files import (
    aligned_images,
    completed_config,
    random_rdms,
    reordered,
    shortest_brain,
    write_rsatoolbox,
)
from workflow.lib.errors import InputError
from workflow.lib.image_groups import group_of
from workflow.lib.rdms.alignment import (
    align,
    match_keys,
    merged_repeats,
    normalised_name,
    positions,
)
from workflow.lib.rdms.source import read_aligned
from workflow.lib.rdms.vectors import take_conditions
from workflow.lib.tables import read_table, write_table

N = 12
NAMES = [f"image{i}.jpg" for i in range(N)]
SHUFFLED = np.random.default_rng(3).permutation(N)


def write_study(folder, *, names, model_names, vector, model_vector, **images):
    """Write a brain and a model file and return the study's config block."""
    write_rsatoolbox(folder / "brain.h5", vector, {"image": names})
    write_rsatoolbox(folder / "net.h5", model_vector, {"image": model_names})
    layers = {"names": ["fc"], "from": "constant"}
    config = completed_config(
        brain={**shortest_brain(), "files": "brain.h5"},
        models={"net": {"files": "net.h5", "layers": layers}},
        images={"min_common": 4, **images},
    )
    return config["rsa"]["lab"]


def aligned_vectors(folder, study):
    """Return the common images and the vectors of the brain and the model over them."""
    common, _ = aligned_images(study, folder)
    names, match = list(common["name"]), study["images"]["match"]
    ((_, brain),) = read_aligned(study["brain"], folder, names, match=match)
    ((_, model),) = read_aligned(study["models"]["net"], folder, names, match=match)
    return common, brain, model


# The trap, and that we are out of it.


def test_two_orders_give_the_same_rdm(tmp_path):
    (vector,) = random_rdms(1, N)
    (shuffled,) = reordered(vector[None], SHUFFLED)
    study = write_study(
        tmp_path,
        names=NAMES,
        model_names=[NAMES[i] for i in SHUFFLED],
        vector=vector,
        model_vector=shuffled,
    )
    common, brain, model = aligned_vectors(tmp_path, study)
    assert list(common["name"]) == NAMES
    np.testing.assert_array_equal(brain, vector)
    np.testing.assert_array_equal(model, vector)


def test_rsatoolbox_compares_unaligned_rdms_without_a_word(tmp_path):
    (vector,) = random_rdms(1, N)
    (shuffled,) = reordered(vector[None], SHUFFLED)
    model_names = [NAMES[i] for i in SHUFFLED]
    study = write_study(
        tmp_path, names=NAMES, model_names=model_names, vector=vector, model_vector=shuffled
    )
    brain, model = (
        rsatoolbox.rdm.load_rdm(str(tmp_path / f"{name}.h5")) for name in ("brain", "net")
    )
    unaligned = rsatoolbox.rdm.compare(brain, model, method="corr")[0, 0]
    subset = rsatoolbox.rdm.compare(
        brain.subset_pattern("image", NAMES), model.subset_pattern("image", NAMES), method="corr"
    )[0, 0]
    _, *ours = aligned_vectors(tmp_path, study)
    assert np.corrcoef(ours)[0, 1] == pytest.approx(1, abs=1e-12)
    assert unaligned == pytest.approx(np.corrcoef(vector, shuffled)[0, 1])
    assert subset == pytest.approx(unaligned)
    assert abs(unaligned) < 0.5


def test_subsets_of_both_files(tmp_path):
    (vector,) = random_rdms(1, N)
    kept, model_kept = [0, 1, 2, 3, 5, 7, 8, 11], [11, 10, 8, 3, 2, 9, 0, 1]
    study = write_study(
        tmp_path,
        names=[NAMES[i] for i in kept],
        model_names=[NAMES[i] for i in model_kept],
        vector=reordered(vector[None], kept)[0],
        model_vector=reordered(vector[None], model_kept)[0],
        unmatched="drop",
    )
    common, brain, model = aligned_vectors(tmp_path, study)
    shared = [0, 1, 2, 3, 8, 11]
    assert list(common["name"]) == [NAMES[i] for i in shared]
    np.testing.assert_array_equal(brain, reordered(vector[None], shared)[0])
    np.testing.assert_array_equal(model, brain)


def test_names_survive_the_table_between_two_jobs(tmp_path):
    (vector,) = random_rdms(1, 8)
    names = ["007", "12", "1e3", "NA", "null", "nan", "None", "ä"]
    np.savez(tmp_path / "brain.npz", rdm=vector, names=names)
    np.savez(
        tmp_path / "net.npz", rdm=reordered(vector[None], range(8)[::-1])[0], names=names[::-1]
    )
    layers = {"names": ["fc"], "from": "constant"}
    study = completed_config(
        brain={**shortest_brain(), "files": "brain.npz", "key": "rdm"},
        models={"net": {"files": "net.npz", "key": "rdm", "layers": layers}},
    )["rsa"]["lab"]
    common, _ = aligned_images(study, tmp_path)
    write_table(common, tmp_path / "images.csv")
    images = read_table(tmp_path / "images.csv")
    assert list(images["name"]) == list(images["label"]) == names
    ((_, model),) = read_aligned(
        study["models"]["net"], tmp_path, list(images["name"]), match="exact"
    )
    np.testing.assert_array_equal(model, vector)


@settings(deadline=None)
@given(st.permutations(range(8)), st.permutations(range(8)))
def test_any_two_orders_give_the_same_rdm(first, second):
    (vector,) = random_rdms(1, 8)
    files = {"a": first, "b": second}
    names = {file: [NAMES[i] for i in order] for file, order in files.items()}
    common = align(names).names
    assert list(common) == names["a"]
    taken = [
        take_conditions(
            reordered(vector[None], order)[0],
            positions(common, names[file], match="exact", what=file),
        )
        for file, order in files.items()
    ]
    np.testing.assert_array_equal(taken[0], reordered(vector[None], first)[0])
    np.testing.assert_array_equal(taken[1], taken[0])


# Names.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("COCO_train2014_000000000003.jpg", "coco_train2014_000000000003"),
        ("COCO/rep_COCO_train2014_000000000003.JPG", "coco_train2014_000000000003"),
        ("n01930112_19568.JPEG", "n01930112_19568"),
        (r"C:\stimuli\Scene1.png", "scene1"),
        (" /data/stimuli/scene1.tiff ", "scene1"),
        ("rep_scene1", "scene1"),
        ("representative.jpg", "representative"),
        ("scene.1", "scene.1"),
        ("scene1.v2.jpg", "scene1.v2"),
        ("jpg", "jpg"),
        ("Straße.png", "strasse"),
        ("Cafe\u0301.png", "caf\u00e9"),
    ],
)
def test_normalised_name(name, expected):
    assert normalised_name(name) == expected


@given(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    st.sampled_from(["", "x/", "/a/b c/", "C:\\x\\"]),
    st.sampled_from(["", "rep_"]),
    st.sampled_from(["", ".jpg", ".JPEG", ".png"]),
)
def test_every_spelling_of_a_name_is_normalised_to_it(name, folder, prefix, suffix):
    spelled = f"{folder}{prefix}{name}{suffix}"
    assert normalised_name(spelled) == normalised_name(spelled.upper()) == name


SPELLINGS = {"a": ["x/Cat.jpg", "dog.JPEG", "rep_egg.png"], "b": ["egg", "CAT", "Dog.bmp"]}


def test_normalised_names_match():
    alignment = align(SPELLINGS, match="normalised")
    assert alignment.names == ("cat", "dog", "egg")
    assert alignment.labels == ("x/Cat.jpg", "dog.JPEG", "rep_egg.png")
    assert alignment.unmatched == {"a": (), "b": ()}
    order = positions(alignment.names, SPELLINGS["b"], match="normalised", what="b")
    np.testing.assert_array_equal(order, [1, 2, 0])


def test_exact_names_do_not_match_another_spelling():
    with pytest.raises(InputError, match=r"found 0 image names common .* images\.match to norm"):
        align(SPELLINGS, match="exact")


@pytest.mark.parametrize(
    ("names", "match", "spelled", "advice"),
    [
        (["a", "b", "a"], "exact", "'a' and 'a'", "average repeats or rename them$"),
        (["a.jpg", "b.jpg", "rep_a.jpg"], "normalised", "'a.jpg' and 'rep_a.jpg'", "to exact$"),
        (["a.jpg", "A.jpg"], "normalised", "'a.jpg' and 'A.jpg'", "to exact$"),
        # Exact matching is no way out where the names are equal to the letter.
        (["a.jpg", "a.jpg"], "normalised", "'a.jpg' and 'a.jpg'", "rename them$"),
    ],
)
def test_duplicates(names, match, spelled, advice):
    with pytest.raises(InputError, match=rf"file\.h5: .*{spelled}.*{advice}"):
        match_keys(names, match, "file.h5")


def test_exact_matching_tells_repeats_from_their_originals():
    assert match_keys(["a.jpg", "rep_a.jpg"], "exact", "x") == ["a.jpg", "rep_a.jpg"]


# Names that only their folders tell apart.

PETS = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(1, 4)]


def orders(alignment, names_by_file):
    """Return file -> names in the common order, as later jobs find them."""
    return {
        file: [names[i] for i in positions(alignment.names, names, match="normalised", what=file)]
        for file, names in names_by_file.items()
    }


@pytest.mark.parametrize(
    "second",
    [
        PETS[::-1],
        [f"/data/Stimuli/{name.upper()}" for name in PETS[::-1]],
        [name.replace("/", "\\") for name in PETS[::-1]],
    ],
)
def test_images_of_one_name_in_two_folders_are_two_images(second):
    files = {"a": PETS, "b": second}
    alignment = align(files, match="normalised")
    assert alignment.names == ("cat/1", "cat/2", "cat/3", "dog/1", "dog/2", "dog/3")
    assert orders(alignment, files) == {"a": PETS, "b": second[::-1]}


def test_an_image_does_not_match_one_of_its_name_in_another_folder():
    files = {"a": PETS, "b": ["cat/1.png", "dog/2.png", "dog/3.png"]}
    alignment = align(files, match="normalised", unmatched="drop")
    assert alignment.names == ("cat/1", "dog/2", "dog/3")
    # No file holds two of one name, but they put them into each other's folders.
    swapped = {"a": ["cat/1", "dog/2", "dog/3", "cat/4"], "b": ["dog/1", "cat/2", "dog/3", "cat/4"]}
    alignment = align(swapped, match="normalised", unmatched="drop", min_common=2)
    assert alignment.names == ("dog/3", "cat/4")
    with pytest.raises(InputError, match=r"found 2 image names .* alike but for their folder"):
        align(swapped, match="normalised", unmatched="drop", min_common=3)
    with pytest.raises(InputError, match=r"'cat/1', which b lacks.* alike but for their folder"):
        align(swapped, match="normalised", min_common=2)


def test_names_without_folders_cannot_be_told_apart():
    files = {"a": PETS, "b": ["1.png", "2.png", "3.png"]}
    with pytest.raises(InputError, match=r"found 0 image names .* has to give the folder"):
        align(files, match="normalised", unmatched="drop")
    files = {"a": PETS, "b": ["1.png", "2.png", "2.png"]}
    with pytest.raises(InputError, match=r"b: found 1 image name\(s\) more than once"):
        align(files, match="normalised", unmatched="drop")


@pytest.mark.parametrize(
    "second",
    [
        ["images/1.png", "images/2.png", "images/3.png"],
        ["1", "2", "3"],
        ["train/1.png", "val/2.png", "val/3.png"],
    ],
)
def test_folders_that_one_file_alone_knows_do_not_matter(second):
    files = {"a": ["cat/1.png", "cat/2.png", "dog/3.png"], "b": second}
    assert align(files, match="normalised").names == ("1", "2", "3")


# Repeats.


def test_repeats_are_observations_of_their_image():
    names = ["a.jpg", "rep_b.jpg", "cat/1.png", "rep_a.jpg", "b.jpg", "dog/1.png", "A.JPG"]
    merged = ["a.jpg", "rep_b.jpg", "cat/1.png", "a.jpg", "rep_b.jpg", "dog/1.png", "a.jpg"]
    assert merged_repeats(names, "normalised") == merged
    assert merged_repeats(names, "exact") == names


# What the files do not share.

PARTLY = {"a": ["one", "two", "three", "four"], "b": ["four", "three", "two", "five", "six"]}


def test_unmatched_names_are_dropped_on_demand_and_listed():
    alignment = align(PARTLY, unmatched="drop")
    assert alignment.names == ("two", "three", "four")
    assert alignment.unmatched == {"a": ("one",), "b": ("five", "six")}


def test_unmatched_names_stop_otherwise():
    with pytest.raises(InputError, match=r"^a: found 1 image name\(s\) .*'one'.*unmatched to drop"):
        align(PARTLY)


def test_names_must_be_in_all_files():
    three = {"a": NAMES, "b": NAMES[:8], "c": NAMES[3:][::-1]}
    alignment = align(three, unmatched="drop")
    assert alignment.names == tuple(NAMES[3:8])
    assert set(alignment.unmatched["a"]) == {*NAMES[:3], *NAMES[8:]}


@pytest.mark.parametrize(("min_common", "enough"), [(2, True), (3, True), (4, False)])
def test_too_few_in_common(min_common, enough):
    if enough:
        assert len(align(PARTLY, unmatched="drop", min_common=min_common).names) == 3
    else:
        with pytest.raises(InputError, match=r"found 3 .*a has 4, b has 5.*at least 4"):
            align(PARTLY, unmatched="drop", min_common=min_common)


@pytest.mark.parametrize(
    ("common", "message"),
    [(["a", "x"], "found no image 'x' (1 of 2 are missing)"), (["x", "y"], "2 of 2 are missing")],
)
def test_a_file_that_changed_after_the_alignment(common, message):
    with pytest.raises(InputError) as error:
        positions(common, ["a", "b"], match="exact", what="file.h5")
    assert message in str(error.value)
    assert str(error.value).startswith("file.h5: ")


# The table of common images.


def test_tables_of_images(tmp_path):
    vectors = random_rdms(2, 8)
    names = ["COCO_1.jpg", *NAMES[:6], "n01440764_1.JPEG"]
    study = write_study(
        tmp_path,
        names=names,
        model_names=[*names[:-1], "N01440764_1.jpg"],
        vector=vectors[0],
        model_vector=vectors[1],
        match="exact",
        unmatched="drop",
        groups={"COCO": "^COCO_", "ImageNet": "^n[0-9]{8}_"},
    )
    common, unmatched = aligned_images(study, tmp_path)
    assert list(common["name"]) == list(common["label"]) == names[:-1]
    assert list(common["group"]) == ["COCO", *["other"] * 6]
    expected = pd.DataFrame(
        {
            "file": ["brain.h5", "net.h5"],
            "label": ["n01440764_1.JPEG", "N01440764_1.jpg"],
            "group": ["ImageNet", "ImageNet"],
        }
    )
    pd.testing.assert_frame_equal(unmatched, expected)


@pytest.mark.parametrize("folder", ["", "set/"])
def test_groups_of_a_table_hold_for_unmatched_images_too(tmp_path, folder):
    """The table is matched as the files are, and may lack images that are left out."""
    vectors = random_rdms(2, 8)
    names = [folder + name for name in ["COCO_1.jpg", *NAMES[:6], "rep_Dog.JPEG"]]
    # With an image of the same name in another folder, folders tell images apart.
    other = [*names[:-1], "elsewhere/image0.jpg" if folder else "cat.png"]
    table = tmp_path / "classes.csv"
    rows = [f"{name},thing" for name in names[:-1]] + [f"{folder}dog,animal"]
    table.write_text("\n".join(["name,class", *rows]))
    study = write_study(
        tmp_path,
        names=names,
        model_names=other,
        vector=vectors[0],
        model_vector=vectors[1],
        match="normalised",
        unmatched="drop",
        group_table={"file": str(table), "column": "class"},
    )
    common, unmatched = aligned_images(study, tmp_path)
    assert list(common["group"]) == ["thing"] * 7
    assert list(unmatched["label"]) == [names[-1], other[-1]]
    assert list(unmatched["group"]) == ["animal", "other"]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [({}, "all"), ({"a": "x", "b": "y"}, "b"), ({"a": "Y", "b": "y"}, "a"), ({"a": "z"}, "other")],
)
def test_first_group_that_fits(groups, expected):
    assert group_of("my", groups) == expected
