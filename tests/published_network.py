"""A file of weights with the names of the published network of emotions."""

import torch

from scripts.emotions.network.emotion_cnn import EmotionCNN


def published_state():
    """Return a state dict with the names that the published file has, and our network of it."""
    torch.manual_seed(4)
    network = EmotionCNN()
    parts = {"expand.convolution": "expand", "expand.norm": "bn1", "filter.convolution": "dwconv"}
    parts |= {"filter.norm": "bn2", "project.convolution": "project", "project.norm": "bn3"}
    names = {"stem.convolution": "conv1", "stem.norm": "bn1", "head": "fc"}
    for block in range(4):
        names |= {f"blocks.{block}.{ours}": f"ds{block + 1}.{own}" for ours, own in parts.items()}
    state = {}
    for key, value in network.state_dict().items():
        module, _, kind = key.rpartition(".")
        state[f"{names[module]}.{kind}"] = value
    return state, network.eval()
