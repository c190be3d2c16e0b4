"""What follows from the block `inference` of an entry of `rsa`."""

from collections.abc import Mapping


def permuted_units(inference: Mapping) -> str:
    """Return what the permutation tests of a study permute.

    Parameters
    ----------
    inference : mapping
        The entry's block of that name.

    Returns
    -------
    "within_groups" (images within their group), "groups" (whole groups) or "images"
        Whole groups where resamples and folds take whole ones: their images are not independent,
        and single images that change places over all groups would be taken for more than they are.
    """
    if inference["within_groups"]:
        return "within_groups"
    return "groups" if inference["resample"] == "groups" else "images"
