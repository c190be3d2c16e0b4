"""Splits of images are audited once, and duplicates are found, named and kept together."""

import re

import numpy as np
import pytest
from sklearn.neighbors import BallTree

from scripts.dissimilarity.data.pair_images import PairImages
from scripts.dissimilarity.fits.audit_pairs import audit_pairs, refuse_duplicates
from scripts.dissimilarity.fits.pair_folds import subject_folds
from workflow.lib.errors import InputError
from workflow.lib.features.duplicates import DISTANCE, duplicate_groups, duplicate_pairs, looks
from workflow.lib.leakage import SCALER
from workflow.lib.pairs.splits import CLEAN, LEAKED, MATCHED, RANDOM_PAIRS, SPLITS

N, N_FOLDS = 60, 5


def images_of(copies=(), nearly=(), seed=0):
    """Return images of random pixels, with some that are others' copies (place, original)."""
    pixels = np.random.default_rng(seed).integers(0, 250, (N, 16, 16, 3), dtype=np.uint8)
    for place, original in copies:
        pixels[place] = pixels[original]
    for place, original in nearly:
        pixels[place] = pixels[original] + 1
    return PairImages([f"image {i:02d}" for i in range(N)], pixels, np.arange(N))


NAMED = {"study": "scenes", "subject": "subj01"}
SPLITS_BLOCK = {
    "n_folds": N_FOLDS,
    "validation_share": 0.15,
    "duplicates": "refuse",
    "leaked": MATCHED,
}


def folds_of(images, seed=1, **changed):
    return subject_folds(images, {**SPLITS_BLOCK, **changed}, seed=seed, leaked=True, **NAMED)


def audited(images, *, labels="training", n_training_images=(), **changed):
    folds = folds_of(images, **changed)
    refuse_duplicates([("subj01", images, folds)], study="scenes")
    return audit_pairs(images, folds, labels=labels, n_training_images=n_training_images, **NAMED)


def of_test(table, split, seen_in, check):
    rows = table[(table["split"] == split) & (table["check"] == check) & (table["of"] == "test")]
    return rows[rows["seen_in"] == seen_in]


@pytest.mark.parametrize("leaked", [MATCHED, RANDOM_PAIRS])
def test_every_split_is_audited(leaked):
    table = audited(images_of(), leaked=leaked, n_training_images=[12, 20])
    sizes = table[table["split"] == CLEAN]["n_training_images"].unique().tolist()
    assert sizes == [41, 12, 20]
    assert len(table.drop_duplicates(["split", "fold", "n_training_images"])) == 7 * N_FOLDS
    assert (table[table["split"] == CLEAN]["n_shared"] == 0).all()
    assert (table[table["check"] == "pairs"]["n_shared"] == 0).all()
    assert of_test(table, LEAKED, "training", "items")["share"].min() > 0.8


@pytest.mark.parametrize(
    ("labels", "share", "reason"),
    [
        ("training", 0, ""),
        ("all", 1, "config: labels are of all images"),
        ("none", 0, ""),
        ("as published", 1, "RDMs as published"),
    ],
)
def test_the_audit_says_which_images_the_scalers_saw(labels, share, reason):
    table = audited(images_of(), labels=labels)
    for split in SPLITS:
        rows = of_test(table, split, SCALER, "labels")
        assert len(rows) == N_FOLDS
        assert (rows["reason"] == reason).all()
    # Of test pairs with one image seen, half or more of the images are those of training.
    rows = of_test(table, CLEAN, SCALER, "labels")
    assert (rows["share"] == share).all()
    assert rows["allowed"].all() == bool(reason)
    assert (of_test(table, CLEAN, SCALER, "features")["n_shared"] == 0).all()
    assert (of_test(table, LEAKED, SCALER, "features")["n_shared"] > 0).all()


def test_duplicates_are_those_of_a_search_by_another_library():
    images = images_of(copies=[(5, 40), (6, 40)], nearly=[(7, 30)])
    tree = BallTree(looks(images.images).astype(float))
    expected = {
        (i, j)
        for i, near in enumerate(tree.query_radius(tree.data, DISTANCE))
        for j in near.tolist()
        if i < j
    }
    assert expected == {(5, 6), (5, 40), (6, 40), (7, 30)}
    assert {tuple(pair) for pair in duplicate_pairs(images.images).tolist()} == expected
    groups = duplicate_groups(images.images)
    assert groups[5] == groups[6] == groups[40] != groups[7] == groups[30]
    assert np.unique(groups).size == N - 3


@pytest.mark.parametrize("kind", ["copies", "nearly"])
def test_duplicates_across_parts_are_named_with_the_keys_that_help(kind):
    pairs = [(place, place + 30) for place in range(30)]
    images = images_of(**{kind: pairs})
    clean = images_of(seed=2)
    subjects = [(name, of, folds_of(of)) for name, of in (("subj01", clean), ("subj02", images))]
    with pytest.raises(InputError) as caught:
        refuse_duplicates(subjects, study="scenes")
    told = str(caught.value)
    n_apart = int(re.match(r"scenes: found (\d+) pairs of images", told).group(1))
    assert 20 < n_apart <= 30
    named = re.findall(r"(subj\d+): image (\d+) and image (\d+)", told)
    assert len(named) == 3
    assert all((name, int(b) - int(a)) == ("subj02", 30) for name, a, b in named)
    assert "and so on" in told
    assert "`images: {exclude: ...}`" in told
    assert "`splits: {duplicates: together}`" in told


def test_duplicates_that_nothing_refused_stop_the_audit():
    images = images_of(copies=[(place, place + 30) for place in range(30)])
    with pytest.raises(InputError, match=r"found a leak, .* test samples with a copy in training"):
        audit_pairs(images, folds_of(images), labels="training", **NAMED)


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_that_stay_together_leave_a_split_clean(seed):
    pairs = [(place, place + 30) for place in range(0, 30, 2)]
    images = images_of(copies=pairs[:8], nearly=pairs[8:])
    table = audited(images, duplicates="together", seed=seed)
    assert (table[table["split"] == CLEAN]["n_shared"] == 0).all()
    assert of_test(table, LEAKED, "training", "copies")["n_shared"].sum() > 0


def test_duplicates_with_the_same_part_in_every_fold_are_refused_by_none():
    folds = folds_of(images_of(), n_folds=2)
    first, second = np.intersect1d(folds[0].tested, folds[1].trained)[:2]
    table = audited(images_of(copies=[(first, second)]), n_folds=2)
    assert (table[table["split"] == CLEAN]["n_shared"] == 0).all()
