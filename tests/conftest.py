"""What tests of every folder share."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the runs of the workflow: the longest files, which none should end alone on."""
    items.sort(key=lambda item: item.path.parent.name != "workflow")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector pass over what is there for good: modules, and thousands of tests.

    Otherwise a collection takes half a second, and nilearn asks for four with each image.
    """
    gc.freeze()


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real raw files, as <mirror>/<dataset>/<file>; skips where it is not."""
    folder = Path(os.environ.get("REALDATA_MIRROR", ROOT.parent / "shared" / "mirror"))
    if not folder.is_dir():
        pytest.skip(f"no real raw files at {folder}: set REALDATA_MIRROR to a folder with them")
    return folder


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    """Close what a test drew and, unlike a job, did not write."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
