"""Small files that claim to hold gigabytes: refused before memory or disk is full."""

from workflow.lib.errors import InputError

# Less is no harm, and data of a study packs to a tenth at best.
HARMLESS_BYTES = 1_000_000_000
MOST_TIMES = 200


def check_unpacked_size(what: str, n_bytes: int, n_stored: int) -> None:
    """Refuse data that unpacks to far more than is stored of it.

    Parameters
    ----------
    what : str
        How errors name the data.
    n_bytes : int
        That it claims to have.
    n_stored : int
        That are stored of it.

    Raises
    ------
    InputError
        It has more than `HARMLESS_BYTES`, and more than `MOST_TIMES` those stored.
    """
    if n_bytes > HARMLESS_BYTES and n_bytes > MOST_TIMES * n_stored:
        raise InputError(
            f"{what}: found {n_stored:,} bytes that claim to hold {n_bytes:,}, expected at most "
            f"{MOST_TIMES} times as many as are stored; check where the file comes from"
        )
