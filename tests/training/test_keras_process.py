"""Keras models trained in a process of its own: as here, and nothing is left of it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from recobatch.errors import RecobatchError, TrainingDiverged
from recobatch.model_folder import DESCRIPTIONS, ModelFolder
from recobatch.models.options import ModelOptions
from recobatch.split import SplitOptions, split
from recobatch.training import fit
from recobatch.training.fit import TrainingInputs, fitter, keras_trained_by, train_keras_here, wait_for_tensorflow
from recobatch.training.keras_process import KerasProcess
from recobatch.training.recipe import Recipe
from tests.support.encoded import save_encoded
from tests.support.faults.whole_run import is_alive, wait_for_end

pytestmark = [pytest.mark.long, pytest.mark.process]

MODEL = "explicit_mf_bias"


@pytest.fixture(scope="module")
def inputs(low_rank, tmp_path_factory):
    encoded = save_encoded(tmp_path_factory.mktemp("encoded"), low_rank)
    parts = split(low_rank, SplitOptions(ratios=(0.8, 0.2)))
    return TrainingInputs(encoded, parts, (1, 5), ModelOptions(n_factors=2), Recipe(epochs=2), seed=3)


@pytest.fixture(scope="module")
def process():
    process = KerasProcess()
    yield process
    process.end()


def fitted(inputs, folder):
    epochs = []
    folder.mkdir()
    model = fitter(MODEL)(MODEL, inputs, ModelFolder(folder), lambda *epoch: epochs.append(epoch))
    return model, epochs


def test_a_model_is_the_one_that_is_trained_here(process, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_keras_trainer", process)
    wait_for_tensorflow()
    assert fitter("bayesian_mf") != process.fit
    there, epochs_there = fitted(inputs, tmp_path / "there")
    monkeypatch.setattr(fit, "_keras_trainer", None)
    here, epochs_here = fitted(inputs, tmp_path / "here")
    assert there.factors.fingerprint == here.factors.fingerprint
    assert epochs_there == epochs_here
    assert there.history.loss == here.history.loss
    assert {path.name for path in (tmp_path / "there").iterdir()} == set(DESCRIPTIONS) | {"model.keras"}


def test_a_training_that_diverges_leaves_the_next_one_alone(process, inputs):
    wild = replace(inputs, recipe=Recipe(epochs=2, learning_rate=1e30))
    with pytest.raises(TrainingDiverged, match="found a loss of"):
        process.fit("explicit_mf", wild, None, None)
    assert len(process.fit(MODEL, inputs, None, None).history.loss) == 2


def test_an_error_that_nobody_expects_brings_its_traceback(process, inputs):
    with pytest.raises(AttributeError) as raised:
        process.fit(MODEL, replace(inputs, recipe=None), None, None)
    assert "keras_fit.py" in raised.value.__notes__[0]


def test_what_a_callback_raises_ends_the_training(process, inputs):
    """Comes last: it ends the process too."""

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.fit(MODEL, inputs, None, stop)
    with pytest.raises(RecobatchError, match="ended by signal 15"):
        process.fit(MODEL, inputs, None, None)


def test_one_that_is_killed_is_told_in_one_line(inputs):
    process = KerasProcess()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RecobatchError, match=r"^training: found that .* ended by signal 9, expected .*$"):
        process.fit(MODEL, inputs, None, None)
    process.end()


def test_training_here_ends_the_process():
    process = KerasProcess()
    with keras_trained_by(process):
        train_keras_here()
        assert fitter(MODEL) != process.fit
    assert not is_alive(process.pid)


def test_it_ends_with_the_process_that_started_it():
    started = subprocess.Popen(
        [sys.executable, "-c", "from recobatch.training.keras_process import KerasProcess as K; p = K(); "
         "p.wait_until_ready(); print(p.pid, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    child = int(started.stdout.readline())
    started.kill()
    started.communicate()
    assert wait_for_end([child]) == []
