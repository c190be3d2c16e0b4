"""BData, the files of Kamitani Lab: a table of samples, and metadata that say what columns hold.

Layout (HDF5): /dataset (n_samples, n_columns), where responses and labels stand side by side;
/metadata/key, /metadata/description (n_keys) and /metadata/value (n_keys, n_columns; NaN where a
key does not apply); /vmap/<key>/<number>, the text that a number in the column of a key stands for.

bdpy reads a file as a whole, in float64. Here columns are read as they are needed, and a selector
is taken at its word: what bdpy would pass over (an open bracket, a mix of operators that has no
order) is refused.

References
----------
https://github.com/KamitaniLab/bdpy, class BData.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import h5py
import numpy as np

from workflow.lib.arrays.foreign_hdf5 import hdf5_errors, open_hdf5
from workflow.lib.arrays.text import as_string
from workflow.lib.errors import InputError
from workflow.lib.words import near

# Keys of the columns that are responses, and names of the two tables in older files.
RESPONSES = ("VoxelData", "VertexData")
OLDER = {"dataset": "dataSet", "metadata": "metaData"}
# Ids of images are numbers, 1518878.005958 for image 5958 of synset n01518878, in this column
# (counted from 0) of those that the key holds. With fewer decimals images change places.
LABEL, LABEL_COLUMN, ID_FORMAT = "Label", 1, "{:.6f}"
NAMES = "stimulus_name"
# Texts that stand for rest, as event tables of BIDS write that there is nothing to say.
REST = ("n/a", "")
# Rows that are read at a time: bounds the memory beside the columns that are kept.
ROWS = 256
# How many keys an error lists.
LISTED = 30

TOKEN = re.compile(r"\s*(?:(?P<sign>[()|&+=-])|\"(?P<quoted>[^\"]*)\"|(?P<word>[\w.*]+))")
OPERATORS = {
    "|": np.logical_or,
    "+": np.logical_or,
    "&": np.logical_and,
    "-": lambda left, right: left & ~right,
}


class BData:
    """An open file of BData; close it, or use it in a `with` statement.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    what : str
        How errors name the file.
    keys : list of str
        Of the metadata.
    n_samples, n_columns : int

    Raises
    ------
    InputError
        There is no such file, or it is damaged, or is no BData.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.what = self.path.name
        if not self.path.is_file():
            raise InputError(
                f"{self.path}: found no such file, expected BData; check the folder and "
                "`responses` in the config"
            )
        self._file = open_hdf5(self.path)
        try:
            with hdf5_errors(self.what):
                self._open_tables()
        except BaseException:
            self.close()
            raise

    def _open_tables(self) -> None:
        tables = [name if name in self._file else old for name, old in OLDER.items()]
        if not all(name in self._file for name in tables):
            raise InputError(
                f"{self.what}: found {', '.join(map(repr, self._file)) or 'nothing'}, expected the "
                "tables 'dataset' and 'metadata' of BData; give a file that bdpy wrote"
            )
        self._dataset, metadata = (self._file[name] for name in tables)
        self.keys = [as_string(key) for key in metadata["key"][()]]
        self._applies = metadata["value"][()] == 1
        self.n_samples, self.n_columns = self._dataset.shape
        if self._applies.shape != (len(self.keys), self.n_columns):
            raise InputError(
                f"{self.what}: found metadata of shape {self._applies.shape}, expected "
                f"({len(self.keys)}, {self.n_columns}), a row for each key and a column for each "
                "of the dataset; download or export it again"
            )

    def __enter__(self) -> "BData":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def columns(self, selector: str) -> np.ndarray:
        """Return the columns that a selector names.

        Parameters
        ----------
        selector : str
            "ROI_V1 = 1", "ROI_V1", "ROI_V1 | ROI_V2", "ROI_VC - (ROI_V1 | ROI_V2)", "ROI_h*".
            `|` (or `+`) joins, `&` intersects and `-` leaves out, from left to right; where
            different ones meet, brackets must say which comes first. A `*` stands for anything.

        Returns
        -------
        bool array (n_columns,)

        Raises
        ------
        InputError
            The selector cannot be read, names a key that is not there, or selects no column.
        """
        found = _Selector(self, selector).selected()
        if not found.any():
            raise InputError(
                f"{self.what}: found no column that {selector!r} selects, expected some; choose "
                f"among {self._told()}"
            )
        return found

    def responses(self, selector: str) -> np.ndarray:
        """Return the columns of a selector, as `columns` does, if all of them hold responses.

        Raises
        ------
        InputError
            As of `columns`, or some column is a label: it would tell what was shown.
        """
        chosen = self.columns(selector)
        odd = chosen & ~self.response_columns()
        if odd.any():
            raise InputError(
                f"{self.what}: found {np.count_nonzero(odd)} columns among those of {selector!r} "
                f"that are no responses, expected some of {' or '.join(RESPONSES)} alone; choose "
                f"among {self._told()}"
            )
        return chosen

    def response_columns(self) -> np.ndarray:
        """Return which columns hold responses, bool array (n_columns,)."""
        rows = [row for row, key in enumerate(self.keys) if key in RESPONSES]
        if not rows:
            raise InputError(
                f"{self.what}: found no key {' or '.join(RESPONSES)}, expected one, which tells "
                f"responses from labels; it has {self._told()}"
            )
        return self._applies[rows].any(axis=0)

    def applies(self, pattern: str) -> np.ndarray:
        """Return the columns of the keys that a name with `*` matches, bool (n_columns,)."""
        rows = [row for row, key in enumerate(self.keys) if fnmatchcase(key, _escaped(pattern))]
        if not rows:
            raise InputError(
                f"{self.what}: found no key {pattern!r}, expected one of {self._told()}"
                f"{near(pattern, self.keys)}"
            )
        return self._applies[rows].any(axis=0)

    def metadata(self, key: str) -> np.ndarray | None:
        """Return the values of a key, float array (n_columns,), such as voxel_x; None without."""
        if key not in self.keys:
            return None
        table = self._file["metadata" if "metadata" in self._file else OLDER["metadata"]]
        with hdf5_errors(self.what):
            return table["value"][self.keys.index(key)]

    def values(self, columns: np.ndarray, dtype: type = np.float64) -> np.ndarray:
        """Return what stands in some columns, (n_samples, n_chosen), block by block of rows.

        Parameters
        ----------
        columns : bool array (n_columns,)
        dtype : of the returned array
        """
        found = np.empty((self.n_samples, np.count_nonzero(columns)), dtype)
        with hdf5_errors(self.what):
            for start in range(0, self.n_samples, ROWS):
                rows = slice(start, start + ROWS)
                found[rows] = self._dataset[rows][:, columns]
        return found

    def numbers(self, key: str) -> np.ndarray | None:
        """Return the one column of a key, such as Run, float array (n_samples,); None without."""
        if key not in self.keys:
            return None
        columns = self.applies(key)
        return self.values(columns)[:, 0] if columns.any() else None

    def names(self, key: str = NAMES) -> list[str | None]:
        """Return the text that stands for each sample under a key, None for rest.

        Rest is NaN, or one of the texts of `REST`.

        Raises
        ------
        InputError
            The key is not there, has no text, or a number has none.
        """
        column = self.values(self.applies(key))
        texts = self._texts(key)
        if column.shape[1] != 1:
            raise InputError(
                f"{self.what}: found {column.shape[1]} columns of {key!r}, expected one; give "
                "another key in `responses.names`"
            )
        numbers = column[:, 0]
        known = ~np.isnan(numbers)
        unknown = sorted(set(numbers[known].tolist()) - set(texts))
        if unknown:
            raise InputError(
                f"{self.what}: found {unknown[0]:g} in the column {key!r}, which /vmap/{key} has "
                f"no text for ({len(unknown)} such numbers), expected one for each; export it again"
            )
        return [texts[number] if own else None for number, own in zip(numbers, known, strict=True)]

    def _texts(self, key: str) -> dict[float, str | None]:
        """Return number -> text of a key, None for rest."""
        group = self._file.get(f"vmap/{key}")
        if not isinstance(group, h5py.Group):
            raise InputError(
                f"{self.what}: found no /vmap/{key}, expected the names that its numbers stand "
                f"for; set `responses.names` to label if the ids are those of {LABEL!r}"
            )
        with hdf5_errors(f"{self.what}, /vmap/{key}"):
            texts = {float(number): as_string(text[()]) for number, text in group.items()}
        return {n: None if text.strip().lower() in REST else text for n, text in texts.items()}

    def ids(self) -> list[str | None]:
        """Return the id of each sample's image with six decimals, None where it is NaN (rest).

        Raises
        ------
        InputError
            There are no labels, or they have lost the decimals.
        """
        column = self.values(self.applies(LABEL))
        if self._dataset.dtype.itemsize < np.dtype(np.float64).itemsize:
            raise InputError(
                f"{self.what}: found a dataset of type {self._dataset.dtype}, expected float64, "
                "for ids of images have 13 digits; download it again, or export it so"
            )
        numbers = column[:, min(LABEL_COLUMN, column.shape[1] - 1)]
        return [None if np.isnan(number) else ID_FORMAT.format(number) for number in numbers]

    def _told(self) -> str:
        """Return the keys with the number of their columns, ROIs first."""
        sizes = zip(self.keys, self._applies.sum(axis=1).tolist(), strict=True)
        told = sorted(
            ((key, size) for key, size in sizes if size), key=lambda item: item[0][:3] != "ROI"
        )
        words = [f"{key} ({size:,} columns)" for key, size in told[:LISTED]]
        return ", ".join(words) + (f" and {len(told) - LISTED} more" if told[LISTED:] else "")


