"""What is said of kinds of models and embeddings without importing them is what they are."""

import importlib
from pathlib import Path

import pytest
import yaml

from scripts.dissimilarity import models
from scripts.dissimilarity.learning.pair_training import PairOptions
from workflow.lib.config import pair_kinds
from workflow.lib.config.pair_kinds import (
    EMBEDDERS,
    JOINED,
    has_leaked,
    is_stepwise,
    model_kinds,
    needs,
)
from workflow.lib.errors import InputError

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/studies/dissimilarity.schema.yaml"


def model_of(kind):
    return importlib.import_module(f"{models.__name__}.{kind}").Model


@pytest.mark.parametrize("kind", model_kinds())
def test_what_is_read_of_a_kind_is_what_its_class_says(kind):
    assert is_stepwise(kind) is model_of(kind).stepwise
    assert needs(kind) == model_of(kind).needs
    assert has_leaked(kind) is model_of(kind).leaked


def test_pairs_of_responses_cannot_be_dealt_out():
    of_responses = {kind for kind in model_kinds() if "responses" in needs(kind)}
    assert {kind for kind in model_kinds() if not has_leaked(kind)} == of_responses == {"encode"}


def test_networks_train_step_by_step_and_nothing_else_does():
    stepwise = {kind for kind in model_kinds() if is_stepwise(kind)}
    assert stepwise == {kind for kind in model_kinds() if issubclass(model_of(kind), PairOptions)}
    assert stepwise == {"contrastive", "pair_mlp", "siamese"}


def test_a_kind_that_does_not_say_it_is_named(tmp_path, monkeypatch):
    (tmp_path / "silent.py").write_text("class Model:\n    symmetric: bool = True\n")
    monkeypatch.setattr(pair_kinds, "MODELS", tmp_path)
    with pytest.raises(InputError, match=r"silent.py: found no `stepwise`"):
        is_stepwise("silent")


@pytest.mark.parametrize("kind", EMBEDDERS)
def test_the_module_of_every_embedding_has_what_is_called(kind):
    made_by = importlib.import_module(f"scripts.dissimilarity.embedders.{EMBEDDERS[kind].module}")
    assert callable(made_by.embed)


def test_the_schema_knows_these_embeddings_and_no_others():
    schema = yaml.safe_load(SCHEMA.read_text())["additionalProperties"]["properties"]
    kinds = schema["embeddings"]["additionalProperties"]["properties"]["kind"]["enum"]
    assert set(kinds) == {*EMBEDDERS, JOINED}
