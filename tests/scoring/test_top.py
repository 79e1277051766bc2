"""The best unseen items: against a brute force, and looked up in a published table."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from recobatch.blas import one_blas_thread
from recobatch.errors import BadInput, BadTable
from recobatch.interest import InterestOptions
from recobatch.interest.candidates import Choice, Trainer
from recobatch.interest_model import Confidence
from recobatch.model_folder import load_interest
from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import ScoreOptions, score_block
from recobatch.scoring.ranker import Ranker
from recobatch.scoring.top import best_items, best_of_parts, top_shard
from recobatch.table import open_table
from tests.support.brute_force import best_unseen
from tests.support.small_table import make_calibration, make_ids, make_model, make_rated, publish, write_inputs
from tests.support.tastes import tastes

N_USERS, N_ITEMS = 50, 30


@pytest.mark.parametrize("k", [1, 7, 100])
def test_shard_holds_the_best_unseen_of_every_user(tmp_path, k):
    model = make_model(N_USERS, N_ITEMS)
    inputs = write_inputs(tmp_path / "in", model)
    report = top_shard(inputs, slice(3, N_USERS), tmp_path / "top.parquet", k=k, metadata={"version": "v1"})
    table = pq.read_table(report.path)
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("user_id", "int64"), ("rank", "int32"), ("item_id", "int64"), ("score", "float"), ("prediction", "float"),
        ("lower_90", "float"), ("upper_90", "float"),
    ]  # fmt: skip
    everyone = slice(3, N_USERS)
    expected = best_unseen(score_block(model, everyone), make_rated(N_USERS, N_ITEMS).mask(everyone), k)
    users, ranks, items, predictions = zip(*expected, strict=True)
    assert table["user_id"].combine_chunks() == make_ids(N_USERS).decode(np.array(users) + 3)
    assert table["rank"].to_pylist() == list(ranks)
    assert table["item_id"].combine_chunks() == make_ids(N_ITEMS).decode(np.array(items))
    assert np.array_equal(table["prediction"].to_numpy(), predictions)
    assert report.rows == len(expected)
    assert report.max_prediction == max(predictions)


def test_every_item_has_its_interval(tmp_path):
    """By the formula of the page, with bands of the pairs in the input instead of those that were calibrated on."""
    model, calibration = make_model(N_USERS, N_ITEMS), make_calibration(N_USERS, N_ITEMS)
    inputs = write_inputs(tmp_path / "in", model, calibration=calibration)
    report = top_shard(inputs, slice(0, N_USERS), tmp_path / "top.parquet", k=9, metadata={})
    table = pq.read_table(report.path).to_pandas()
    user, item = (table["user_id"].to_numpy() - 10) // 3, (table["item_id"].to_numpy() - 10) // 3
    rated, intervals = make_rated(N_USERS, N_ITEMS), calibration.intervals
    bands = [
        np.digitize(counts, edges)
        for counts, edges in (
            (np.diff(rated.indptr)[user], intervals.user_edges),
            (np.bincount(rated.item_index, minlength=N_ITEMS)[item], intervals.item_edges),
        )
    ]
    sd = np.hypot(calibration.noise.user_sd[user], calibration.noise.item_sd[item])
    for column, sign, (users, items) in (("lower_90", -1, intervals.lower), ("upper_90", 1, intervals.upper)):
        expected = np.clip(table["prediction"] + sign * sd * users[bands[0]] * items[bands[1]], 1, 5)
        np.testing.assert_allclose(table[column], expected, rtol=1e-5)
    assert ((table["lower_90"] <= table["prediction"]) & (table["prediction"] <= table["upper_90"])).all()
    assert 0 < (table["upper_90"] < 5).sum() < len(table)


def test_without_a_calibration_the_interval_is_the_range(tmp_path):
    inputs = write_inputs(tmp_path / "in", make_model(9, 4))
    table = pq.read_table(top_shard(inputs, slice(0, 9), tmp_path / "top.parquet", metadata={}).path)
    assert set(table["lower_90"].to_pylist()) == {1.0}
    assert set(table["upper_90"].to_pylist()) == {5.0}


def test_a_calibration_of_another_model_is_refused(tmp_path):
    inputs = write_inputs(tmp_path / "in", make_model(9, 4), calibration=make_calibration(8, 4))
    with pytest.raises(BadTable, match=r"calibration.npz: found 8 users and 4 items, expected 9 and 4"):
        top_shard(inputs, slice(0, 9), tmp_path / "top.parquet", metadata={})


def test_a_user_who_rated_everything_has_no_rows(tmp_path):
    rated = make_rated(9, 4, share=2.0)
    inputs = write_inputs(tmp_path / "in", make_model(9, 4), rated=rated)
    report = top_shard(inputs, slice(0, 9), tmp_path / "top.parquet", k=3, metadata={})
    assert report.rows == pq.read_table(report.path).num_rows == 0


@pytest.mark.parametrize("full", [range(64), range(16), range(16, 64), range(20, 25)], ids=str)
def test_lists_are_found_beside_those_of_users_who_rated_everything(tmp_path, full):
    """Four files of sixteen users: one without rows has no statistics."""
    seen = make_rated(64, 9).mask(slice(0, 64))
    seen[list(full)] = True
    rated = RatedPairs.of_pairs(*np.nonzero(seen), n_users=64, n_items=9)
    inputs = write_inputs(tmp_path / "in", make_model(64, 9), rated=rated)
    publish(open_table(tmp_path / "t"), "v1", inputs, top=0)
    folder = (tmp_path / "t" / "current" / "champion").resolve()
    top = [tmp_path / f"top-{first}.parquet" for first in range(0, 64, 16)]
    for number, path in enumerate(top):
        top_shard(inputs, slice(16 * number, 16 * number + 16), path, k=3, metadata={})
    found = {"place": "here", "titles": None, "k": 3, "unseen_only": True, "top": top}
    for user, raw_id in enumerate(make_ids(64).ids.to_pylist()):
        best = best_of_parts(sorted(folder.glob("*.parquet")), raw_id, **found)
        assert best.num_rows == min(3, int((~seen[user]).sum()))
    with pytest.raises(BadInput, match="found 999999,"):
        best_of_parts(sorted(folder.glob("*.parquet")), 999999, **found)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    inputs = write_inputs(folder / "in", make_model(N_USERS, N_ITEMS))
    titles = pa.table({"item_id": make_ids(N_ITEMS).ids[:-1], "title": [f"Film {n}" for n in range(N_ITEMS - 1)]})
    options = ScoreOptions(rows_per_shard=250, rows_per_group=70)
    publish(open_table(folder / "table"), "v1", inputs, names=("bias", "plain"), options=options, titles=titles)
    return folder / "table"


@pytest.mark.parametrize("rank_by", ["interest", "product"])
def test_shard_ranked_by_interest(tmp_path, rank_by):
    model, rated = make_model(N_USERS, N_ITEMS), make_rated(N_USERS, N_ITEMS)
    inputs, interest = write_inputs(tmp_path / "in", model, rated=rated), write_interest(tmp_path / "interest.npz")
    report = top_shard(
        inputs, slice(0, N_USERS), tmp_path / "top.parquet", k=6, metadata={}, interest=interest, rank_by=rank_by
    )
    table = pq.read_table(report.path)
    with one_blas_thread():
        factors = load_interest(interest).factors
        expected = Ranker.of(model, factors, rank_by).best(slice(0, N_USERS), rated, 6)
    assert table["item_id"].combine_chunks() == make_ids(N_ITEMS).decode(expected.item_index)
    assert np.array_equal(table["score"].to_numpy(), expected.score)
    all_pairs = score_block(model, slice(0, N_USERS))
    assert np.array_equal(table["prediction"].to_numpy(), all_pairs[expected.user_index, expected.item_index])


def test_interest_is_needed_to_rank_by_it(tmp_path):
    inputs = write_inputs(tmp_path / "in", make_model(9, 4))
    with pytest.raises(BadTable, match=r"found 'interest' and no interest model"):
        top_shard(inputs, slice(0, 9), tmp_path / "top.parquet", metadata={}, rank_by="interest")
    with pytest.raises(BadTable, match=r"interest\.npz: found no readable file"):
        top_shard(
            inputs, slice(0, 9), tmp_path / "top.parquet", metadata={}, rank_by="interest",
            interest=tmp_path / "interest.npz",
        )  # fmt: skip


def write_interest(path):
    data = tastes(N_USERS, N_ITEMS)
    Trainer(data, InterestOptions(), 0).train(Choice(Confidence(1, 5, 4), 100.0)).save(path)
    return path


@pytest.mark.parametrize("user", [0, 8, 49])
@pytest.mark.parametrize("k", [3, 6, 20, 40])
def test_best_items_are_in_the_published_order(tmp_path, user, k):
    inputs, interest = write_inputs(tmp_path / "in", make_model(N_USERS, N_ITEMS)), write_interest(tmp_path / "i.npz")
    publish(open_table(tmp_path / "table"), "v1", inputs, top=6, interest=interest, rank_by="product")
    raw_id = 10 + 3 * user
    top = pq.read_table(next((tmp_path / "table/current/top").rglob("*.parquet")))
    published = top.filter(pc.equal(top["user_id"], raw_id))
    found = best_items(tmp_path / "table", raw_id, k=k)
    assert found["item_id"].to_pylist()[:6] == published["item_id"].to_pylist()[:k]
    assert found["prediction"].to_pylist()[:6] == published["prediction"].to_pylist()[:k]
    assert found["rank"].to_pylist() == list(range(1, found.num_rows + 1))
    assert found["rated"].to_pylist() == [False] * found.num_rows
    assert found.column_names == ["rank", "item_id", "prediction", "lower_90", "upper_90", "rated"]
    for name in ("lower_90", "upper_90"):
        assert found[name].to_pylist() == [*published[name].to_pylist()[:k], *[None] * (found.num_rows - 6)]
    rest = found["prediction"].to_pylist()[6:]
    assert rest == sorted(rest, reverse=True)
    unseen = N_ITEMS - int(np.diff(make_rated(N_USERS, N_ITEMS).indptr)[user])
    assert len(set(found["item_id"].to_pylist())) == min(k, unseen)
    everything = best_items(tmp_path / "table", raw_id, k=k, unseen_only=False)["prediction"].to_pylist()
    assert everything == sorted(everything, reverse=True)


@pytest.mark.parametrize("user", [0, 7, 8, 31, 48, 49])
@pytest.mark.parametrize("unseen_only", [True, False])
def test_best_items_of_any_user(published, user, unseen_only):
    seen = make_rated(N_USERS, N_ITEMS).mask(slice(0, N_USERS)) if unseen_only else np.zeros((N_USERS, N_ITEMS), bool)
    predictions = score_block(make_model(N_USERS, N_ITEMS), slice(0, N_USERS))
    expected = [row for row in best_unseen(predictions, seen, 5) if row[0] == user]
    best = best_items(published, 10 + 3 * user, k=5, unseen_only=unseen_only)
    assert best.column_names == ["rank", "item_id", "title", "prediction", "rated"]
    assert best["rank"].to_pylist() == [1, 2, 3, 4, 5]
    assert best["item_id"].to_pylist() == [10 + 3 * item for _, _, item, _ in expected]
    assert best["prediction"].to_pylist() == [value for *_, value in expected]
    titles = [f"Film {item}" if item < N_ITEMS - 1 else None for _, _, item, _ in expected]
    assert best["title"].to_pylist() == titles


def test_text_from_a_command_line_is_read_as_a_number(published):
    assert best_items(published, "31") == best_items(published, 31)


def test_the_other_model_on_request(published):
    assert best_items(published, 31, model="bias").num_rows == 10
    with pytest.raises(BadTable, match=r"found no model 'other', expected one of bias, plain"):
        best_items(published, 31, model="other")


@pytest.mark.parametrize("user", [9, 11, 30, 160, -5, 10**12])
def test_unknown_user_names_some_that_are_known(published, user):
    with pytest.raises(
        BadInput, match=rf"found {user}, expected one of the users .*some of them: \d+, \d+.*score again"
    ):
        best_items(published, user)


def test_a_word_where_ids_are_numbers(published):
    with pytest.raises(BadInput, match=r"found 'anna', expected an integer"):
        best_items(published, "anna")


def test_text_ids(tmp_path):
    inputs = write_inputs(
        tmp_path / "in", make_model(40, 9), users=make_ids(40, text=True), items=make_ids(9, text=True)
    )
    publish(open_table(tmp_path / "t"), "v1", inputs, options=ScoreOptions(rows_per_shard=90, rows_per_group=20))
    best = best_items(tmp_path / "t", "id-0000025", k=2)
    assert best.column_names == ["rank", "item_id", "prediction", "rated"], "no titles were handed in"
    assert best["item_id"].type == pa.string()
    with pytest.raises(BadInput, match="found 'id-99'"):
        best_items(tmp_path / "t", "id-99")


def test_nothing_published_yet(tmp_path):
    with pytest.raises(BadTable, match=r"found no published table, .*recobatch run"):
        best_items(tmp_path, 1)


def test_a_copy_without_links_is_read_by_its_pointer(published, tmp_path):
    """An object store keeps no symlinks."""
    copy = tmp_path / "copy"
    shutil.copytree(published, copy, symlinks=True)
    (copy / "current").unlink()
    pointer = json.loads((copy / "current.json").read_text())
    assert best_items(copy, 31, model="plain") == best_items(published, 31)
    (copy / pointer["table"] / "..").resolve(strict=True)
    (copy / "versions" / "v1" / "champion").unlink()
    assert best_items(copy, 31) == best_items(published, 31)
    (copy / "current.json").write_text("{")
    with pytest.raises(BadTable, match="found no readable pointer"):
        best_items(copy, 31)


def test_a_cut_off_file_is_told(published, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(published, copy, symlinks=True)
    for part in (copy / "current" / "champion").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(BadTable, match=r"found a file that cannot be read .*recobatch verify"):
        best_items(copy, 31)


@pytest.mark.process
def test_look_up_imports_neither_pandas_nor_pydantic(published):
    code = (
        "import sys, pathlib; from recobatch.scoring.top import best_items; "
        f"best_items(pathlib.Path({str(published)!r}), '31').to_pylist(); "
        "print([m for m in ('pandas', 'pydantic', 'tensorflow', 'mlflow', 'prefect') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