def _escaped(pattern: str) -> str:
    """Return a pattern in which `*` alone is special."""
    return re.sub(r"([\[?])", r"[\1]", pattern)


class _Selector:
    """A selector, read from left to right by recursive descent."""

    def __init__(self, data: BData, text: str) -> None:
        self.data, self.text = data, text
        self.tokens: list[tuple[str, bool]] = []
        position = 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None:
                self._refuse(text[position:].split()[0])
            quoted = match["quoted"]
            self.tokens.append((match["sign"] or match["word"] or quoted, match["sign"] is None))
            position = match.end()
        self.tokens.append(("the end", False))

    def selected(self) -> np.ndarray:
        """Return the columns, bool array (n_columns,)."""
        found = self._joined()
        if len(self.tokens) > 1:
            self._refuse(self.tokens[0][0])
        return found

    def _joined(self) -> np.ndarray:
        found, used = self._term(), set()
        while (sign := self.tokens[0][0]) in OPERATORS and not self.tokens[0][1]:
            used.add(OPERATORS[sign])
            if len(used) > 1:
                raise InputError(
                    f"the selector {self.text!r}: found different operators side by side, expected "
                    "brackets that say which comes first; write A | (B & C), say"
                )
            self.tokens.pop(0)
            found = OPERATORS[sign](found, self._term())
        return found

    def _term(self) -> np.ndarray:
        token, is_word = self.tokens[0]
        if not is_word and token != "(":
            self._refuse(token)
        self.tokens.pop(0)
        if not is_word:
            found = self._joined()
            self._take(")")
            return found
        found = self.data.applies(token)
        if self.tokens[0] == ("=", False):
            self.tokens.pop(0)
            self._take("1", is_word=True)
        return found

    def _take(self, expected: str, *, is_word: bool = False) -> None:
        if self.tokens[0] != (expected, is_word):
            self._refuse(self.tokens[0][0], f"{expected!r}")
        self.tokens.pop(0)

    def _refuse(self, found: str, expected: str = "keys such as ROI_V1 = 1, joined by |, & or -"):
        raise InputError(
            f"the selector {self.text!r}: found {found!r}, expected {expected}; correct "
            "`responses.rois` in the config"
        )
