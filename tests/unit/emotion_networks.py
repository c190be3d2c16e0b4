"""What a network says of volumes, all at once."""

import numpy as np

from scripts.emotions.network.emotion_training import class_probabilities, outputs_of


def probabilities_of(network, volumes, examples):
    """Return the probability of every class, float32 (n, n_classes)."""
    parts = map(class_probabilities, outputs_of(network, volumes, examples))
    return np.concatenate([np.zeros((0, network.head.out_features), np.float32), *parts])
