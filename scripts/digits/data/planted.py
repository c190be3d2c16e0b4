"""What is planted where in simulated subjects. Standard library only: rule files name the regions.

Regions and codes that are named here have to be in the config of a simulated study.
"""

from dataclasses import dataclass

from scripts.digits.codes.model_names import CODE_MODEL, NETWORK_MODEL

SUBJECTS = tuple(f"{number:02d}" for number in range(1, 9))


@dataclass(frozen=True)
class Region:
    """A ball of voxels and what is planted there.

    Attributes
    ----------
    centre : voxel indices x, y, z
    model, layer : str
        Model, and its layer or code.
    """

    centre: tuple[int, int, int]
    model: str
    layer: str


REGIONS = {
    "early": Region((10, 4, 8), NETWORK_MODEL, "conv1_2"),
    "middle": Region((4, 11, 6), NETWORK_MODEL, "conv4_2"),
    "late": Region((15, 11, 6), NETWORK_MODEL, "fc8"),
    "versus": Region((10, 19, 8), CODE_MODEL, "Versus"),
    "animacy": Region((10, 12, 13), CODE_MODEL, "Animacy"),
}
