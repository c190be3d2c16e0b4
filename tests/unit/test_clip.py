"""CLIP is loaded from files on this machine, and files that are no weights are refused."""

from pathlib import Path

import pytest
import torch

from tests.unit.small_clip import SMALL, refuse_connections, use_small_clip
from workflow.lib.errors import InputError
from workflow.lib.features.clip import load_clip, open_clip


@pytest.fixture
def small_clip(monkeypatch):
    return use_small_clip(monkeypatch)


@pytest.fixture
def offline(monkeypatch):
    refuse_connections(monkeypatch)


def test_the_activation_has_to_be_told(tmp_path):
    with pytest.raises(InputError, match=r"without `network`, expected ViT-B-32-quickgelu"):
        load_clip(tmp_path / "clip.pt")


def test_seed_decides_untrained_weights(small_clip):
    first, again, other = (
        load_clip("untrained", seed=seed)[0].visual.proj.detach() for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def written_archive(path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)


def written_code(path):
    torch.save({"visual": Path}, path)


def written_part(path):
    state = open_clip.CLIP(**SMALL).state_dict()
    torch.save({key: value for key, value in state.items() if "visual" not in key}, path)


def written_nothing(path):
    torch.save({}, path)


def written_noise(path):
    path.write_bytes(b"no weights")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (written_archive, r"clip.pt: found an archive of code with weights \(TorchScript\)"),
        (written_code, r"clip.pt: found no weights that fit ViT-B-32 "),
        (written_part, r"clip.pt: found no weights that fit ViT-B-32 .*Missing key"),
        (written_nothing, r"clip.pt: found no weights that fit ViT-B-32 "),
        (written_noise, r"clip.pt: found no weights that fit ViT-B-32 "),
        (lambda path: None, r"clip.pt: found no such file, expected weights of CLIP"),
    ],
)
def test_files_that_are_no_weights_are_refused(small_clip, tmp_path, write, message):
    path = tmp_path / "clip.pt"
    write(path)
    with pytest.raises(InputError, match=message) as raised:
        load_clip(path, network="ViT-B-32")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("network", ["ViT-B-33", "roberta-ViT-B-32", "ViT-B-32-SigLIP2-256"])
def test_networks_that_need_more_than_open_clip_are_refused(network, offline):
    with pytest.raises(InputError, match=f"found the network '{network}' for CLIP"):
        load_clip("untrained", network=network)


def test_unknown_output_is_refused():
    with pytest.raises(InputError, match=r"output 'text', expected one of embedding, visual"):
        load_clip("untrained", output="text")
