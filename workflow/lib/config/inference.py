"""What follows from the comparators and the block `inference` of an entry of `rsa`.

Imported by what computes, in environments that cannot read a config: the standard library alone.
"""

from collections.abc import Mapping

# Comparators of which a partial version is defined: those of centred vectors of length one.
PARTIAL_COMPARATORS = ("pearson", "spearman")


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
