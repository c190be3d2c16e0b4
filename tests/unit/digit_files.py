"""Files in the layouts in which the images and betas of the digits study are published."""

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OBJECTS = ("bed", "bird", "cat", "dog", "house", "tree")
CATEGORIES = (*DIGITS, *OBJECTS)


def write_idx(path: Path, array: np.ndarray) -> Path:
    """Write an array of bytes as MNIST is written: magic number, sizes, values; .gz or not."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def png(pixels: np.ndarray) -> bytes:
    """Return an image file without loss, of (height, width) or (height, width, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random bytes, in which no two images are alike."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Return a row with a single 1 for each code, as the published labels are."""
    return np.eye(len(CATEGORIES))[codes]


def published_images(n: int = 10, *, digits: int = 224, objects: int = 256) -> dict[str, dict]:
    """Return file -> variables of the published sample: n images of each category in each part."""
    numbers = np.arange(len(CATEGORIES))
    return {
        "Train_Data.npz": {
            "mnst_tr_X": noise(10 * n, digits, digits, 3, seed=1),
            "mnst_tr_y": one_hot(np.repeat(numbers[:10], n)),
            "imgnet_tr_X": noise(6 * n, objects, objects, 3, seed=2),
            "imgnet_tr_y": one_hot(np.repeat(numbers[10:], n)),
        },
        "Val_Data.npz": {
            "val_X": noise(16 * n, digits, digits, 3, seed=3),
            "val_y": one_hot(np.repeat(numbers, n)),
        },
    }


def published_betas(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return betas of the published shape, 0 outside of a brain, and the brain, bool (x, y, z)."""
    x, y, z = np.ogrid[:64, :76, :64]
    brain = ((x - 31.5) / 24) ** 2 + ((y - 37.5) / 30) ** 2 + ((z - 31.5) / 24) ** 2 < 1
    values = np.random.default_rng(seed).standard_normal((64, 76, 64, 16))
    return np.where(brain[..., np.newaxis], values, 0), brain
