"""What a training on its own does where the registry's champion cannot be measured on the same ratings."""

from types import SimpleNamespace

import pytest

from flows.tasks import promotion
from recobatch.errors import BadTable, GateRefused, RecobatchError


def reigning(tags=(), *, download=None):
    def download_measured(_folder):
        if download is not None:
            raise download
        return SimpleNamespace(load=lambda: None)

    return SimpleNamespace(version=7, tags=dict(tags), download_measured=download_measured)


def decide(champion, folder):
    """Of a batch whose test MSE is 0.8."""
    report = SimpleNamespace(test=SimpleNamespace(mse=0.8))
    batch = SimpleNamespace(
        best=SimpleNamespace(files=SimpleNamespace(load=lambda: None), report=report),
        parts=SimpleNamespace(load=lambda: SimpleNamespace(test=None)),
    )
    return promotion._decide(SimpleNamespace(tracker=SimpleNamespace(champion=champion)), batch, folder)


def raises(error):
    raise error


def test_a_server_that_does_not_answer_keeps_its_champion(tmp_path):
    decision = decide(lambda: raises(RecobatchError("no answer")), tmp_path)
    assert not decision.promoted
    assert decision.reason == "not promoted: the champion could not be read (no answer)"


def test_artifacts_that_cannot_be_fetched_keep_the_champion(tmp_path):
    decision = decide(lambda: reigning(download=OSError("no route to the bucket")), tmp_path)
    assert (decision.promoted, decision.champion_version) == (False, 7)
    assert decision.reason == "not promoted: the champion could not be read (OSError: no route to the bucket)"


def test_a_damaged_champion_is_replaced(tmp_path):
    decision = decide(lambda: reigning(download=BadTable("factors.npz: found other bytes")), tmp_path)
    assert decision.promoted
    assert decision.reason == "promoted: the champion so far cannot be used (factors.npz: found other bytes)"


@pytest.mark.parametrize(
    ("recorded", "promoted"), [("0.81", True), ("0.8", False), ("0.79", False), (None, True)], ids=str
)
def test_without_ratings_new_to_both_the_recorded_errors_decide(tmp_path, monkeypatch, recorded, promoted):
    monkeypatch.setattr(promotion, "is_of_same_ratings", lambda *_: True)
    monkeypatch.setattr(promotion, "compare_with_reigning", lambda *_: None)
    tags = {} if recorded is None else {"test_mse": recorded}
    decision = decide(lambda: reigning(tags), tmp_path)
    assert decision.promoted is promoted
    assert decision.champion_mse == (None if recorded is None else float(recorded))
    assert decision.reason.startswith("promoted: test MSE 0.8000" if promoted else "not promoted: test MSE 0.8000")


@pytest.mark.parametrize(("versions", "said"), [({"champion": 4}, "no better; version 4 of"), ({}, "no better$")])
def test_a_refusal_names_the_registered_version(versions, said):
    with pytest.raises(GateRefused, match=said), promotion.registered_without_alias(versions):
        raise GateRefused("no better")
