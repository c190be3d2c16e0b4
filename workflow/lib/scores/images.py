"""How much reconstructed images look like the true ones, image by image."""

import numpy as np
from PIL import Image
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

# Wang et al.: the window of the structural similarity is a Gaussian of this width in pixels. What
# it comes to depends on the size of images; published numbers are of images of this side.
SIGMA, SSIM_SIDE = 1.5, 425
# Values of uint8 images, from black to white.
RANGE = 255.0


def pixel_correlation(reconstructed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation over all pixels and colours, image by image.

    Parameters
    ----------
    reconstructed, true : arrays (n_images, ...)

    Returns
    -------
    float64 array (n_images,)
        0 for an image of one value, which resembles no other.
    """
    left, right = (_standard_rows(images) for images in (reconstructed, true))
    return np.einsum("ij,ij->i", left, right)


def correlations(reconstructed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of every reconstruction with every true image.

    Parameters
    ----------
    reconstructed, true : arrays (n_images, ...)
        Pixels, or features of a layer.

    Returns
    -------
    float64 array (n_images, n_images)
        A row per reconstruction; 0 for one that is constant.
    """
    return _standard_rows(reconstructed) @ _standard_rows(true).T


def root_mean_square_error(reconstructed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the root mean square difference over pixels and colours, in shares of the range.

    Parameters
    ----------
    reconstructed, true : uint8 arrays (n_images, ...)

    Returns
    -------
    float64 array (n_images,), 0 to 1
    """
    difference = (reconstructed.astype(np.float64) - true) / RANGE
    return np.sqrt((difference**2).reshape(len(difference), -1).mean(axis=1))


def structural_similarities(reconstructed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the structural similarity (SSIM) of each image, in grey, at the published size.

    Parameters
    ----------
    reconstructed, true : uint8 arrays (n_images, side, side, 3)

    Returns
    -------
    float64 array (n_images,), at most 1

    Notes
    -----
    As published numbers of reconstructions of natural scenes are computed: images are brought to
    `SSIM_SIDE` pixels a side (bilinear) and to grey, whatever their own size.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, Image quality assessment: from error visibility to
    structural similarity, IEEE Trans Image Process 13:600. Ozcelik & VanRullen 2023, Natural scene
    reconstruction from fMRI signals using generative latent diffusion, Sci Rep 13:15666.
    """
    return np.array(
        [
            structural_similarity(
                _grey(ours),
                _grey(theirs),
                data_range=1.0,
                gaussian_weights=True,
                sigma=SIGMA,
                use_sample_covariance=False,
            )
            for ours, theirs in zip(reconstructed, true, strict=True)
        ]
    )


def _grey(image: np.ndarray) -> np.ndarray:
    """Return an image (side, side, 3) in grey, 0 to 1, float32 (SSIM_SIDE, SSIM_SIDE)."""
    grey = Image.fromarray(rgb2gray(image).astype(np.float32))
    return np.asarray(grey.resize((SSIM_SIDE, SSIM_SIDE), Image.Resampling.BILINEAR))


def _standard_rows(images: np.ndarray) -> np.ndarray:
    """Return images as rows of mean 0 and length 1; one that is constant as zeros."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]
    # What is left of a constant image is rounding.
    varies = lengths > 1e-9 * np.sqrt(rows.shape[1])
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=varies)
