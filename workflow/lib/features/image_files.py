"""Image files of any kind, decoded as RGB, one at a time."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from workflow.lib.acquire.archives import zip_errors
from workflow.lib.errors import InputError
from workflow.lib.rdms.alignment import IMAGE_SUFFIXES
from workflow.lib.words import one_line

# Endings of the files that are taken for images.
SUFFIXES = {f".{suffix}" for suffix in IMAGE_SUFFIXES}
# A stimulus has a few million pixels at most; a few kilobytes that claim billions are an attack.
MAX_PIXELS = 50_000_000
# No compressed image of so few pixels is larger.
MAX_FILE_BYTES = 200_000_000
# What Pillow may take a file for, whatever its name: a PostScript file it hands to Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Tags of TIFF.
TILE_WIDTH, TILE_LENGTH = 322, 323
# Modes that Pillow turns into RGB without loss.
COLOUR_MODES = {"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"}
ALPHA_MODES = {"RGBA", "LA", "PA", "RGBa", "La"}


def decoded_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> Image.Image:
    """Return the image in a member of an archive as RGB; errors call it `what`.

    Raises
    ------
    InputError
        It cannot be read, is too large, or is no image.
    """
    # What a member says of its size may be a lie.
    with zip_errors(what), archive.open(member) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    check_file_size(what, len(data))
    return decoded(io.BytesIO(data), what)


def decoded(
    file: Path | io.BytesIO, what: str, *, background: tuple[int, int, int] | None = None
) -> Image.Image:
    """Return an image file as RGB.

    Orientation tags are not followed: the software that shows stimuli does not either. Of several
    frames or pages, the first counts.

    Parameters
    ----------
    file : Path or BytesIO
    what : str
        How errors name it.
    background : (red, green, blue), optional
        What shows through transparent pixels.

    Raises
    ------
    InputError
        It is no image, damaged, absurdly large, of a depth that RGB cannot hold, or transparent
        without a background.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            check_pixels(what, *image.size)
            # The tiles of a TIFF are unpacked whole, however small the image is.
            tags = getattr(image, "tag_v2", {})
            check_pixels(what, tags.get(TILE_WIDTH, 1), tags.get(TILE_LENGTH, 1))
            image.load()
            return _as_rgb(image, what, background)
    except Image.DecompressionBombError:
        raise InputError(
            f"{what}: found more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels, expected an image of "
            f"at most {MAX_PIXELS:,}; replace it"
        ) from None
    except InputError:
        raise
    except Exception as e:  # Pillow's decoders raise almost anything on a damaged file
        raise InputError(
            f"{what}: found a file that does not decode as an image ({one_line(e)}), expected a "
            "whole one; download or export it again"
        ) from e


def _as_rgb(image: Image.Image, what: str, background: tuple[int, int, int] | None) -> Image.Image:
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        if background is not None:
            image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
        elif image.getextrema()[3][0] < 255:
            raise InputError(
                f"{what}: found transparent pixels, expected none, for what shows through them is "
                "not known; paste the image on the background that was shown"
            )
    elif image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image) + 128) // 257).astype(np.uint8))
    elif image.mode not in COLOUR_MODES:
        raise InputError(
            f"{what}: found pixels of type {image.mode}, expected 8 bits per channel; export it as "
            "PNG with 8 bits"
        )
    return image.convert("RGB")


def check_pixels(what: str, width: int, height: int) -> None:
    """Raise InputError if an image, which errors call `what`, has more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{what}: found {width} x {height} pixels, expected at most {MAX_PIXELS:,} in all; "
            "scale it down"
        )


def check_file_size(what: str, n_bytes: int) -> None:
    """Raise InputError if a file, which errors call `what`, has more than `MAX_FILE_BYTES`."""
    if n_bytes > MAX_FILE_BYTES:
        raise InputError(
            f"{what}: found more than {MAX_FILE_BYTES:,} bytes, expected an image file; replace it"
        )
