"""What figures write: names of models and layers are broken where a reader can follow."""

import pytest

from workflow.lib.plotting import wrapped


@pytest.mark.parametrize(
    ("label", "width", "expected"),
    [
        ("conv1", 9, "conv1"),
        ("categories", 9, "categories"),
        ("image_source", 9, "image_\nsource"),
        ("image_source", 13, "image_source"),
        ("resnet50 layer1", 13, "resnet50\nlayer1"),
        ("categories + squeezenet1_0/fire9", 30, "categories +\nsqueezenet1_0/fire9"),
    ],
)
def test_labels_are_broken_at_spaces_then_after_underscores(label, width, expected):
    assert wrapped([label], width) == [expected]
