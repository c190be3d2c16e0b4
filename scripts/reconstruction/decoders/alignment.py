"""Bringing hidden units of networks that were fitted apart to the same axes."""

from dataclasses import dataclass

import numpy as np

# Of the root mean square of the covariances: axes along which nothing varies stay where they are.
PULL = 0.01


@dataclass(frozen=True, eq=False)
class Alignment:
    """A shift, a rotation (or reflection) and a scale of vectors.

    What hidden units stand for is settled by chance in every training: the same category is one
    vector by one network and another by the next. Whatever learns from the vectors of several
    networks needs them on the same axes.

    Attributes
    ----------
    centre : float array (d,)
        Goes to `target_centre`.
    rotation : float array (d, d), orthogonal
    target_centre : float array (d,)
    scale : float
    """

    centre: np.ndarray
    rotation: np.ndarray
    target_centre: np.ndarray
    scale: float

    @classmethod
    def of(cls, vectors: np.ndarray, targets: np.ndarray) -> "Alignment":
        """Return what brings vectors as close to targets as shift, rotation and scale can.

        Parameters
        ----------
        vectors, targets : float arrays (n_images, d)
            Of the same images, by two networks.

        Notes
        -----
        With X and Y the deviations from the means, the rotation R minimises
        ||X R - Y||^2 + p ||R - I||^2 over orthogonal matrices: it is U V' of the singular value
        decomposition X' Y + p I = U S V' (Schönemann 1966). p is small, and settles what fewer
        images than units leave open; networks that started alike are best left alike there. The
        scale is ||Y|| / ||X||, not that of least squares, which is the smaller the noisier vectors
        are.

        References
        ----------
        Schönemann 1966, A generalized solution of the orthogonal Procrustes problem,
        Psychometrika 31:1.
        """
        centre, target_centre = (x.mean(axis=0, dtype=np.float64) for x in (vectors, targets))
        deviations, of_targets = vectors - centre, targets - target_centre
        products = deviations.T @ of_targets
        size = np.linalg.norm(products) / np.sqrt(len(products)) or 1.0
        left, _, right = np.linalg.svd(products + PULL * size * np.eye(len(products)))
        sizes = np.linalg.norm(deviations), np.linalg.norm(of_targets)
        scale = sizes[1] / sizes[0] if all(sizes) else 1.0
        return cls(centre, left @ right, target_centre, float(scale))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors (n, d) on the axes of the targets, float32."""
        turned = self.scale * (vectors - self.centre) @ self.rotation + self.target_centre
        return turned.astype(np.float32)
