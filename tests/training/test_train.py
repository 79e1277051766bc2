import hashlib
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest

from recobatch.encode import encode
from recobatch.errors import BadSettings
from recobatch.evaluation.baselines import baseline_errors
from recobatch.evaluation.evaluate import evaluate
from recobatch.ingest import IngestOptions, ingest
from recobatch.interactions import EncodedInteractions
from recobatch.models import KERAS_MODELS, ModelOptions, build_model, to_factors
from recobatch.reading import ReadOptions
from recobatch.sources.synthetic import write_synthetic
from recobatch.split import SplitOptions, split
from recobatch.training import PRESETS, Recipe, train
from recobatch.training.epoch import penalty_stride, steps_at_once
from tests.support.golden import notebook_split
from tests.support.scales import trained_error, training_inputs

pytestmark = pytest.mark.slow


def fresh(name, data, seed=0, *, low=1, high=5, **options):
    return build_model(
        name, n_users=data.n_users, n_items=data.n_items, min_rating=low, max_rating=high,
        options=ModelOptions(**options), seed=seed,
    )  # fmt: skip


def halves(data):
    odd = np.arange(len(data)) % 2 == 1
    return data.take(~odd), data.take(odd)


@pytest.mark.long
@pytest.mark.parametrize("name", KERAS_MODELS)
def test_same_losses_as_fit(name, low_rank):
    data, validation = halves(low_rank)
    ours, theirs = fresh(name, data, l2=1e-3), fresh(name, data, l2=1e-3)
    history = train(ours, data, validation=validation, recipe=Recipe(epochs=4, shuffle=False), seed=0)
    fit = theirs.fit(
        [data.user_index[:, None], data.item_index[:, None]], data.rating, shuffle=False, batch_size=32, epochs=4,
        verbose=0,
        validation_data=([validation.user_index[:, None], validation.item_index[:, None]], validation.rating),
    )  # fmt: skip
    np.testing.assert_allclose(history.loss, fit.history["loss"], atol=1e-3)
    np.testing.assert_allclose(history.val_loss, fit.history["val_loss"], atol=1e-3)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "epochs", "golden"),
    [
        ("explicit_mf", slice(3, 8), [0.9367, 0.9190, 0.9061, 0.8971, 0.8937]),
        ("explicit_mf_bias", slice(0, 5), [0.9472, 0.8547, 0.8305, 0.8318, 0.8487]),
    ],
)
def test_the_notebook_s_curves(name, epochs, golden, ml100k_dir):
    split = notebook_split(ml100k_dir)
    recipe = PRESETS["notebook"].recipe.model_copy(update={"epochs": epochs.stop})
    curves = [
        train(fresh(name, split.train, seed), split.train, validation=split.test, recipe=recipe, seed=seed).val_loss
        for seed in range(5)
    ]
    np.testing.assert_allclose(np.mean(curves, axis=0)[epochs], golden, atol=0.02)


@pytest.mark.long
@pytest.mark.parametrize(("name", "bound"), [("explicit_mf", 0.835), ("explicit_mf_bias", 0.824)])
def test_the_tuned_preset_beats_the_notebook_without_seeing_the_test_rows(name, bound, ml100k_dir):
    split = notebook_split(ml100k_dir)
    errors = []
    for seed in range(5):
        error, history = tuned_error(name, split, seed)
        assert history.refitted
        errors.append(error)
    assert np.mean(errors) < bound
    assert max(errors) < bound + 0.003


def tuned_error(name, split, seed):
    """Test MSE of the preset's model, and its history."""
    tuned = PRESETS["tuned"]
    return trained_error(name, training_inputs(split, options=tuned.options, recipe=tuned.recipe, seed=seed))


@pytest.mark.long
def test_the_tuned_preset_beats_the_bias_baseline_on_few_ratings_whatever_the_seed(tmp_path):
    """The ratings of docs/schedule.md, of which a tenth of the training part is held out: 1,600."""
    write_synthetic(tmp_path / "ratings.csv", n_users=500, n_items=100, n_ratings=20_000, seed=0)
    report = ingest(str(tmp_path / "ratings.csv"), ReadOptions(), IngestOptions(), tmp_path)
    encoded = encode(report.ratings_path, tmp_path)
    parts = split(EncodedInteractions.load(encoded.interactions_path), SplitOptions())
    baseline = baseline_errors(train=parts.train, test=parts.test)["bias"]
    for seed in range(5):
        error, history = tuned_error("explicit_mf_bias", parts, seed)
        assert history.best_epoch >= 20, f"seed {seed}"
        assert error < baseline - 0.005, f"seed {seed}"


def fingerprint(name, data, seed=0):
    model = fresh(name, data, seed)
    train(model, data, validation=None, recipe=Recipe(epochs=2, validation_fraction=0.1), seed=seed)
    return to_factors(model).fingerprint


