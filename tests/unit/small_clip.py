"""A CLIP that is quick to build, and a machine without a network, for tests of several studies."""

import socket

from workflow.lib.features.clip import open_clip

# A CLIP of the same parts as ViT-B/32.
SMALL = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 64, "heads": 1, "layers": 1},
}


def use_small_clip(monkeypatch) -> dict[str, dict]:
    """Let open_clip call the small one ViT-B-32; return its configs by name."""
    configs = {"small": SMALL, "small-quickgelu": SMALL | {"quick_gelu": True}}
    monkeypatch.setattr(
        open_clip, "get_model_config", lambda name: configs.get(name.replace("ViT-B-32", "small"))
    )
    return configs


def refuse_connections(monkeypatch) -> None:
    """Fail where a connection is tried."""

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
