"""Inheritance, defaults and descriptions of the config."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.unit.raw_files import completed_config, shortest_brain
from workflow.lib.config.complete import complete_config, entries_of
from workflow.lib.config.merging import laid_over, merged
from workflow.lib.config.schema import load_schema, resolve
from workflow.lib.errors import InputError

ROOT = Path(__file__).parents[2]
CONFIG_FILES = sorted((ROOT / "config").glob("*.yaml"))
NO_CONFIG = {"datasets.yaml"}
SCHEMA = load_schema()


def read_yaml(file):
    return yaml.safe_load(file.read_text(encoding="utf-8"))


class UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping with a key twice, of which YAML keeps the last without a word."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        assert not twice, f"{node.start_mark}: {twice}"
        return super().construct_mapping(node, deep)


def default_config():
    return read_yaml(ROOT / "config" / "config.yaml")


def config_of(entries, studies=("lab",)):
    lab = {
        "title": "Lab",
        "source": "path",
        "path": "raw",
        "brain": shortest_brain(),
        "models": {"net": {"files": "net.npy", "layers": {"names": ["fc"], "from": "constant"}}},
    }
    return {"run": "test", "studies": list(studies), "rsa": {"lab": lab, **entries}}


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda file: file.stem)
def test_no_key_of_a_config_file_stands_twice(file):
    yaml.load(file.read_text(encoding="utf-8"), UniqueKeys)


# Laying one mapping over another.


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 3}}}, {"a": {"b": {"c": 1, "d": 3}}}),
        ({"a": [1, 2, 3]}, {"a": [4]}, {"a": [4]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": {"x": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": [1]}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_merged(base, over, expected):
    assert merged(base, over) == expected


TREES = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@given(MAPPINGS, MAPPINGS)
def test_merging_changes_neither_side(base, over):
    before = copy.deepcopy((base, over))
    result = merged(base, over)
    scribble(result)
    assert (base, over) == before


def scribble(tree):
    for value in tree.values():
        if isinstance(value, dict):
            scribble(value)
    tree["scribbled"] = True


@given(MAPPINGS, MAPPINGS)
def test_laying_over_twice_is_laying_over_once(base, over):
    assert merged(merged(base, over), over) == merged(base, over)


@given(MAPPINGS)
def test_nothing_is_neutral(tree):
    assert merged(tree, {}) == merged({}, tree) == merged(tree, tree) == tree


# Labels, and studies, are one value.


def with_masks():
    """Return a config with a study whose labels a second one, `child`, can give anew."""
    config = config_of({})
    lab = config["rsa"]["lab"]
    lab["brain"] |= {"data": "patterns", "files": "{subject}.nii"}
    lab["brain"]["subjects"] = {"names": ["s1", "s2"], "from": "file_name"}
    lab["brain"]["rois"] = {"names": {"V1": "v1.nii", "IT": "it.nii"}, "from": "mask"}
    lab["roi_groups"] = {"early": ["V1"]}
    lab["images"] = {"groups": {"face": "face", "house": "house"}, "match": "normalised"}
    lab["stimuli"] = {"files": "*.png"}
    lab["models"]["deep"] = {
        "network": "alexnet",
        "weights": "untrained",
        "layers": {"early": "features.0", "late": "features.12"},
    }
    return config


LABELS = {
    "names": (
        {
            "brain": {
                "rois": {"names": {"V1": 1, "rest": [2, 7]}, "from": "atlas", "atlas": "a.nii"}
            }
        },
        "brain.rois.names",
        {"V1": 1, "rest": [2, 7]},
    ),
    "layers": (
        {"models": {"deep": {"layers": {"last": "classifier.1"}}}},
        "models.deep.layers",
        {"names": {"last": "classifier.1"}, "from": "node"},
    ),
    "names of layers": (
        {"models": {"net": {"layers": {"names": ["conv"]}}}},
        "models.net.layers",
        {"names": ["conv"], "from": "constant"},
    ),
    "groups": (
        {"images": {"groups": {"animate": "face|cat", "thing": "."}}},
        "images.groups",
        {"animate": "face|cat", "thing": "."},
    ),
    "roi_groups": ({"roi_groups": {"late": ["IT"]}}, "roi_groups", {"late": ["IT"]}),
    "model of another kind": (
        {"models": {"deep": {"control": "pixel"}}},
        "models.deep.weights",
        "torchvision",  # the default, not the parent's
    ),
    "block beside": ({"images": {"groups": {"all": "."}}}, "images.match", "normalised"),
    "model beside": (
        {"models": {"deep": {"seeds": 3}}},
        "models.deep.layers.names",
        {"early": "features.0", "late": "features.12"},
    ),
}


@pytest.mark.parametrize("how", ["extends", "laid over"])
@pytest.mark.parametrize(("changes", "place", "expected"), LABELS.values(), ids=LABELS)
def test_labels_given_anew_are_all_there_are(how, changes, place, expected):
    config = with_masks()
    if "roi_groups" not in changes:
        del config["rsa"]["lab"]["roi_groups"]
    if how == "extends":
        config["rsa"]["child"] = {"extends": "lab", "title": "Child", **changes}
        study = complete_config(config)["rsa"]["child"]
    else:
        study = complete_config(laid_over(config, {"rsa": {"lab": changes}}))["rsa"]["lab"]
    found = at(study, place)
    assert found == expected
    assert list(found) == list(expected)  # the first group that matches counts


def test_tiers_given_anew_are_all_there_are():
    over = {"bold5000": {"tiers": {"Low": ["EarlyVis"]}}}
    assert laid_over(default_config(), over)["bold5000"]["tiers"] == {"Low": ["EarlyVis"]}


def test_groups_of_a_study_win_over_its_parents_table():
    config = with_masks()
    table = {"file": "g.csv", "column": "g"}
    over = {"rsa": {"lab": {"images": {"group_table": table}}}}
    images = laid_over(config, over)["rsa"]["lab"]["images"]
    assert images == {"group_table": table, "match": "normalised"}
    back = laid_over(config, over, {"rsa": {"lab": {"images": {"groups": {"a": "a"}}}}})
    assert back["rsa"]["lab"]["images"] == {"groups": {"a": "a"}, "match": "normalised"}


def test_model_may_be_called_like_a_key():
    models = {"groups": {"control": "gabor"}, "names": {"control": "pixel"}}
    config = with_masks()
    config["rsa"]["lab"]["models"] |= models
    over = {"rsa": {"lab": {"models": {"groups": {"metric": "euclidean"}}}}}
    found = laid_over(config, over)["rsa"]["lab"]["models"]
    assert found["groups"] == {"control": "gabor", "metric": "euclidean"}
    assert found["names"] == {"control": "pixel"}


def test_whole_study_takes_the_place_of_the_one_of_its_name():
    own = config_of({})["rsa"]["lab"]
    found = complete_config(laid_over(default_config(), {"rsa": {"objects": own}}))["rsa"]
    assert found["objects"] == complete_config(config_of({}))["rsa"]["lab"]
    assert found["bold5000"] == complete_config(default_config())["rsa"]["bold5000"]


def test_study_that_extends_another_takes_the_place_of_the_one_of_its_name():
    over = {"rsa": {"objects": {"extends": "images92", "title": "Mine"}}}
    found = complete_config(laid_over(default_config(), over))["rsa"]
    assert found["objects"] == {**found["images92"], "extends": "images92", "title": "Mine"}


def test_study_keeps_what_another_source_of_its_files_leaves_alone():
    over = {"rsa": {"bold5000": {"source": "path", "path": "raw"}}}
    found = laid_over(default_config(), over)["rsa"]["bold5000"]
    assert found == {**default_config()["rsa"]["bold5000"], "source": "path", "path": "raw"}


def test_part_of_a_study_with_other_files_is_refused():
    over = {"rsa": {"objects": {"source": "path", "path": "raw", "brain": shortest_brain()}}}
    with pytest.raises(InputError) as stopped:
        laid_over(default_config(), over)
    assert str(stopped.value) == (
        "config, rsa.objects.brain.files: found 'brain.npy' laid over a study that has that name "
        "already, without title, models, expected a study of its own, or one that keeps its files; "
        "give it another name (with `extends: objects`, to keep the rest), or give title, models "
        "as well"
    )


def test_last_config_wins():
    configs = [{"run": run, "seed": number} for number, run in enumerate(["a", "b"])]
    assert laid_over({"run": "z", "mirror": "m"}, *configs) == {
        "run": "b",
        "seed": 1,
        "mirror": "m",
    }


# Keys that have an effect on one kind of data, or of model, alone.


def with_patterns():
    """Return a config whose study has patterns, and says what is done with them."""
    config = with_masks()
    lab = config["rsa"]["lab"]
    lab["brain"] |= {
        "metric": "crossnobis",
        "observations": {"file": "{subject}.tsv", "condition": "image", "run": "run"},
        "noise_normalisation": "diagonal",
    }
    lab["models"]["pixel"] = {"control": "pixel", "options": {"colour": True}, "metric": "cosine"}
    lab["searchlight"] = {"radius": 8}
    return config


RDMS = {"data": "rdms", "files": "{subject}.npy", "rois": {"names": ["V1"], "from": "constant"}}
NO_PATTERNS = {
    "metric": "crossnobis",
    "observations": {"condition": "image"},
    "detrend": True,
    "standardise": "run",
    "remove_mean_pattern": True,
    "noise_normalisation": "diagonal",
}
NO_KEYS_OF_KINDS = {
    "files": {"seeds": 5, "pooling": "max", "metric": "euclidean", "weights": "w.pth"},
    "features": {"average": {"names": [1], "from": "constant"}, "field": "RDM", "pooling": "max"},
    "network": {"key": "x", "conditions": {"from": "order"}, "options": {"side": 9}},
    "control": {"seeds": 5, "standardise_units": True, "conditions": {"from": "order"}},
}
KINDS = {
    "files": {"files": "net.npy"},
    "features": {"features": "net.npy"},
    "network": {"network": "alexnet", "layers": ["features.0"]},
    "control": {"control": "pixel"},
}


@pytest.mark.parametrize("key", NO_PATTERNS)
def test_what_is_done_with_patterns_is_refused_of_rdms(key):
    config = config_of({})
    config["rsa"]["lab"]["brain"][key] = NO_PATTERNS[key]
    with pytest.raises(
        InputError, match=rf"rsa\.lab\.brain\.{key}: found it for `data: rdms`.*leav"
    ):
        complete_config(config)


def test_a_field_of_rdms_is_refused_of_patterns():
    config = with_patterns()
    complete_config(config)
    config["rsa"]["lab"]["brain"]["field"] = "RDM"
    with pytest.raises(
        InputError, match=r"brain\.field: found it for `data: patterns`.*rdms alone"
    ):
        complete_config(config)


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in NO_KEYS_OF_KINDS.items() for key in keys]
)
def test_keys_of_another_kind_of_model_are_refused(kind, key):
    config = with_masks()
    config["rsa"]["lab"]["models"]["mine"] = {**KINDS[kind], key: NO_KEYS_OF_KINDS[kind][key]}
    with pytest.raises(
        InputError, match=rf"rsa\.lab\.models\.mine\.{key}.*: found .*; leave it out"
    ):
        complete_config(config)


def test_seeds_are_of_untrained_networks_alone():
    config = with_masks()
    network = config["rsa"]["lab"]["models"]["mine"] = {**KINDS["network"], "seeds": 3}
    for weights in ("torchvision", "mine.pth"):
        with pytest.raises(InputError, match=rf"mine\.seeds: found it with `weights: {weights}`"):
            complete_config(config)
        network["weights"] = "mine.pth"
    network["weights"] = "untrained"
    assert complete_config(config)["rsa"]["lab"]["models"]["mine"]["seeds"] == 3


def test_groups_of_images_have_no_metric():
    config = with_masks()
    config["rsa"]["lab"]["models"]["kind"] = {"control": "groups", "metric": "cosine"}
    with pytest.raises(InputError, match=r"kind\.metric: found it for `control: groups`"):
        complete_config(config)


def test_encoding_is_of_patterns_alone():
    config = config_of({})
    config["rsa"]["lab"]["encoding"] = {"folds": 5}
    with pytest.raises(InputError, match=r"lab\.encoding: found it for `data: rdms`"):
        complete_config(config)
    config["rsa"]["lab"]["encoding"]["folds"] = 0
    complete_config(config)


def test_rdms_that_the_study_makes_have_no_metric():
    config = digits_config()
    config["rsa"]["lab"]["models"]["vgg"]["metric"] = "euclidean"
    with pytest.raises(InputError, match=r"vgg\.metric: found it .* by `made`.*; leave it out"):
        complete_config(config)


@pytest.mark.parametrize("how", ["extends", "laid over"])
@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({"brain": RDMS}, ["brain.observations", "searchlight"]),
        ({"models": {"pixel": {"control": "gabor"}}}, ["models.pixel.options"]),
        (
            {"models": {"pixel": {"files": "x.npy"}}},
            ["models.pixel.options", "models.pixel.control"],
        ),
    ],
    ids=["other data", "another control", "another kind of model"],
)
def test_inherited_keys_without_an_effect_are_left_behind(how, changes, gone):
    """A study that changes what it inherits has no other way to be rid of them."""
    config = with_patterns()
    del config["rsa"]["lab"]["roi_groups"]
    if how == "extends":
        config["rsa"]["child"] = {"extends": "lab", **changes}
        study = complete_config(config)["rsa"]["child"]
    else:
        brain = changes.get("brain", {})
        over = {**changes, "brain": {key: brain[key] for key in brain if key != "files"}}
        study = complete_config(laid_over(config, {"rsa": {"lab": over}}))["rsa"]["lab"]
    for place in gone:
        with pytest.raises(KeyError):
            at(study, place)
    assert complete_config(config)["rsa"]["lab"]["brain"]["metric"] == "crossnobis"


def test_inherited_settings_without_an_effect_are_the_usual_ones():
    config = with_patterns()
    lab = config["rsa"]["lab"]
    lab["models"]["mine"] = {**KINDS["network"], "weights": "untrained", "seeds": 3}
    lab["encoding"] = {"folds": 7}
    del lab["roi_groups"]
    config["rsa"]["child"] = {
        "extends": "lab",
        "brain": RDMS,
        "models": {"mine": {"weights": "mine.pth"}, "pixel": {"control": "groups"}},
    }
    child = complete_config(config)["rsa"]["child"]
    assert child["models"]["mine"]["seeds"] == 1
    assert child["models"]["pixel"]["metric"] == "correlation"
    assert child["encoding"]["folds"] == 5


def test_keys_that_a_study_gives_with_its_other_data_are_refused():
    config = with_patterns()
    config["rsa"]["child"] = {"extends": "lab", "brain": {**RDMS, "metric": "crossnobis"}}
    with pytest.raises(InputError, match=r"rsa\.child\.brain\.metric: found it for `data: rdms`"):
        complete_config(config)


def test_studies_of_the_same_data_inherit_what_is_done_with_it():
    config = with_patterns()
    config["rsa"]["child"] = {"extends": "lab", "brain": {"data": "patterns", "detrend": True}}
    brain = complete_config(config)["rsa"]["child"]["brain"]
    assert (brain["metric"], brain["detrend"]) == ("crossnobis", True)
    assert brain["observations"]["condition"] == "image"


# Inheritance between studies.


def test_study_inherits_what_it_does_not_give_anew():
    entries = {
        "child": {
            "extends": "lab",
            "title": "Child",
            "brain": {"rois": {"names": ["V2"]}},
            "comparators": ["cosine"],
        }
    }
    completed = complete_config(config_of(entries, ["child"]))["rsa"]
    child, lab = completed["child"], completed["lab"]
    assert (child["title"], lab["title"]) == ("Child", "Lab")
    assert child["path"] == "raw"
    assert child["brain"]["files"] == "brain.npy"
    assert child["brain"]["rois"]["names"] == ["V2"]
    assert child["brain"]["rois"]["from"] == "constant"
    assert lab["brain"]["rois"]["names"] == ["V1"]
    assert child["comparators"] == ["cosine"]
    assert child["models"] == lab["models"]


@pytest.mark.parametrize("order", [["child", "grandchild"], ["grandchild", "child"]])
def test_inheritance_goes_over_generations_whatever_their_order(order):
    entries = {
        "child": {"extends": "lab", "joint": "standardised", "title": "Child"},
        "grandchild": {"extends": "child", "title": "Grandchild"},
    }
    completed = complete_config(config_of({name: entries[name] for name in order}))["rsa"]
    assert completed["grandchild"]["title"] == "Grandchild"
    assert completed["grandchild"]["joint"] == "standardised"
    assert completed["lab"]["joint"] == "mean"


def test_completing_leaves_the_given_config_alone():
    config = config_of({"child": {"extends": "lab", "title": "Child"}})
    before = copy.deepcopy(config)
    scribble(complete_config(config)["rsa"]["child"]["brain"])
    assert config == before


def test_blocks_that_a_yaml_anchor_shares_are_completed_one_by_one():
    config = config_of({})
    config["rsa"]["other"] = dict(config["rsa"]["lab"])
    assert config["rsa"]["other"]["models"] is config["rsa"]["lab"]["models"]
    completed = complete_config(config)["rsa"]
    assert completed["other"] == completed["lab"]
    scribble(completed["other"]["models"]["net"]["conditions"])
    assert "scribbled" not in completed["lab"]["models"]["net"]["conditions"]


def test_siblings_share_no_block():
    entries = {name: {"extends": "lab", "title": name} for name in ("one", "two")}
    completed = complete_config(config_of(entries))["rsa"]
    scribble(completed["one"]["images"])
    scribble(completed["one"]["brain"]["conditions"])
    assert completed["two"]["images"] == completed["lab"]["images"]
    assert "scribbled" not in completed["two"]["brain"]["conditions"]


# Defaults.


@pytest.mark.parametrize(
    ("place", "default"),
    [
        ("rsa.lab.images.match", "exact"),
        ("rsa.lab.images.unmatched", "error"),
        ("rsa.lab.brain.conditions.from", "stored"),
        ("rsa.lab.brain.key", None),
        ("rsa.lab.models.net.conditions.from", "stored"),
        ("rsa.lab.brain.rois.descriptor", None),
        ("rsa.lab.inference.alpha", 0.05),
        ("rsa.lab.joint", "mean"),
        ("bold5000.published_model", "resnet50"),
        ("mirror", None),
    ],
)
def test_defaults_are_filled_in_at_every_depth(place, default):
    assert at(completed_config(), place) == default


def test_given_values_win_over_defaults():
    completed = completed_config(images={"match": "normalised"}, inference={"alpha": 0.1})
    assert at(completed, "rsa.lab.images") == {
        **at(completed_config(), "rsa.lab.images"),
        "match": "normalised",
    }
    assert at(completed, "rsa.lab.inference.alpha") == 0.1


def test_optional_blocks_are_not_invented():
    brain = at(completed_config(), "rsa.lab.brain")
    assert "sessions" not in brain
    assert "average" not in at(completed_config(), "rsa.lab.models.net")


def at(tree, place):
    for key in place.split("."):
        tree = tree[key]
    return tree


# The schema.


def properties_of(node, place="config"):
    """Yield every property of the schema, resolved, with its place."""
    node = resolve(node, SCHEMA)
    for key, child in node.get("properties", {}).items():
        yield f"{place}.{key}", resolve(child, SCHEMA)
        yield from properties_of(child, f"{place}.{key}")
    for kind in ("additionalProperties", "items"):
        if isinstance(node.get(kind), dict):
            yield from properties_of(node[kind], f"{place}.*")


PROPERTIES = dict(properties_of(SCHEMA))


def test_walk_over_the_schema_reaches_its_depths():
    assert {"config.run", "config.rsa.*.brain.rois.descriptor"} <= set(PROPERTIES)
    assert "config.rsa.*.models.*.conditions.pattern" in PROPERTIES


@pytest.mark.parametrize("place", PROPERTIES)
def test_property_is_described(place):
    description = " ".join(PROPERTIES[place].get("description", "").split())
    assert len(description) >= 8
    assert description.endswith(".")


@pytest.mark.parametrize("place", PROPERTIES)
def test_default_obeys_its_own_rules(place):
    node = PROPERTIES[place]
    # The defaults of a block stand at its own keys.
    if node.get("default", {}) != {}:
        Draft202012Validator({**node, "$defs": SCHEMA["$defs"]}).validate(node["default"])


@pytest.mark.parametrize(
    "place", [place for place in PROPERTIES if "properties" in PROPERTIES[place]]
)
def test_block_refuses_unknown_keys(place):
    assert PROPERTIES[place]["additionalProperties"] is False


def test_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


# The configs that come with the workflow.


@pytest.mark.parametrize(
    "file",
    [file for file in CONFIG_FILES if file.name not in NO_CONFIG],
    ids=lambda file: file.name,
)
def test_config_file_is_valid(file):
    # A config given by --configfile is laid over the default one.
    complete_config(laid_over(default_config(), read_yaml(file)))


def test_default_config_needs_no_data():
    completed = complete_config(default_config())
    sources = {
        entry["source"]
        for study in completed["studies"]
        for entry in entries_of(completed, study).values()
    }
    assert sources == {"simulated"}


# Section digits.


def digits_config(**changes):
    """Return a config with an entry of `digits`, and a study of the brain of the same name."""
    entry = {
        "title": "Lab",
        "source": "simulated",
        "simulation": {"folder": "lab"},
        "categories": {"digit": ["zero", "one"], "object": ["cat", "dog"]},
        "codes": {"Digit": [["digit", "digit"]]},
        **changes,
    }
    brain = {
        "files": "{subject}.h5",
        "subjects": {"names": ["s1"], "from": "file_name"},
        "rois": {"names": ["V1"], "from": "constant"},
    }
    rsa = {
        "title": "Lab",
        "source": "path",
        "path": "there",
        "brain": brain,
        "models": {"vgg": {"made": True, "layers": ["conv1_1"]}},
    }
    return {"run": "test", "studies": ["lab"], "digits": {"lab": entry}, "rsa": {"lab": rsa}}


@pytest.mark.parametrize(("stimuli", "said"), [(12, False), (0, True)])
def test_titles_say_where_layers_saw_other_images_than_participants(stimuli, said):
    config = complete_config(digits_config(images={"stimuli": stimuli}))
    assert ("validation images" in config["rsa"]["lab"]["title"]) == said
    assert config["digits"]["lab"]["title"] == "Lab"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": {"pets": ["cat", "dgo"]}}, ["digits.lab.groups.pets", "'dgo'", "dog"]),
        ({"codes": {"Pets": [["pets", "digit"]]}}, ["digits.lab.codes.Pets", "'pets'"]),
        ({"contrasts": {"None": {"Digit": 0}}}, ["digits.lab.contrasts.None", "no weight but 0"]),
        ({"layer_groups": {"a": ["conv1_1"], "b": ["fc9"]}}, ["layer_groups", "'fc9'"]),
        ({"layer_groups": {"a": ["conv1_1"], "b": ["fc8"]}}, ["layer_groups", "0 times"]),
        ({"embedding": {"perplexity": 100}}, ["embedding.perplexity", "100 validation images"]),
        ({"categories": {"a": ["cat"], "b": ["cat", "dog"]}}, ["digits.lab.categories", "'cat'"]),
        ({"categories": {"a": ["cat"], "b": ["dog"]}}, ["digits.lab.categories", "found 2"]),
        ({"source": "path"}, ["digits.lab.source", "`path`"]),
        (
            {
                "source": "path",
                "path": "raw",
                "images": {"files": [{"layout": "parts", "files": ["/data/a.npz"]}]},
            },
            ["digits.lab.images.files", "'/data/a.npz'", "let `path` name the folder"],
        ),
    ],
)
def test_digits_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(InputError) as refused:
        complete_config(digits_config(**changes))
    for word in words:
        assert word in str(refused.value)


def test_model_that_nobody_makes_is_refused():
    config = digits_config()
    config["rsa"]["lab"]["models"]["vgg"]["layers"] = ["conv1_1", "fc7"]
    with pytest.raises(InputError, match="fc7"):
        complete_config(config)
    config = digits_config()
    del config["digits"]["lab"]
    with pytest.raises(InputError, match="another section"):
        complete_config(config)


def test_two_entries_do_not_simulate_into_one_folder():
    config = digits_config()
    config["digits"]["twin"] = {**config["digits"]["lab"], "title": "Twin"}
    with pytest.raises(InputError, match="where lab simulates"):
        complete_config(config)


def test_a_study_may_stand_in_a_section_of_its_own_alone():
    config = digits_config()
    del config["rsa"]["lab"]
    assert complete_config(config)["studies"] == ["lab"]
