"""What is known of the published sample of the study, Sample_Data.zip.

Lee, Jung, Lustig and Lee 2023, Human Brain Mapping, doi:10.1002/hbm.26189; the layout is that of
the notebooks at github.com/bsplku/ISL_RSA_DigitObject_Visual.
"""

import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OBJECTS = ("bed", "bird", "cat", "dog", "house", "tree")
# In the order of its labels and betas.
CATEGORIES = (*DIGITS, *OBJECTS)

# Part -> variables with images and their labels, and the categories that these may have.
IMAGE_VARIABLES = {
    "train": (
        ("mnst_tr_X", "mnst_tr_y", DIGITS),
        ("imgnet_tr_X", "imgnet_tr_y", OBJECTS),
    ),
    "validation": (("val_X", "val_y", CATEGORIES),),
}

BETAS = "beta"
GRID = (64, 76, 64)
# Voxels of 3 mm; the array itself has no place in the head.
AFFINE = np.array(
    [[3.0, 0, 0, -94.5], [0, 3.0, 0, -130.5], [0, 0, 3.0, -76.5], [0, 0, 0, 1.0]],
)
