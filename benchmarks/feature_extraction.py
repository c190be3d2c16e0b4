"""Measure what extracting the layers of a network costs beyond running it.

    python benchmarks/feature_extraction.py [--threads 2] [--batch-size 32] [--rounds 3]

Runs an untrained network on the same images, ready as tensors, in the same batches, in turns:

- bare: the network as torchvision gives it (operations in place), up to its logits, and no more;
- extraction: `workflow.lib.features.extraction.extract_features`: the network (nothing in place) up
  to the last layer, pooling, the check for NaN, the copy into blocks of units, and the writing of
  all layers to temporary files;
- plain writing: as many bytes, one after the other, to a file in the same folder, which is what
  the disk (or rather the system's cache before it) takes in any case.

Bare and extraction keep freed memory (`workflow.lib.features.devices.reused_memory`); a last line
shows what the network takes without. Times are medians over rounds, by the clock and of the
processor (all threads, and what the system does for them), the latter of which hardly depends on
what else the machine does. Writes a report to benchmarks/results/feature_extraction.md, and ends
with an error if extraction takes 15 % more of the processor than the bare network and plain writing
do.

A virtual machine may give freed memory back to its host within seconds, and then pays ten times as
much to write a file as when the memory is at hand. A pause before every run makes all of them pay;
look at the plain writing before you compare machines.
"""

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.real_size import cpu_model  # noqa: E402
from workflow.lib.features.devices import choose_device, reused_memory  # noqa: E402
from workflow.lib.features.extraction import extract_features, image_batches  # noqa: E402
from workflow.lib.features.networks import layer_extractor, load_network  # noqa: E402
from workflow.lib.features.stimuli import Stimuli  # noqa: E402
from workflow.lib.seeds import generator  # noqa: E402

RESNET = {layer: layer for layer in ("conv1", "layer1", "layer2", "layer3", "layer4")}
VGG = {f"pool{i + 1}": f"features.{node}" for i, node in enumerate((4, 9, 16, 23, 30))}
# Name -> network, layers, pooling. The first are the layers of the BOLD5000 study.
SETTINGS = {
    "resnet50, every unit": ("resnet50", RESNET, "none"),
    "resnet50, means over space": ("resnet50", RESNET, "mean"),
    "vgg16, every unit": ("vgg16", VGG, "none"),
}
SIDE = 224
PAUSE = 3.0
MOST_OVERHEAD = 0.15
REPORT = ROOT / "benchmarks" / "results" / "feature_extraction.md"


def ready_stimuli(network: str, n: int) -> Stimuli:
    """Return n images of noise as a network takes them, tensors (3, 224, 224) in memory."""
    rng = generator(1, "feature_extraction")
    _, transforms = load_network(network, "untrained")
    images = [
        transforms(Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)))
        for _ in range(n)
    ]
    return Stimuli([str(i) for i in range(n)], images.__getitem__, list(range(n)))


def run_bare(network: nn.Module, stimuli: Stimuli, device: torch.device, batch_size: int) -> None:
    """Run a network on batches that a thread prepares, as extraction does."""
    with torch.inference_mode():
        for _, images in image_batches(stimuli, lambda image: image, batch_size):
            network(images.to(device)).cpu()


def write_plainly(n_bytes: int) -> None:
    """Write so many bytes to a temporary file."""
    megabyte = bytes(2**20)
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(-(-n_bytes // 2**20)):
            file.write(megabyte)


def seconds(run: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Return how long a function takes by the clock and of the processor, a GPU's work included."""
    time.sleep(PAUSE)
    clock, processor = time.perf_counter(), time.process_time()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - clock, time.process_time() - processor


def measured(
    name: str, layers: Mapping[str, str], pooling: str, arguments: argparse.Namespace
) -> tuple[dict[str, np.ndarray], int]:
    """Return the median seconds (clock, processor) of every run, and the bytes that are written."""
    device = choose_device(arguments.gpus)
    network = load_network(name, "untrained")[0].to(device)
    extractor = layer_extractor(load_network(name, "untrained")[0], layers)
    stimuli = ready_stimuli(name, arguments.batch_size * arguments.n_batches)
    n_bytes = 0

    def bare_as_usual() -> None:
        run_bare(network, stimuli, device, arguments.batch_size)

    def bare() -> None:
        with reused_memory():
            bare_as_usual()

    def extraction() -> None:
        nonlocal n_bytes
        with tempfile.TemporaryDirectory() as folder:
            files = extract_features(
                extractor,
                lambda image: image,
                stimuli,
                device=device,
                folder=Path(folder),
                batch_size=arguments.batch_size,
                pooling=pooling,
            )
            n_bytes = sum(4 * blocks.n_images * blocks.n_units for blocks in files.values())
            for blocks in files.values():
                blocks.close()

    def plain_writing() -> None:
        write_plainly(n_bytes)

    runs = (bare, extraction, plain_writing, bare_as_usual)
    times: dict[str, list] = {run.__name__: [] for run in runs}
    for turn in range(arguments.rounds + 1):
        for run in runs:
            taken = seconds(run, device)
            if turn:  # the first turn warms up
                times[run.__name__].append(taken)
    return {run: np.median(taken, axis=0) for run, taken in times.items()}, n_bytes


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--n-batches", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    lines = [
        "| network, layers | run | clock | processor |",
        "|---|---|---|---|",
    ]
    ratios, largest = [], 0.0
    for setting in arguments.settings:
        times, n_bytes = measured(*SETTINGS[setting], arguments)
        for run, (clock, processor) in times.items():
            lines.append(
                f"| {setting} | {run.replace('_', ' ')} | {clock:.2f} s | {processor:.2f} s |"
            )
        bare, extraction, writing = (times[run] for run in ("bare", "extraction", "plain_writing"))
        overhead, beyond = extraction / bare - 1, extraction[1] / (bare + writing)[1] - 1
        largest = max(largest, beyond)
        ratios.append(
            f"{setting}: {n_bytes / 1e6:.0f} MB; extraction takes {overhead[1]:+.1%} of the "
            f"processor over the bare network ({overhead[0]:+.1%} by the clock), and {beyond:+.1%} "
            "over the bare network and plain writing."
        )
    report = "\n\n".join(
        [
            "# Extracting layers, against running the network",
            f"{SIDE} pixels, {arguments.n_batches} batches of {arguments.batch_size} images, "
            f"float32, {choose_device(arguments.gpus)}, threads: {arguments.threads}; medians of "
            f"{arguments.rounds} rounds in turns. {cpu_model()}, {os.cpu_count()} cores; "
            f"{datetime.date.today()}.",
            "\n".join(lines),
            *ratios,
        ]
    )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report + "\n")
    print(report)
    if largest >= MOST_OVERHEAD:
        sys.exit(f"an overhead of {MOST_OVERHEAD:.0%} or more")


if __name__ == "__main__":
    main()