def test_the_same_seed_gives_the_same_bytes(low_rank):
    np.random.seed(5)  # noqa: NPY002 - the global state must neither matter nor move
    before = hashlib.sha256(np.random.get_state()[1].tobytes()).hexdigest()  # noqa: NPY002
    first = fingerprint("explicit_mf_bias", low_rank)
    assert hashlib.sha256(np.random.get_state()[1].tobytes()).hexdigest() == before  # noqa: NPY002
    assert first == fingerprint("explicit_mf_bias", low_rank) != fingerprint("explicit_mf_bias", low_rank, seed=1)


@pytest.mark.long
@pytest.mark.process
def test_the_same_seed_gives_the_same_bytes_in_another_process(low_rank, tmp_path):
    low_rank.save(tmp_path / "data.parquet")
    code = (
        "import sys, pathlib; from tests.training.test_train import fingerprint;"
        "from recobatch.interactions import EncodedInteractions;"
        "print(fingerprint('explicit_mf', EncodedInteractions.load(pathlib.Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data.parquet")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == fingerprint("explicit_mf", low_rank)


def test_training_leaves_the_data_alone(low_rank):
    before = low_rank.take(np.arange(len(low_rank)))
    fingerprint("explicit_mf", low_rank)
    assert low_rank.take(np.arange(len(low_rank))).fingerprint == before.fingerprint


def test_on_epoch_hears_what_history_keeps(low_rank):
    data, validation = halves(low_rank)
    heard = []
    history = train(
        fresh("explicit_mf", data), data, validation=validation, recipe=Recipe(epochs=3), seed=0,
        on_epoch=lambda *news: heard.append(news),
    )  # fmt: skip
    assert heard == list(zip([1, 2, 3], history.loss, history.val_loss, strict=True))
    assert (history.best_epoch, history.stopped_early) == (3, False)


def test_patience_keeps_the_best_weights(low_rank):
    data, validation = halves(low_rank)
    recipe = Recipe(epochs=200, optimizer="sgd", learning_rate=0.08, patience=2)
    model = fresh("explicit_mf_bias", data, n_factors=20, initial_scale=0.1, l2=0)
    history = train(model, data, validation=validation, recipe=recipe, seed=0)
    assert history.stopped_early
    assert history.best_epoch == np.argmin(history.val_loss) + 1 <= len(history.val_loss) - 2
    kept = evaluate(to_factors(model), train=data, test=validation).mse
    assert kept == pytest.approx(min(history.val_loss), rel=1e-4)


def test_keras_callbacks_work(low_rank):
    data, validation = halves(low_rank)
    stop = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    record = keras.callbacks.History()
    model = fresh("explicit_mf_bias", data, n_factors=20, initial_scale=0.1, l2=0)
    recipe = Recipe(epochs=200, optimizer="sgd", learning_rate=0.08)
    history = train(model, data, validation=validation, recipe=recipe, seed=0, callbacks=[stop, record])
    assert history.stopped_early
    assert record.history["val_loss"] == history.val_loss
    assert history.best_epoch == stop.best_epoch + 1 == np.argmin(history.val_loss) + 1 < len(history.val_loss)
    kept = evaluate(to_factors(model), train=data, test=validation).mse
    assert kept == pytest.approx(min(history.val_loss), rel=1e-4)


