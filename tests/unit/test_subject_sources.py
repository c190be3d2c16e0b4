"""What is read of one subject does not follow from who else takes part."""

import pytest

from workflow.lib.sources import source_of_subject


def source(names, origin="file_name"):
    return {"files": "{subject}.npz", "subjects": {"names": names, "from": origin}, "rois": {}}


@pytest.mark.parametrize(
    ("names", "more", "kept"),
    [
        (["s1", "s2"], ["s1", "s2", "s3"], ["s2"]),
        ({"s1": "a", "s2": "b"}, {"s2": "b", "s3": "c"}, {"s2": "b"}),
    ],
)
def test_another_subject_with_files_of_its_own_changes_nothing(names, more, kept):
    assert source_of_subject(source(names), "s2") == source(kept)
    assert source_of_subject(source(more), "s2") == source(kept)


def test_number_that_stands_for_a_subject_is_its_label():
    assert source_of_subject(source([1, 2]), "2") == source([2])


@pytest.mark.parametrize("origin", ["axis", "key", "descriptor", "constant"])
def test_subjects_of_one_file_stay_for_their_order_says_which_is_which(origin):
    assert source_of_subject(source(["s1", "s2"], origin), "s2") == source(["s1", "s2"], origin)


def test_all_subjects_stay_where_none_is_asked_for():
    assert source_of_subject(source(["s1", "s2"]), None) == source(["s1", "s2"])
    assert source_of_subject({"files": "x.npz"}, "s2") == {"files": "x.npz"}
