"""Write config/README.md from the schema, so that it explains every key as it is.

python -m scripts.docs.write_config_readme
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from workflow.lib.config.schema import load_schema, resolve
from workflow.lib.files import written_whole

README = Path("config/README.md")

# Blocks with a section of their own, to which the keys that hold one point.
SECTIONS = {
    "rsa_study": "A study of `rsa`",
    "axis": "Labels: `subjects`, `rois`, `layers`, `average`",
    "sessions": "Labels: `sessions`",
    "conditions": "Names of the images: `conditions`",
}

OPENING = """# Configuration

<!-- Written by `make docs` from workflow/schemas/config.schema.yaml and
workflow/schemas/studies/; edit those. -->

| file | what |
|---|---|
| `config.yaml` | the embedded default, simulated; every other config is laid over it |
| `full.yaml` | the real studies, downloaded or taken from a mirror folder |
| `real.yaml` | the studies whose real files a mirror holds (`make real MIRROR=<folder>`) |
| `own_data.yaml` | an example for your own data, to be copied |
| `tiny.yaml` | everything as small as it can be, for tests |
| `datasets.yaml` | every raw file of every study: URL, size, checksum, licence, citation, access |
| `references.bib` | what the methods of a run may cite |
| `bold5000/`, `digits/`, ... | of each study, published numbers and claims of the original |

A config given by `--configfile` is laid over `config.yaml` key by key, so it holds only what
differs; a study can also take the keys of another one by `extends`. Unknown keys are refused, with
the allowed ones named. Try a config before you run it:

    make check CONFIG=config/my.yaml
    snakemake --cores all --configfile config/my.yaml

Where one study is laid over another, or extends it,

- a block of keys, such as `brain` or `inference`, is taken key by key;
- `models` stay that are not named, and so do the studies of `rsa`;
- a list, and labels that are mapped to something (`names`, `layers`, `groups`, `roi_groups`,
  `tiers`), are taken whole: an ROI that the new names lack is gone;
- a model of another kind (`files`, `network`, ...) is taken whole, and `group_table` in place of
  `groups`.

By `--configfile`, a study with its own `title`, `source`, `brain` and `models` takes the place of
the one of its name, of which nothing is left; other `brain.files` without these are refused: give
such a study a name of its own, with `extends` to keep the rest.

## Your own RDMs

Two files are enough: brain RDMs and model RDMs, in any of the formats under `files`. Activations
are not RDMs; see below.

```yaml
run: mine
studies: [my_study]
rsa:
  my_study:
    title: My study
    source: path
    path: /data/my_study
    brain:
      files: "brain_{subject}.npz"          # arrays V1 and IT of n x n, and names
      key: "{roi}"
      subjects: {names: [s1, s2], from: file_name}
      rois: {names: [V1, IT], from: key}
      conditions: {from: stored, key: names}
    models:
      my_network:
        files: "network_{layer}.csv"        # a square table with names in its first row
        layers: {names: [early, late], from: file_name}
    images: {match: normalised}
```

The results are in `results/mine/my_study/`: aligned RDMs (rsatoolbox HDF5), tables (CSV), figures
with captions.

## Activations computed elsewhere

Activations of a network that torchvision does not have (CLIP, or one of timm or thingsvision), of a
language model, or any other features of your images: an array of images x units for each layer.

```yaml
    models:
      clip:
        features: "clip_{layer}.npy"        # images x units; further axes count as units
        layers: {names: [block4, block8, visual], from: file_name}
        conditions: {from: list, file: clip_images.txt}  # a name per line, in the order of the rows
        metric: correlation                 # of the RDMs
        standardise_units: false            # true: z-score every unit over images first
```

Or one file for all layers, with the names in it: `features: clip.npz`, `key: "{layer}"`, `layers:
{names: [block4, block8], from: key}`, `conditions: {from: stored, key: names}`; the same with .h5
and .mat. A .csv has a header and the names in its first column. RDMs are computed over the images
that all files share, and in a study of patterns ridge encoding is fitted to the activations, too.

## Searchlight maps of your own NIfTI images

Betas or volumes of the whole brain, a table that says which volume shows what, and models.

```yaml
run: mine
studies: [my_maps]
rsa:
  my_maps:
    title: My maps
    source: path
    path: /data/my_maps
    brain:
      data: patterns
      files: "{subject}_betas.nii.gz"       # 4D; all subjects on one grid for a group test
      subjects: {names: [s1, s2, s3, s4, s5, s6], from: file_name}
      rois: {names: {V1: V1.nii.gz, IT: IT.nii.gz}, from: mask}
      observations: {file: "{subject}_betas.tsv", condition: image, run: run}  # a row per volume
    models:
      my_model: {files: my_model.csv}       # a square table with names in its first row
    searchlight: {radius: 8, mask: brain.nii.gz}
```

