"""What packages are called where they are imported, on conda-forge and on PyPI."""

from typing import NamedTuple


class Names(NamedTuple):
    """What a package is called on conda-forge, and on PyPI."""

    conda: str
    pypi: str


# By the name by which it is imported; any other package has one name everywhere.
NAMES = {
    "PIL": Names("pillow", "pillow"),
    "matplotlib": Names("matplotlib-base", "matplotlib"),
    "open_clip": Names("open_clip_torch", "open_clip_torch"),
    "skimage": Names("scikit-image", "scikit-image"),
    "sklearn": Names("scikit-learn", "scikit-learn"),
    "torch": Names("pytorch", "torch"),
    "umap": Names("umap-learn", "umap-learn"),
    "yaml": Names("pyyaml", "pyyaml"),
}
PYPI_NAMES = {names.conda: names.pypi for names in NAMES.values()}
