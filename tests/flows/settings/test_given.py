"""The parameter of the flows: what a form posts is what was typed into it, and the rest comes from recobatch.toml."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.settings.given import GivenSettings
from flows.settings.tree import Settings
from recobatch.training.recipe import Recipe

FLOWS = {"batch-scoring": "flows.batch.batch_scoring", "train-models": "flows.train.train_models",
         "score-pairs": "flows.score.score_pairs"}  # fmt: skip


def flow(name):
    from importlib import import_module

    module, _, attribute = FLOWS[name].rpartition(".")
    return getattr(import_module(module), attribute)


def fields(schema):
    """Every field of the parameter ``settings``, those of sections too."""
    for name, definition in schema["definitions"].items():
        for key, field in definition["properties"].items():
            yield f"{name}.{key}", field


@pytest.mark.parametrize("name", FLOWS)
def test_the_form_has_nothing_to_post_for_an_untouched_field(name):
    schema = flow(name).parameters.model_dump()
    assert schema["properties"]["settings"]["default"] == {}
    assert [key for key, field in fields(schema) if "default" in field] == []
    # A switch has no third position: the form posts false for one that nobody touched.
    kinds = {key: [kind.get("type") for kind in field.get("anyOf", [field])] for key, field in fields(schema)}
    assert [key for key, found in kinds.items() if "boolean" in found] == []
    seed = schema["definitions"]["GivenSettings"]["properties"]["seed"]
    assert seed["description"].endswith("Left empty: recobatch.toml's, else the preset's, else 0.")


def test_a_run_posted_as_the_form_posts_it_keeps_the_files_table_and_ratings(server, at_project, monkeypatch):
    from prefect.client.orchestration import get_client

    from flows.job import effective_settings

    monkeypatch.delenv("RECOBATCH_MODELS")
    Path("recobatch.toml").write_text(
        '[data]\nratings = "ours.csv"\n[table]\npath = "ours"\n[train]\nepochs = 9\nrefit = true\n'
    )
    batch_scoring = flow("batch-scoring")
    deployment = batch_scoring.to_deployment(name="form").apply()
    posted = {"settings": {"seed": 7, "train": {"epochs": 2}, "data": {}}, "force": False, "fresh": False}
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment, parameters=posted)
        stored = client.read_flow_run(run.id).parameters
    Path("recobatch.toml").rename("read.toml")
    given = batch_scoring.validate_parameters(stored)["settings"]
    Path("read.toml").rename("recobatch.toml")
    settings = effective_settings(given)
    Path("recobatch.toml").unlink()
    assert (settings.seed, settings.train.epochs) == (7, 2)  # what was typed beats the file
    assert (settings.data.ratings, settings.table.path, settings.train.refit) == ("ours.csv", "ours", True)
    assert settings.preset == Settings().preset


def test_it_is_stored_without_defaults_and_without_secrets():
    given = GivenSettings.model_validate({"seed": 3, "table": {"path": "s3://key:secret@host/bucket"}})
    assert json.loads(given.model_dump_json()) == {"seed": 3, "table": {"path": "s3://host/bucket"}}
    assert GivenSettings().model_dump(mode="json") == {}


def test_a_tree_given_in_python_stands_for_what_was_set_in_it():
    given = GivenSettings.model_validate(Settings(seed=3, train=Recipe(patience=None)))
    assert given.model_dump(exclude_unset=True) == {"seed": 3, "train": {"patience": None}}


def test_a_field_emptied_in_the_form_is_not_set_and_null_is_kept_where_it_means_something():
    emptied = {"seed": None, "data": None, "train": {"epochs": None, "patience": None}}
    assert GivenSettings.model_validate(emptied).model_dump(exclude_unset=True) == {"train": {"patience": None}}
    with pytest.raises(ValidationError, match="sed"):
        GivenSettings.model_validate({"sed": None})
