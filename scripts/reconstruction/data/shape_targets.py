"""What shape decoders aim at: the grey image, without its ground, blurred."""

import numpy as np
import scipy.ndimage
from PIL import Image

# Width of the border that is taken for ground, as a share of the side, and how far from its level a
# pixel must be: in its standard deviations, and at least by this share of the range of levels.
BORDER, DEVIATIONS, LEAST = 1 / 16, 3.0, 0.06
# An object of a smaller share of the image is a speck.
SPECK = 0.01


def shape_targets(images: np.ndarray, *, matte: bool, blur: float) -> np.ndarray:
    """Return the shapes of images.

    Parameters
    ----------
    images : uint8 array (n, side, side, 3)
    matte : bool
        Whether the ground is replaced by its median, so that no object vanishes in it.
    blur : float
        Standard deviation of a Gaussian in pixels; 0 for none.

    Returns
    -------
    float32 array (n, side, side), 0 to 1

    Notes
    -----
    The ground is found in the grey image alone, so that the shape of an object tells nothing of its
    colour. Its level is fitted to the border as a plane; what deviates from it, with the holes in
    it, is object (Zhu et al. 2014, CVPR, on the border as ground). An image in which nothing does,
    or only a speck, stays whole.
    """
    found = np.empty(images.shape[:3], np.float32)
    for i, image in enumerate(images):
        grey = np.asarray(Image.fromarray(image).convert("L"), np.float64) / 255
        if matte:
            grey = np.where(object_of(grey), grey, np.median(grey[border_of(grey)]))
        found[i] = scipy.ndimage.gaussian_filter(grey, blur, mode="nearest") if blur else grey
    return found


def border_of(grey: np.ndarray) -> np.ndarray:
    """Return the pixels at the border of an image (side, side)."""
    width = max(1, round(BORDER * len(grey)))
    border = np.ones(grey.shape, bool)
    border[width:-width, width:-width] = False
    return border


def object_of(grey: np.ndarray) -> np.ndarray:
    """Return which pixels of a grey image (side, side) are object, all where none is found."""
    side, border = len(grey), border_of(grey)
    rows, columns = np.mgrid[:side, :side] / side
    plane = np.stack([np.ones(grey.shape), rows, columns], axis=-1)
    weights = np.linalg.lstsq(plane[border], grey[border], rcond=None)[0]
    away = np.abs(grey - plane @ weights)
    # Objects that reach the border must not widen the ground: the median is not moved by them.
    spread = 1.4826 * np.median(away[border])
    inside = scipy.ndimage.binary_fill_holes(away > max(DEVIATIONS * spread, LEAST))
    labels, n = scipy.ndimage.label(inside)
    large = np.bincount(labels.ravel(), minlength=n + 1) >= SPECK * grey.size
    large[0] = False
    kept = large[labels]
    return kept if kept.any() else np.ones(grey.shape, bool)
