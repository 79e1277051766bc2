"""What a process keeps of a model's files, and what it reads again."""

import numpy as np
import pytest

from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.interest_model import Confidence, InterestKind, InterestModel, InterestPart
from recobatch.model_folder import INTEREST_FILE, ModelFolder, load_interest, trust
from tests.support.small_table import make_model, write_inputs


@pytest.fixture
def folder(tmp_path):
    return write_inputs(tmp_path / "model", make_model(9, 7))


@pytest.fixture
def interest():
    rows = [np.ones((n, 2), np.float32) for n in (9, 7, 7)]
    return InterestModel((InterestPart(InterestKind.EASE, *rows, np.ones(2, np.float32), 5.0),), Confidence(1, 5, 4))


def _refuse(*_given, **_options):
    raise AssertionError("read again")


def test_what_was_saved_is_not_read_again_wherever_it_is_moved(folder, interest, tmp_path, monkeypatch):
    saved = folder.load()
    interest.save(folder.path / INTEREST_FILE)
    folder.keep(saved, interest)
    moved = ModelFolder(folder.path.rename(tmp_path / "moved"))
    with monkeypatch.context() as patched:
        patched.setattr("recobatch.factors.np.load", _refuse)
        assert moved.load().model is saved.model
        assert load_interest(moved.path / INTEREST_FILE) is interest
    moved.factors.write_bytes(b"damaged")
    with pytest.raises(BadTable, match="found no factors"):
        moved.load()


def test_a_trusted_file_is_compared_with_its_fingerprint_once_it_changes(folder, monkeypatch):
    fingerprint = FactorModel.load(folder.factors).fingerprint
    trust(folder.factors)
    with monkeypatch.context() as patched:
        patched.setattr(FactorModel, "_arrays", _refuse)
        assert folder.load().model.fingerprint == fingerprint
    arrays = dict(np.load(folder.factors))
    np.savez(folder.factors, **{**arrays, "user_bias": np.append(arrays["user_bias"], 0)[:9] + 1})
    with pytest.raises(BadTable, match="differs from its fingerprint"):
        folder.load()
