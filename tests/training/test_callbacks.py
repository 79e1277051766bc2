"""Keras callbacks around compiled epochs do what they do around ``model.fit``, or are refused."""

import csv

import keras
import numpy as np
import pytest

from recobatch.errors import BadSettings
from recobatch.models import ModelOptions, build_model, to_factors
from recobatch.training import Recipe, train

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=4, shuffle=False)


def fresh(data):
    return build_model(
        "explicit_mf_bias", n_users=data.n_users, n_items=data.n_items, min_rating=1, max_rating=5,
        options=ModelOptions(n_factors=3, l2=1e-3), seed=0,
    )  # fmt: skip


def halves(data):
    odd = np.arange(len(data)) % 2 == 1
    return data.take(~odd), data.take(odd)


def run(data, *callbacks, recipe=RECIPE):
    train_part, validation = halves(data)
    model = fresh(data)
    history = train(model, train_part, validation=validation, recipe=recipe, seed=0, callbacks=callbacks)
    return model, history


def fit(data, *callbacks):
    train_part, validation = halves(data)
    model = fresh(data)
    told = model.fit(
        [train_part.user_index[:, None], train_part.item_index[:, None]], train_part.rating, shuffle=False,
        batch_size=32, epochs=4, verbose=0, callbacks=list(callbacks),
        validation_data=([validation.user_index[:, None], validation.item_index[:, None]], validation.rating),
    )  # fmt: skip
    return model, told.history


def halved_every_epoch():
    return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else 0.01)


def halved_on_any_plateau():
    """A threshold that no epoch reaches: every one after the first is a plateau."""
    return keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=100, min_lr=0)


@pytest.mark.long
@pytest.mark.parametrize("make", [halved_every_epoch, halved_on_any_plateau])
def test_a_learning_rate_is_set_as_in_fit(make, low_rank):
    model, history = run(low_rank, make(), record := keras.callbacks.History())
    theirs, told = fit(low_rank, make())
    np.testing.assert_allclose(history.loss, told["loss"], atol=1e-3)
    for ours, other in zip(model.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-4)
    assert record.history["learning_rate"] == pytest.approx(told["learning_rate"])
    assert len(set(record.history["learning_rate"])) > 2
    assert history.loss != run(low_rank)[1].loss


def test_callbacks_that_only_look_on_change_no_bit(low_rank):
    recipe = RECIPE.model_copy(update={"decay": 0.9})
    undisturbed = to_factors(run(low_rank, recipe=recipe)[0]).fingerprint
    assert to_factors(run(low_rank, keras.callbacks.History(), recipe=recipe)[0]).fingerprint == undisturbed


def test_a_refit_repeats_the_rates_that_callbacks_set(low_rank):
    recipe = Recipe(
        epochs=3, optimizer="sgd", learning_rate=0.05, shuffle=False, validation_fraction=0.2, patience=3, refit=True
    )

    def refitted(*callbacks):
        model = fresh(low_rank)
        train(model, low_rank, validation=None, recipe=recipe, seed=0, callbacks=callbacks)
        return to_factors(model).fingerprint

    assert refitted(keras.callbacks.LearningRateScheduler(lambda epoch: 0.02)) != refitted()
    assert refitted(keras.callbacks.LearningRateScheduler(lambda epoch: 0.05)) == refitted()


def test_what_is_written_at_the_end_of_epochs_is_written(low_rank, tmp_path, capsys):
    seen = []
    keep_best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
    _, history = run(
        low_rank, keep_best, keras.callbacks.CSVLogger(tmp_path / "log.csv"), keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ProgbarLogger(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["val_loss"])),
    )  # fmt: skip
    assert seen == history.val_loss
    with (tmp_path / "log.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == history.loss
    assert np.argmin(history.val_loss) == 0, "else the model below is not the best one"
    best = run(low_rank, recipe=RECIPE.model_copy(update={"epochs": 1}))[0]
    assert (
        to_factors(keras.saving.load_model(tmp_path / "best.keras", compile=False)).fingerprint
        == to_factors(best).fingerprint
    )
    shown = capsys.readouterr().out
    assert "Epoch 4/4" in shown
    assert f"val_loss: {history.val_loss[-1]:.4f}" in shown


class PerBatch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise AssertionError("never called")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: PerBatch(), "found PerBatch with on_train_batch_end, expected callbacks of epochs"),
        (
            lambda folder: keras.callbacks.LambdaCallback(on_train_batch_end=print),
            "found LambdaCallback with on_train_b",
        ),
        (
            lambda folder: keras.callbacks.ModelCheckpoint(folder / "m.keras", save_freq=10),
            "found ModelCheckpoint with",
        ),
        (lambda folder: keras.callbacks.TensorBoard(folder, update_freq="batch"), "found TensorBoard with"),
        (
            lambda folder: keras.callbacks.BackupAndRestore(folder),
            "found BackupAndRestore, .*finished trainings are cached",
        ),
        (lambda folder: keras.callbacks.SwapEMAWeights(), r"found SwapEMAWeights, .*Recipe\(patience=…\)"),
    ],
)
def test_what_could_never_do_its_work_is_refused(make, words, low_rank, tmp_path):
    with pytest.raises(BadSettings, match=words + r".* or train with model\.fit"):
        run(low_rank, make(tmp_path))


def test_a_schedule_of_the_model_s_own_is_for_fit(low_rank):
    """The recipe rules; Keras itself refuses a callback that would set the rate of such an optimizer."""
    train_part, validation = halves(low_rank)
    losses = []
    for callbacks in ([], [keras.callbacks.History()]):
        model = fresh(low_rank)
        schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
        model.compile(loss="mse", optimizer=keras.optimizers.Adam(schedule))
        losses.append(train(model, train_part, validation=validation, recipe=RECIPE, seed=0, callbacks=callbacks).loss)
    assert losses[0] == losses[1] == run(low_rank)[1].loss
