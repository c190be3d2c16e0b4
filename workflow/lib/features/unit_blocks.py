"""Activations of a wide layer on disk, in blocks of units that each hold all images.

A layer of 800,000 units and 5,000 images is 16 GB. A network gives it batch by batch, all units of
a few images; an RDM needs it the other way round, all images of a few units at a time.
"""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from workflow.lib.errors import InputError

BLOCK_UNITS = 8192
_BYTES = np.dtype(np.float32).itemsize


class UnitBlocks:
    """Activations (n_images, n_units), appended by rows and read back by blocks of columns.

    The file is float32 in block-major order, (n_blocks, n_images, block_units), the last block as
    wide as is left. It is read and written by plain calls: pages of a memory map would count as
    memory of the job. The file has no name from the start, so that it is gone as soon as the
    object is closed or the process ends, however it ends.

    Parameters
    ----------
    path : Path
        Where the file is made; its folder must exist and have room.
    n_images, n_units : int
    block_units : int
        Most units of a block.
    name : str, optional
        What errors call the activations, such as the layer; the file's name if not given.

    Raises
    ------
    InputError
        Too little room on the disk.

    Examples
    --------
    >>> with UnitBlocks(Path("/tmp/layer"), n_images=2, n_units=3, block_units=2) as blocks:
    ...     blocks.append(np.array([[1, 2, 3]]))
    ...     blocks.append(np.array([[4, 5, 6]]))
    ...     [block.tolist() for block in blocks]
    [[[1.0, 2.0], [4.0, 5.0]], [[3.0], [6.0]]]
    """

    def __init__(
        self,
        path: str | Path,
        n_images: int,
        n_units: int,
        block_units: int = BLOCK_UNITS,
        name: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = name or self.path.name
        self.n_images, self.n_units, self.block_units = n_images, n_units, block_units
        self.n_appended = 0
        check_free_disk(self.path.parent, _BYTES * n_images * n_units)
        self._file = open(self.path, "w+b")  # noqa: SIM115 (closed by `close`)
        self.path.unlink()

    def __enter__(self) -> "UnitBlocks":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Add the activations of the next images, (n, n_units)."""
        if rows.ndim != 2 or rows.shape[1] != self.n_units:
            raise ValueError(f"{self.name}: rows of shape {rows.shape}, not (n, {self.n_units})")
        if self.n_appended + len(rows) > self.n_images:
            raise ValueError(f"{self.name}: more rows than its {self.n_images} images")
        try:
            for start in range(0, self.n_units, self.block_units):
                columns = rows[:, start : start + self.block_units]
                self._seek(start, row=self.n_appended)
                self._file.write(np.ascontiguousarray(columns, dtype=np.float32).data)
            self._file.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{self.path.parent}: found the disk full after {self.n_appended} of "
                f"{self.n_images} images of {self.name}, expected room for "
                f"{_BYTES * self.n_images * self.n_units:,} bytes; free some, or set TMPDIR to a "
                "folder on a larger disk"
            ) from error
        self.n_appended += len(rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the blocks, float32 arrays (n_images, <= block_units) that are the caller's own."""
        if self.n_appended != self.n_images:
            raise ValueError(f"{self.name}: {self.n_appended} of {self.n_images} images appended")
        for start in range(0, self.n_units, self.block_units):
            width = min(self.block_units, self.n_units - start)
            block = np.empty((self.n_images, width), np.float32)
            self._seek(start)
            if self._file.readinto(block.data) != block.nbytes:
                raise OSError(f"{self.name}: its temporary file ended early")
            yield block

    def _seek(self, start: int, row: int = 0) -> None:
        """Go to a row of the block that begins with the unit `start`."""
        width = min(self.block_units, self.n_units - start)
        self._file.seek(_BYTES * (start * self.n_images + row * width))


def check_free_disk(folder: Path, n_bytes: int) -> None:
    """Raise InputError unless the disk of a folder has room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise InputError(
            f"{folder}: found {free:,} bytes free, expected at least {n_bytes:,} for activations; "
            "free some, take fewer or pooled layers, or set TMPDIR to a folder on a larger disk"
        )