class KeepsTheFirst(keras.callbacks.Callback):
    """Restores the weights of the first epoch at the end."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


@pytest.mark.parametrize("patience", [None, 3])
def test_best_epoch_is_the_one_whose_weights_a_callback_restored(low_rank, patience):
    data, validation = halves(low_rank)
    model, once = (fresh("explicit_mf", data, initial_scale=0.1) for _ in range(2))
    recipe = Recipe(epochs=3, optimizer="sgd", learning_rate=0.05, patience=patience)
    errors = []
    history = train(
        model, data, validation=validation, recipe=recipe, seed=0, callbacks=[KeepsTheFirst()],
        on_validation=errors.append,
    )  # fmt: skip
    train(once, data, validation=None, recipe=Recipe(epochs=1, optimizer="sgd", learning_rate=0.05), seed=0)
    assert history.best_epoch == 1
    assert to_factors(model).fingerprint == to_factors(once).fingerprint
    assert errors[0].mean() == pytest.approx(history.val_loss[0], rel=1e-4)


def test_a_refit_repeats_the_epochs_that_a_callback_chose(low_rank):
    recipe = Recipe(epochs=3, optimizer="sgd", learning_rate=0.05, validation_fraction=0.2, refit=True)
    chosen, once = (fresh("explicit_mf", low_rank, initial_scale=0.1) for _ in range(2))
    history = train(chosen, low_rank, validation=None, recipe=recipe, seed=0, callbacks=[KeepsTheFirst()])
    assert (history.best_epoch, history.refitted) == (1, True)
    train(once, low_rank, validation=None, recipe=recipe.model_copy(update={"refit": False, "epochs": 1}), seed=0)
    assert to_factors(chosen).fingerprint != to_factors(once).fingerprint, "not the weights before the refit"


def test_weights_of_no_epoch_count_as_the_last(low_rank):
    data, validation = halves(low_rank)
    model = fresh("explicit_mf", data, initial_scale=0.1)
    shift = keras.callbacks.LambdaCallback(
        on_train_end=lambda logs: model.set_weights([weights + 1 for weights in model.get_weights()])
    )
    history = train(model, data, validation=validation, recipe=Recipe(epochs=2), seed=0, callbacks=[shift])
    assert history.best_epoch == 2


def test_the_errors_of_the_validation_ratings_are_those_of_the_kept_epoch(low_rank):
    recipe = Recipe(epochs=2, optimizer="sgd", learning_rate=0.05, validation_fraction=0.2, refit=True)
    errors = {}
    for name in KERAS_MODELS:
        model = fresh(name, low_rank, initial_scale=0.1, l2=0)
        history = train(
            model, low_rank, validation=None, recipe=recipe, seed=0, on_validation=partial(errors.__setitem__, name)
        )
        assert errors[name].mean() == pytest.approx(history.val_loss[-1])
        assert history.val_se == pytest.approx(errors[name].std(ddof=1) / len(errors[name]) ** 0.5)
    assert len({len(found) for found in errors.values()}) == 1
    without = train(fresh("explicit_mf", low_rank), low_rank, validation=None, recipe=Recipe(epochs=1), seed=0)
    assert without.val_se is None


def test_ctrl_c_leaves_the_best_weights(low_rank):
    data, validation = halves(low_rank)
    recipe = Recipe(epochs=3, optimizer="sgd", learning_rate=0.05)
    model = fresh("explicit_mf", data, initial_scale=0.1)

    def interrupt(epoch, loss, val_loss):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, data, validation=validation, recipe=recipe, seed=0, on_epoch=interrupt)
    undisturbed = fresh("explicit_mf", data, initial_scale=0.1)
    train(undisturbed, data, validation=validation, recipe=recipe.model_copy(update={"epochs": 2}), seed=0)
    assert to_factors(model).fingerprint == to_factors(undisturbed).fingerprint


def test_refit_trains_on_the_held_out_rows_too(low_rank):
    recipe = Recipe(epochs=3, optimizer="sgd", learning_rate=0.05, validation_fraction=0.2, patience=3)
    held, refitted = (fresh("explicit_mf", low_rank, initial_scale=0.1) for _ in range(2))
    short = train(held, low_rank, validation=None, recipe=recipe, seed=0)
    full = train(refitted, low_rank, validation=None, recipe=recipe.model_copy(update={"refit": True}), seed=0)
    assert (short.refitted, full.refitted, short.val_loss) == (False, True, full.val_loss)
    assert to_factors(held).fingerprint != to_factors(refitted).fingerprint


def test_patience_without_validation_is_refused(low_rank):
    with pytest.raises(BadSettings, match="recipe: found patience=1 without validation ratings"):
        train(fresh("explicit_mf", low_rank), low_rank, validation=None, recipe=Recipe(patience=1), seed=0)


def test_an_epoch_in_pieces_is_the_whole_epoch(low_rank, monkeypatch):
    """A signal is obeyed between two pieces, so none of them may take long."""
    pieces, histories, models = [], [], [fresh("explicit_mf", low_rank) for _ in range(2)]
    for model, most in zip(models, (1 << 40, 20_000), strict=True):
        monkeypatch.setattr("recobatch.training.epoch._MOST_VALUES", most)
        histories.append(train(model, low_rank, validation=None, recipe=Recipe(epochs=2), seed=0))
        pieces.append(steps_at_once(100 * 40, penalty_stride(len(low_rank), 32)))
    assert pieces[1] < len(low_rank) // 32 < pieces[0]
    assert histories[1].loss == pytest.approx(histories[0].loss, rel=1e-5)
    for whole, cut in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(cut, whole, atol=1e-6)


@pytest.mark.parametrize("recipe", [Recipe(epochs=2), Recipe(epochs=2, optimizer="adam", validation_fraction=0.1)])
def test_ratings_in_parts_train_the_same_model(low_rank, monkeypatch, recipe):
    """Of very many ratings only a part is copied at once."""
    histories, models = [], [fresh("explicit_mf_bias", low_rank) for _ in range(2)]
    for model, most in zip(models, (1 << 22, 100), strict=True):
        monkeypatch.setattr("recobatch.training.epoch_data._MOST_AT_ONCE", most)
        histories.append(train(model, low_rank, validation=None, recipe=recipe, seed=0))
    assert histories[1].loss == pytest.approx(histories[0].loss, rel=1e-5)
    for whole, cut in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(cut, whole, atol=1e-6)
