"""What figures write: files with a caption beside them, names broken where a reader can follow."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from workflow.lib.plotting import wrapped, write_figure


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


@pytest.mark.parametrize(
    ("simulated", "caption"), [(True, "Lab, n = 8. Simulated data.\n"), (False, "Lab, n = 8.\n")]
)
def test_figure_of_a_job_is_written_with_its_caption_and_closed(tmp_path, simulated, caption):
    files = {kind: str(tmp_path / f"figure.{kind}") for kind in ("png", "svg", "rst")}
    job = SimpleNamespace(
        # A rule may have outputs beside the figure's.
        output={"png": files["png"], "svg": files["svg"], "text": files["rst"], "table": "a.csv"},
        params=SimpleNamespace(simulated=simulated),
    )
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    write_figure(job, figure, "Lab, n = 8.")
    assert Image.open(files["png"]).size[0] > 100
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    assert (tmp_path / "figure.rst").read_text() == caption
    assert not plt.fignum_exists(figure.number)
