"""What the simulated movie viewers have: a small brain, and regions that respond to emotions.

Analyses do not read this; checks of what they find do.
"""

from dataclasses import dataclass

import numpy as np

# Voxels of 6 mm; x runs to the left, as scanners have it.
GRID = (16, 18, 14)
AFFINE = np.diag([-6.0, 6.0, 6.0, 1.0])
AFFINE[:3, 3] = 45.0, -51.0, -39.0
# Half axes of the brain, an ellipsoid around the middle of the grid, and radius of the regions, all
# in voxels.
BRAIN, RADIUS = (7.0, 8.0, 6.0), 1.8


@dataclass(frozen=True)
class Region:
    """A sphere that responds to some emotions.

    Attributes
    ----------
    centre : tuple of 3 int
        Voxel.
    emotions : tuple of str
    """

    centre: tuple[int, int, int]
    emotions: tuple[str, ...]


# Each emotion has a region of its own; others respond to what emotions have in common. Regions do
# not touch.
REGIONS = {
    "anger": Region((4, 8, 6), ("ANGERRAGE",)),
    "fear": Region((11, 8, 6), ("FEAR",)),
    "happiness": Region((7, 13, 6), ("HAPPINESS",)),
    "love": Region((7, 4, 6), ("LOVE",)),
    "sadness": Region((7, 8, 10), ("SADNESS",)),
    "threat": Region((7, 8, 3), ("ANGERRAGE", "FEAR")),
    "pleasure": Region((11, 12, 9), ("HAPPINESS", "LOVE")),
    "displeasure": Region((4, 5, 9), ("ANGERRAGE", "FEAR", "SADNESS")),
}


def brain_mask() -> np.ndarray:
    """Return the voxels of the brain, bool GRID."""
    middle = (np.array(GRID) - 1) / 2
    scaled = (np.indices(GRID) - middle.reshape(3, 1, 1, 1)) / np.reshape(BRAIN, (3, 1, 1, 1))
    return np.square(scaled).sum(axis=0) <= 1


def region_masks() -> dict[str, np.ndarray]:
    """Return region -> its voxels, bool GRID, all within the brain."""
    voxels, brain = np.indices(GRID), brain_mask()
    return {
        name: brain
        & (np.linalg.norm(voxels - np.reshape(region.centre, (3, 1, 1, 1)), axis=0) <= RADIUS)
        for name, region in REGIONS.items()
    }
