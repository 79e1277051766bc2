"""The summary of a batch as JSON and back."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.results.changes import PreviousBatch
from flows.results.model_summary import BaselineSummary, InterestSummary, ModelSummary
from flows.results.summary import BatchSummary, Change, DataSummary, TableSummary
from recobatch.table import open_table
from tests.support.small_table import make_model, publish, write_inputs
from tests.support.summary_keys import undocumented

texts, errors, counts = st.text(max_size=5), st.none() | st.floats(0, 9), st.none() | st.integers(0, 9)
models = st.builds(
    ModelSummary, texts, st.none() | texts, st.none() | st.lists(errors, max_size=3), st.none() | st.lists(errors),
    counts, errors, errors, errors, errors, counts, counts, counts, errors, errors, st.none() | texts,
    st.none() | st.just({"ndcg_at_10": 0.5}),
)  # fmt: skip
data = st.builds(DataSummary, st.none() | texts, counts, counts, counts, st.none() | texts | st.integers())
scored = st.builds(DataSummary, news=st.none() | st.fixed_dictionaries({"told": texts}), scored_only=st.just(True))
tables = st.builds(TableSummary, texts, texts, texts, st.dictionaries(texts, st.integers(0, 9), max_size=2))
moved = st.builds(
    Change, texts, texts, texts, st.dictionaries(texts, st.integers(-9, 9), max_size=2), st.just({}), errors
)
interests = st.builds(InterestSummary, texts, st.none() | texts, st.none() | texts, st.none() | texts)
summaries = st.builds(
    BatchSummary, texts, texts, st.floats(0, 9), data | scored, st.dictionaries(texts, models, max_size=2),
    st.dictionaries(texts, st.builds(BaselineSummary, errors), max_size=2), st.just({"score": 0.5}),
    st.lists(texts, max_size=2), st.none() | moved, st.none() | tables, st.booleans(), st.none() | texts,
    st.none() | texts, counts, st.none() | interests, st.none() | texts,
)  # fmt: skip


@given(summaries)
def test_reading_is_the_inverse_of_writing(summary):
    assert BatchSummary.from_dict(summary.to_dict()) == summary


@given(summaries)
def test_keys_of_a_later_release_are_ignored(summary):
    values = summary.to_dict() | {"later": 1}
    values["data"] = values["data"] | {"later": 1}
    assert BatchSummary.from_dict(values) == summary


def test_every_field_is_a_documented_key():
    model = ModelSummary(*[1.0] * len(fields(ModelSummary)))
    data = replace(DataSummary(*[1] * 12), reasons={"duplicate pair": 1})
    table = TableSummary("p", "c", "v", {"a": 1})
    summary = BatchSummary(
        "b", "a", 1.0, data, {"a": model}, {"bias": BaselineSummary(1.0)}, {"score": 1.0}, [], None, table,
        unchanged=True, rolled_back="v", report="r", delivered_runs=0,
        interest=InterestSummary("r", "u", "EASE", "product", {"product": 0.5}, 1.0), rankings_note="none",
    )  # fmt: skip
    assert undocumented(summary.to_dict()) == []


def test_what_was_not_measured_is_null_only_where_it_might_have_been():
    trained = ModelSummary("r", loss=[1.0], val_loss=[])
    assert trained.to_dict() == {
        "mlflow_run_id": "r", "mlflow_url": None, "loss": [1.0], "val_loss": [], "validation_mse": None,
    }  # fmt: skip
    assert ModelSummary("r", test_mse=0.5).to_dict() == {"mlflow_run_id": "r", "mlflow_url": None, "test_mse": 0.5}
    assert DataSummary(scored_only=True).to_dict() == {"news": None}
    assert DataSummary().to_dict() == {"quarantine_path": None}


@pytest.fixture
def snapshot(tmp_path):
    """A snapshot whose manifest has no summary."""
    table = open_table(tmp_path / "predictions")
    publish(table, "v1", write_inputs(tmp_path / "inputs", make_model(6, 4)))
    return table.current()


def test_a_manifest_without_a_summary_gives_its_own_figures(snapshot):
    summary = BatchSummary.of_manifest(snapshot.manifest)
    assert (summary.batch_id, summary.champion) == ("v1", snapshot.champion)
    assert {name: model.mlflow_run_id for name, model in summary.models.items()} == {
        name: facts.mlflow_run_id for name, facts in snapshot.manifest.models.items()
    }
    assert PreviousBatch.published(snapshot) == PreviousBatch(
        "version v1", snapshot.champion, {}, {name: {} for name in snapshot.manifest.models}
    )


def test_a_manifest_with_a_summary_gives_that(snapshot):
    kept = BatchSummary("b", "a", 1.5)
    manifest = replace(snapshot.manifest, extra={"summary": kept.to_dict()})
    assert BatchSummary.of_manifest(manifest) == kept
