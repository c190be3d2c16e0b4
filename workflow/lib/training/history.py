"""Names in the history of a training: a row per epoch, part of the data and measure."""

# Means over the steps of an epoch, taken while the network changes.
TRAINING = "training"
# Data that is not trained on, after the epoch.
VALIDATION = "validation"
# Columns: `kept` is 1 at the epoch whose weights the trained network has, and 0 elsewhere.
KEPT = "kept"
COLUMNS = ("epoch", "part", "measure", "value", KEPT)