Without masks of ROIs write `rois: {names: [brain], from: constant}`. In `results/mine/my_maps/` are
`maps/similarity_s1.nii.gz` (a volume per layer; `tables/searchlight_s1.csv` says which is which)
with its p-values `p_s1` (of each voxel by itself), `p_max_s1` and `p_tfce_s1` (corrected), the same
of the group (`mean_z_group`, `t_group`, `p_tfce_group`, ...), `tables/searchlight_clusters.csv`,
and a figure per subject and model. A voxel is NaN where its sphere holds too few voxels with
data; spheres end at the border of the mask, and nothing is resampled. Each subject is tested over
permutations of the conditions, as a single case; the group over sign flips of the subjects, from
six subjects on: fewer get their mean map, and no p-values.

## A network of your own categories

An entry of `digits` trains a network to tell categories apart, and shows what it has learned; where
`rsa` has a study of the same name, its layers and the perception codes are models of it.

```yaml
run: mine
studies: [my_categories]
digits:
  my_categories:
    title: My categories
    source: path
    path: /data/pictures                    # a folder per category
    categories: {animal: [cat, dog, horse], thing: [chair, cup, shoe]}   # in this order everywhere
    images: {train: 200, validation: 50, stimuli: 0, files: [{layout: folders, files: ["*/*.jpg"]}]}
    codes: {Kind: [[animal, thing]], Animals: [[animal, animal]]}  # pairs that a person tells apart
rsa:
  my_categories:
    title: My categories
    source: path
    path: /data/betas
    brain:
      data: patterns
      files: "{subject}_betas.nii.gz"       # 4D, a volume per category, or per category and run
      subjects: {names: [s1, s2], from: file_name}
      rois: {names: {V1: V1.nii.gz, IT: IT.nii.gz}, from: mask}
      observations: {file: "{subject}_betas.tsv", condition: category, run: run}
    models:
      vgg: {made: true, layers: [conv1_1, conv3_3, conv5_3, fc6, fc8]}
      codes: {made: true, ordered: false, layers: [Kind, Animals]}
    images: {called: categories, min_common: 6}
    encoding: {folds: 0}
    searchlight: {radius: 8}
```

## Every key
"""


def document() -> str:
    """Return the text of config/README.md."""
    schema = load_schema()
    lines = [OPENING, _text(schema["description"]), "", *_table(_rows(schema, schema, ""))]
    for name, heading in SECTIONS.items():
        node = schema["$defs"][name]
        lines += ["", f"### {heading}", "", *_table(_rows(node, schema, ""))]
    return "\n".join(lines).rstrip() + "\n"


def _rows(node: Mapping, root: Mapping, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and description of every property, nested ones with dots."""
    required = node.get("required", ())
    for key, child in node.get("properties", {}).items():
        node = resolve(child, root)
        default = "required" if key in required else _default(node)
        yield f"{prefix}{key}", _kind(node, root), default, _text(node["description"])
        inner = (
            (child, ""),
            (node.get("additionalProperties"), "<name>."),
            (node.get("items"), "-."),
        )
        for nested, step in inner:
            if isinstance(nested, Mapping) and not _has_section(nested):
                yield from _rows(resolve(nested, root), root, f"{prefix}{key}.{step}")


def _has_section(node: Mapping) -> bool:
    return node.get("$ref", "").rpartition("/")[2] in SECTIONS


def _table(rows: Iterator[tuple[str, str, str, str]]) -> list[str]:
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return head + [
        f"| `{key}` | {kind} | {default} | {description} |"
        for key, kind, default, description in rows
    ]


def _kind(node: Mapping, root: Mapping) -> str:
    if "enum" in node:
        return " / ".join(f"`{'null' if value is None else value}`" for value in node["enum"])
    if "oneOf" in node:
        return " or ".join(_kind(resolve(option, root), root) for option in node["oneOf"])
    kinds = node.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
    if kinds == ["array"]:
        inner = _kind(resolve(node["items"], root), root) if "items" in node else "any"
        return f"list of {inner}"
    return " or ".join({"object": "mapping"}.get(kind, kind) for kind in kinds)


def _default(node: Mapping) -> str:
    if "default" not in node:
        return ""
    value = node["default"]
    if value in (None, {}, [], ""):
        return "none"
    if isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
        text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
        return f"`{text.strip()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _text(description: str) -> str:
    return " ".join(description.split()).replace("|", "\\|")


if __name__ == "__main__":
    with written_whole(README) as temporary:
        temporary.write_text(document(), encoding="utf-8")
