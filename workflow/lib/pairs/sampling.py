"""Sets of pairs of images with their dissimilarities, drawn on the fly.

9,841 images are 48 million pairs: a set knows how to find its k-th pair, and holds none of them.
Images are positions 0 to n-1 in the list of a subject's images, wherever they stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from workflow.lib.errors import InputError
from workflow.lib.rdms.vectors import condensed_index

# Pairs, an array each: first image, second image, dissimilarity.
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
# Pairs looked at a time where all are: bounds memory.
BLOCK = 1 << 20


class Layout(Protocol):
    """Which pairs a set has.

    Attributes
    ----------
    n_pairs : int
    images : int array, sorted and distinct
        Those that occur.
    """

    n_pairs: int
    images: np.ndarray

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first and second images of the pairs at these positions, 0 to n_pairs - 1."""
        ...


class PairSet:
    """Pairs of images with their dissimilarity.

    Made by `among`, `between` or `listed`. No pair is an image with itself, and none is there
    twice.
    """

    def __init__(self, values: np.ndarray, n_images: int, layout: Layout) -> None:
        if values.shape != (n_images * (n_images - 1) // 2,):
            raise InputError(
                f"found dissimilarities of shape {values.shape} for {n_images} images, expected "
                f"({n_images * (n_images - 1) // 2},); give a condensed RDM of these images"
            )
        self.n_images = n_images
        self._values, self._layout = values, layout

    @classmethod
    def among(cls, values: np.ndarray, n_images: int, images: np.ndarray) -> "PairSet":
        """Return all pairs among some images.

        Parameters
        ----------
        values : float array (n_images (n_images - 1) / 2,)
            Condensed RDM of all images; is held, not copied.
        n_images : int
        images : int array (m,), distinct

        Raises
        ------
        InputError
            An image twice, or one that there is not.
        """
        return cls(values, n_images, _Among(_images(images, n_images)))

    @classmethod
    def between(
        cls, values: np.ndarray, n_images: int, left: np.ndarray, right: np.ndarray
    ) -> "PairSet":
        """Return all pairs of a left and a right image.

        Parameters
        ----------
        values, n_images : as `among`
        left, right : int arrays without a common image

        Raises
        ------
        InputError
            An image twice, also in both, or one that there is not.
        """
        _images(np.concatenate([left, right]), n_images)
        return cls(values, n_images, _Between(_images(left, n_images), _images(right, n_images)))

    @classmethod
    def listed(cls, values: np.ndarray, n_images: int, index: np.ndarray) -> "PairSet":
        """Return the pairs at some positions of the condensed RDM.

        Parameters
        ----------
        values, n_images : as `among`
        index : int array (n_pairs,), distinct
        """
        return cls(values, n_images, _Listed(np.asarray(index), n_images))

    def __len__(self) -> int:
        return self._layout.n_pairs

    @property
    def images(self) -> np.ndarray:
        """The images that occur, int array, sorted."""
        return self._layout.images

    def draw(self, rng: np.random.Generator, size: int) -> Pairs:
        """Return random pairs, each as likely as any other and drawn anew (with replacement).

        Which image of a pair comes first is random too.

        Parameters
        ----------
        rng : numpy Generator
        size : int

        Returns
        -------
        first, second : int64 arrays (size,)
        values : array (size,), of the type of the RDM
        """
        first, second, values = self.at(rng.integers(len(self), size=size))
        turned = rng.integers(2, size=size, dtype=np.uint8).astype(bool)
        return np.where(turned, second, first), np.where(turned, first, second), values

    def at(self, positions: np.ndarray) -> Pairs:
        """Return the pairs at some positions of the set, as `draw` does but in their own order.

        Parameters
        ----------
        positions : int array, 0 to len(self) - 1
        """
        first, second = self._layout.at(np.asarray(positions))
        return first, second, self._values[condensed_index(first, second, self.n_images)]

    def blocks(self, size: int = BLOCK) -> Iterator[Pairs]:
        """Yield every pair once, up to `size` at a time."""
        for start in range(0, len(self), size):
            yield self.at(np.arange(start, min(start + size, len(self))))

    def all(self) -> Pairs:
        """Return every pair once."""
        return self.at(np.arange(len(self)))

    def index(self) -> np.ndarray:
        """Return where every pair stands in the condensed RDM, int32 or int64 (len(self),)."""
        index = np.empty(len(self), index_dtype(self.n_images))
        for start in range(0, len(self), BLOCK):
            pairs = self._layout.at(np.arange(start, min(start + BLOCK, len(self))))
            index[start : start + BLOCK] = condensed_index(*pairs, self.n_images)
        return index


class _Among:
    def __init__(self, images: np.ndarray) -> None:
        self.images = np.sort(images)
        self.n_pairs = images.size * (images.size - 1) // 2

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row, column = condensed_pairs(positions, self.images.size)
        return self.images[row], self.images[column]


class _Between:
    def __init__(self, left: np.ndarray, right: np.ndarray) -> None:
        self.left, self.right = left, right
        self.n_pairs = left.size * right.size
        self.images = np.union1d(left, right) if self.n_pairs else np.empty(0, np.int64)

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row, column = np.divmod(positions, self.right.size)
        return self.left[row], self.right[column]


@dataclass
class _Listed:
    index: np.ndarray
    n_images: int

    @property
    def n_pairs(self) -> int:
        return self.index.size

    @property
    def images(self) -> np.ndarray:
        return images_of(self.index, self.n_images)

    def at(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return condensed_pairs(self.index[positions], self.n_images)


def images_of(index: np.ndarray, n_images: int) -> np.ndarray:
    """Return the images that occur in some pairs, int64, sorted.

    Parameters
    ----------
    index : int array (n_pairs,)
        Positions in the condensed RDM.
    n_images : int
    """
    occurs = np.zeros(n_images, bool)
    for start in range(0, index.size, BLOCK):
        for images in condensed_pairs(index[start : start + BLOCK], n_images):
            occurs[images] = True
    return np.flatnonzero(occurs)


def pairs_outside(
    images: np.ndarray, n_images: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Return random pairs, each at most once, none of which is among some images.

    Parameters
    ----------
    images : int array (m,), distinct
    n_images : int
    size : int
        At most n (n - 1) / 2 - m (m - 1) / 2.
    rng : numpy Generator

    Returns
    -------
    int32 or int64 array (size,)
        Positions in the condensed RDM, in random order.

    Notes
    -----
    Every such pair is among the other images, or of one of them and one of `images`: numbers that
    are drawn without replacement are pairs. Held are up to 16 bytes per pair, 0.8 GB of 9,841
    images, until all are drawn.
    """
    others = np.setdiff1d(np.arange(n_images), images)
    among, between = _Among(others), _Between(others, np.asarray(images))
    drawn = rng.choice(among.n_pairs + between.n_pairs, size, replace=False)
    index = np.empty(size, index_dtype(n_images))
    for start in range(0, size, BLOCK):
        block = drawn[start : start + BLOCK]
        for layout, first, those in (
            (among, 0, block < among.n_pairs),
            (between, among.n_pairs, block >= among.n_pairs),
        ):
            pairs = layout.at(block[those] - first)
            index[start : start + BLOCK][those] = condensed_index(*pairs, n_images)
    return index


def index_dtype(n_images: int) -> type[np.signedinteger]:
    """Return the smallest type of whole numbers that holds a position in a condensed RDM."""
    return np.int32 if n_images * (n_images - 1) // 2 < 1 << 31 else np.int64


def condensed_pairs(index: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs at some positions of a condensed RDM: the inverse of `condensed_index`.

    Parameters
    ----------
    index : int array, 0 to n (n - 1) / 2 - 1
    n : int
        Number of images.

    Returns
    -------
    first, second : int64 arrays, first < second

    Notes
    -----
    Row i begins at s(i) = i (2 n - i - 1) / 2. The root of s(i) = k in float64 is off by less than
    one for any RDM that fits in memory, and is put right by comparing whole numbers.
    """
    index = np.asarray(index, np.int64)
    row = (n - 0.5 - np.sqrt((n - 0.5) ** 2 - 2.0 * index)).astype(np.int64)
    row -= _row_start(row, n) > index
    row += _row_start(row + 1, n) <= index
    return row, index - _row_start(row, n) + row + 1


def _row_start(row: np.ndarray, n: int) -> np.ndarray:
    return row * (2 * n - row - 1) // 2


def _images(images: np.ndarray, n_images: int) -> np.ndarray:
    """Return images as int64, after checking that each is there, once."""
    images = np.asarray(images, np.int64)
    if np.unique(images).size < images.size:
        raise InputError(
            f"found {images.size} images of which {np.unique(images).size} differ, expected each "
            "image once; leave out the copies"
        )
    if images.size and not 0 <= images.min() <= images.max() < n_images:
        raise InputError(
            f"found images {images.min()} to {images.max()}, expected 0 to {n_images - 1}; give "
            "positions in the list of the subject's images"
        )
    return images
