"""Measure what extracting the layers of a network costs beyond running it.

    python benchmarks/feature_extraction.py [--network resnet50] [--threads 2]

Runs the same untrained network on the same images in the same batches, in one process, in turns:

- bare: the network as torchvision gives it (operations in place), up to its logits, and no more;
- extraction: `workflow.lib.features.extract_features` with every unit of all named layers: the
  network (nothing in place) up to the last layer, the check for NaN, the copy into blocks of units,
  and the writing to a temporary file.

Both keep freed memory (`workflow.lib.devices.reused_memory`), without which the bare network takes
twice as long, as a third row shows. Both run once with images that are ready as tensors, which is
the harder comparison, and once with images resized, cropped and normalised on the way. Times are
medians over rounds, of the clock and of the processor (all threads, the system's share included);
the latter hardly depend on what else the machine does. Prints a report and writes it to
benchmarks/results/feature_extraction.md; ends with an error if an overhead in processor time is
15 % or more.
"""

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.real_size import cpu_model  # noqa: E402
from workflow.lib.devices import choose_device, reused_memory  # noqa: E402
from workflow.lib.features import extract_features, image_batches  # noqa: E402
from workflow.lib.networks import layer_extractor, load_network  # noqa: E402
from workflow.lib.seeds import generator  # noqa: E402
from workflow.lib.stimuli import Stimuli  # noqa: E402

# The layers of the BOLD5000 study.
LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")
SIDE = 256
MOST_OVERHEAD = 0.15
REPORT = ROOT / "benchmarks" / "results" / "feature_extraction.md"


def random_stimuli(n: int) -> Stimuli:
    """Return n images of 256 x 256 pixels in memory."""
    rng = generator(1, "feature_extraction")
    images = [Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)) for _ in range(n)]
    return Stimuli([str(i) for i in range(n)], images.__getitem__, list(range(n)))


def ready(stimuli: Stimuli, transforms: Callable) -> tuple[Stimuli, Callable]:
    """Return the stimuli as tensors that need no more preprocessing, and what passes them on."""
    tensors = [transforms(stimuli.image(i)) for i in range(len(stimuli))]
    return Stimuli(stimuli.names, tensors.__getitem__, stimuli.positions), lambda tensor: tensor


def seconds(run: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Return how long a function takes by the clock and of the processor, a GPU's work included."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - clock, time.process_time() - processor


def markdown(rows: list[tuple[str, str, np.ndarray, float]]) -> str:
    """Return a table as markdown."""
    lines = [
        "| images | run | clock | processor | overhead (processor) |",
        "|---|---|---|---|---|",
    ]
    for images, run, (clock, processor), overhead in rows:
        lines.append(f"| {images} | {run} | {clock:.2f} s | {processor:.2f} s | {overhead:+.1%} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--n-batches", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpus", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.gpus)

    network, transforms = load_network(arguments.network, "untrained")
    network.to(device)
    taken_apart, _ = load_network(arguments.network, "untrained")
    extractor = layer_extractor(taken_apart, {layer: layer for layer in arguments.layers})
    stimuli = random_stimuli(arguments.batch_size * arguments.n_batches)
    inputs = {"ready": ready(stimuli, transforms), "preprocessed": (stimuli, transforms)}

    def bare_as_usual(stimuli: Stimuli, transforms: Callable) -> None:
        with torch.inference_mode():
            for _, images in image_batches(stimuli, transforms, arguments.batch_size):
                network(images.to(device)).cpu()

    def bare(stimuli: Stimuli, transforms: Callable) -> None:
        with reused_memory():
            bare_as_usual(stimuli, transforms)

    def extraction(stimuli: Stimuli, transforms: Callable) -> None:
        nonlocal n_bytes
        with tempfile.TemporaryDirectory() as folder:
            layers = extract_features(
                extractor,
                transforms,
                stimuli,
                device=device,
                folder=Path(folder),
                batch_size=arguments.batch_size,
            )
            n_bytes = sum(4 * blocks.n_images * blocks.n_units for blocks in layers.values())
            for blocks in layers.values():
                blocks.close()

    n_bytes = 0
    times = {(name, run): [] for name in inputs for run in (bare, extraction, bare_as_usual)}
    for turn in range(arguments.rounds + 1):
        for name, run in times:
            taken = seconds(lambda name=name, run=run: run(*inputs[name]), device)
            if turn:  # the first turn warms up
                times[name, run].append(taken)
    medians = {key: np.median(taken, axis=0) for key, taken in times.items()}
    rows = [
        (name, run.__name__.replace("_", " "), medians[name, run],
         medians[name, run][1] / medians[name, bare][1] - 1)
        for name, run in times
    ]  # fmt: skip
    largest = max(overhead for _, run, _, overhead in rows if run == "extraction")
    report = "\n\n".join(
        [
            "# Extracting layers, against running the network",
            f"{arguments.network} at {transforms.crop_size[0]} pixels, {arguments.n_batches} "
            f"batches of {arguments.batch_size} images, float32, {device}, {arguments.threads} "
            f"threads; layers {', '.join(arguments.layers)} ({n_bytes / 1e6:.0f} MB). Medians of "
            f"{arguments.rounds} rounds in turns. {cpu_model()}, {os.cpu_count()} cores; "
            f"{datetime.date.today()}.",
            markdown(rows),
        ]
    )
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report + "\n")
    print(report)
    if largest >= MOST_OVERHEAD:
        sys.exit(f"an overhead of {MOST_OVERHEAD:.0%} or more")


if __name__ == "__main__":
    main()
