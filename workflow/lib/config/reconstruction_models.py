"""Decoders and generators of section `reconstruction`, and what the schema cannot say of them."""

from collections.abc import Mapping

from workflow.lib.config.schema import check_name
from workflow.lib.errors import InputError

# Key of a generator -> the section's decoders of that stream.
STREAMS = {"shape": "shapes", "semantics": "semantics"}
NEAREST = "nearest_image"
# Blocks of a decoder that are for one kind alone.
OF_KIND = {"ridge": "ridge", "logistic": "logistic", "network": "network", "training": "network"}


def check_decoders(where: str, entry: Mapping) -> None:
    """Check the regions and blocks of all decoders."""
    for stream in STREAMS.values():
        for name, block in entry[stream].items():
            place = f"{where}.{stream}.{name}"
            for roi in block["rois"]:
                check_name(f"{place}.rois", roi, entry["responses"]["rois"])
            for key, kind in OF_KIND.items():
                if key in block and block["kind"] != kind:
                    raise InputError(
                        f"{place}.{key}: found it for the kind {block['kind']}, expected it for "
                        f"{kind} alone; leave it out"
                    )


def check_generators(where: str, entry: Mapping) -> None:
    """Check what generators are told, and that there are images to draw."""
    if not entry["generators"]:
        return
    if not entry["responses"]["tests"]:
        raise InputError(
            f"{where}.generators: found generators without `responses.tests`, expected a test "
            "whose images they draw; give one, or leave generators out"
        )
    for name, block in entry["generators"].items():
        for key, stream in STREAMS.items():
            if block[key]:
                check_name(f"{where}.generators.{name}.{key}", block[key], entry[stream])
        if not block["shape"] and not block["semantics"]:
            raise InputError(
                f"{where}.generators.{name}: found neither a shape nor a category, expected one at "
                "least; name a decoder, or leave the generator out"
            )
    reference = entry["evaluation"]["reference"]
    if reference:
        check_name(f"{where}.evaluation.reference", reference, entry["generators"])
    reference = reference or next(iter(entry["generators"]))
    _check_controls(where, entry, reference)
    _check_pairs(f"{where}.evaluation.pairs", entry, reference)


def _check_pairs(where: str, entry: Mapping, reference: str) -> None:
    """Refuse pairs of unknown generators, of one twice, and those that are compared anyway."""
    for pair in entry["evaluation"]["pairs"]:
        for name in pair:
            check_name(where, name, entry["generators"])
        if pair[0] in (pair[1], reference):
            raise InputError(
                f"{where}: found {' and '.join(map(repr, pair))}, expected two generators, the "
                f"first of them another than the reference {reference!r}, which is compared with "
                "all others; leave it out"
            )


def _check_controls(where: str, entry: Mapping, reference: str) -> None:
    """Refuse shuffled decoders that differ from the reference's by more than being shuffled."""
    for name, block in entry["generators"].items():
        for key, stream in STREAMS.items():
            told, control = entry["generators"][reference][key], block[key]
            if not told or not control or not entry[stream][control]["shuffled"]:
                continue
            found, expected = (_output_text(stream, entry, one) for one in (control, told))
            if found != expected:
                raise InputError(
                    f"{where}.generators.{name}.{key}: found the shuffled decoder {control!r}, "
                    f"{found}, expected one like {told!r}, {expected}, that the reference "
                    f"{reference!r} is told, since else two things differ; give `{stream}` a "
                    "shuffled decoder of that kind"
                )


def _output_text(stream: str, entry: Mapping, decoder: str) -> str:
    """Return the kind of a decoder, and how many numbers its vector has."""
    kind = f"of kind {entry[stream][decoder]['kind']}"
    if stream != STREAMS["semantics"]:
        return kind
    return f"{kind} with a vector of {vector_length(entry, decoder):,} numbers"


def vector_length(entry: Mapping, decoder: str) -> int:
    """Return how many numbers a decoder of `semantics` tells of an image."""
    block = entry["semantics"][decoder]
    lengths = {
        "logistic": lambda: entry["clusters"]["n_clusters"],
        "network": lambda: block["network"]["widths"][-1],
    }
    return lengths[block["kind"]]()


def told_by_decoders(entry: Mapping) -> dict[str, dict[str, str]]:
    """Return generator -> shape or semantics -> what tells it, as captions say it.

    A decoder by its name, "shuffled" for one of responses to other images, "zero" for none.
    """

    def teller(key: str, decoder: str | None) -> str:
        if not decoder:
            return "zero"
        return "shuffled" if entry[STREAMS[key]][decoder]["shuffled"] else decoder

    return {
        name: {key: teller(key, block[key]) for key in STREAMS}
        for name, block in entry["generators"].items()
    }


def check_networks(where: str, entry: Mapping) -> None:
    """Check the networks by which images are compared."""
    for name, block in entry["evaluation"]["networks"].items():
        place, clip = f"{where}.evaluation.networks.{name}", block["kind"] == "clip"
        if clip == ("layer" in block):
            found, expected = ("a", "none") if clip else ("no", "one")
            raise InputError(
                f"{place}.layer: found {found} layer for the kind {block['kind']}, expected "
                f"{expected}; {'leave it out' if clip else 'name one'}"
            )
        if clip and block["weights"] == "torchvision":
            raise InputError(
                f"{place}.weights: found those of torchvision, which has no CLIP, expected the "
                "path of a state dict, or untrained; give one"
            )


def name_references(config: Mapping) -> None:
    """Name the first generator as the reference of every entry that names none."""
    for entry in config["reconstruction"].values():
        evaluation = entry["evaluation"]
        evaluation["reference"] = evaluation["reference"] or next(iter(entry["generators"]), None)


def network_blocks(entry: Mapping) -> list[Mapping]:
    """Return the blocks of the networks that an entry shows images to."""
    compared = entry["evaluation"]["networks"].values() if entry["generators"] else ()
    perceptual = bool(entry["generators"]) and entry["generator"]["perceptual_weight"] > 0
    return [
        *([entry["clusters"]] if entry["semantics"] else []),
        *([entry["generator"]["perceptual"]] if perceptual else []),
        *compared,
    ]


def torchvision_networks(entry: Mapping) -> list[str]:
    """Return the networks whose weights torchvision downloads."""
    blocks = network_blocks(entry)
    return [block["network"] for block in blocks if block["weights"] == "torchvision"]


def generators_of(entry: Mapping) -> list[str]:
    """Return the generators and baselines of an entry."""
    return [*entry["generators"], *entry["baselines"]] if entry["generators"] else []
