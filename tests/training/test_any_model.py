"""Models that the engine has never seen: they train as ``model.fit`` trains them, without gradients of their own."""

import keras
import numpy as np
import pytest

from recobatch.errors import BadSettings, RecobatchError
from recobatch.interactions import EncodedInteractions
from recobatch.models import to_factors
from recobatch.training import Recipe, train
from recobatch.training.objective import FactorObjective, TapeObjective, objective_of

pytestmark = pytest.mark.slow

USERS, ITEMS = 60, 40


def table(index, rows, columns, name, *, l2=1e-6, seed=0):
    layer = keras.layers.Embedding(
        rows, columns, name=name, embeddings_initializer=keras.initializers.RandomNormal(0, 0.1, seed=seed),
        embeddings_regularizer=keras.regularizers.L2(l2) if l2 else None,
    )  # fmt: skip
    return keras.layers.Flatten()(layer(index))


def inputs():
    return keras.Input((1,), dtype="int32", name="User"), keras.Input((1,), dtype="int32", name="Item")


def item_bias_only():
    user, item = inputs()
    dot = keras.layers.Dot(1)([table(user, USERS, 4, "u", l2=1e-3), table(item, ITEMS, 4, "i", seed=1)])
    return keras.Model([user, item], keras.layers.Add()([table(item, ITEMS, 1, "b", l2=1e-2, seed=2), dot]))


def user_bias_only():
    user, item = inputs()
    dot = keras.layers.Dot(1)([table(user, USERS, 4, "u"), table(item, ITEMS, 4, "i", l2=1e-3, seed=1)])
    score = keras.layers.Add()([table(user, USERS, 1, "b", seed=2), dot])
    return keras.Model([user, item], keras.layers.Rescaling(6.0, -0.5)(keras.layers.Activation("sigmoid")(score)))


def deep():
    user, item = inputs()
    both = keras.layers.Concatenate()([table(user, USERS, 4, "u", l2=1e-3), table(item, ITEMS, 4, "i", seed=1)])
    hidden = keras.layers.Dense(8, "relu", kernel_initializer=keras.initializers.GlorotUniform(3))(both)
    out = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(4))(hidden)
    return keras.Model([user, item], out)


@keras.saving.register_keras_serializable("tests")
class RatedItems(keras.layers.Layer):
    """A user as the mean of what they rated (SVD++, Koren 2008): looks at the whole interaction matrix."""

    def __init__(self, rated=None, **kwargs):
        super().__init__(**kwargs)
        self.rated = rated

    def build(self, shape):
        weights = {"trainable": False, "initializer": lambda *_, **__: keras.ops.convert_to_tensor(self.rated)}
        self.matrix = self.add_weight(shape=(USERS, ITEMS), name="matrix", **weights)
        self.vectors = self.add_weight(
            shape=(ITEMS, 4), name="vectors", initializer=keras.initializers.RandomNormal(0, 0.1, 5)
        )

    def call(self, user):
        return keras.ops.matmul(keras.ops.take(self.matrix, user[:, 0], axis=0), self.vectors)

    def compute_output_shape(self, shape):
        return (shape[0], 4)


def svdpp(data):
    user, item = inputs()
    rated = np.zeros((USERS, ITEMS), dtype=np.float32)
    rated[data.user_index, data.item_index] = 1
    rated /= np.maximum(rated.sum(1, keepdims=True), 1)
    vector = keras.layers.Add()([table(user, USERS, 4, "u"), RatedItems(rated, name="rated")(user)])
    dot = keras.layers.Dot(1)([vector, table(item, ITEMS, 4, "i", seed=1)])
    return keras.Model([user, item], keras.layers.Add()([dot, table(item, ITEMS, 1, "b", seed=2)]))


@pytest.mark.long
@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (item_bias_only, FactorObjective),
        (user_bias_only, FactorObjective),
        (deep, TapeObjective),
        (svdpp, TapeObjective),
    ],
)
def test_any_model_trains_as_fit_trains_it(build, kind, low_rank):
    ours, theirs = (build(low_rank) if build is svdpp else build() for _ in range(2))
    assert isinstance(objective_of(ours), kind)
    history = train(ours, low_rank, validation=low_rank, recipe=Recipe(epochs=3, shuffle=False), seed=0)
    theirs.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(1e-3))
    pairs = [low_rank.user_index[:, None], low_rank.item_index[:, None]]
    fit = theirs.fit(pairs, low_rank.rating, shuffle=False, batch_size=32, epochs=3, verbose=0)
    np.testing.assert_allclose(history.loss, fit.history["loss"], atol=1e-3)
    assert history.val_loss[-1] == pytest.approx(theirs.evaluate(pairs, low_rank.rating, verbose=0), abs=1e-3)
    np.testing.assert_allclose(ours.predict(pairs, verbose=0), theirs.predict(pairs, verbose=0), atol=1e-3)


@pytest.mark.parametrize("build", [item_bias_only, user_bias_only, svdpp])
def test_what_ends_in_a_dot_product_becomes_factors(build, low_rank):
    model = build(low_rank) if build is svdpp else build()
    users, items = np.repeat(np.arange(USERS), ITEMS), np.tile(np.arange(ITEMS), USERS)
    expected = model.predict([users[:, None], items[:, None]], verbose=0)[:, 0]
    np.testing.assert_allclose(to_factors(model).predict_pairs(users, items), expected, atol=1e-5)


@pytest.mark.parametrize("build", [item_bias_only, deep, svdpp])
def test_sgd_learns_whatever_the_model(build, low_rank):
    model = build(low_rank) if build is svdpp else build()
    recipe = Recipe(epochs=20, batch_size=16, optimizer="sgd", learning_rate=0.05, l2_per_rating=0.001)
    history = train(model, low_rank, validation=None, recipe=recipe, seed=0)
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_hand_and_tape_agree_on_sgd(low_rank):
    by_hand, by_tape = item_bias_only(), item_bias_only()
    recipe = Recipe(epochs=2, batch_size=16, optimizer="sgd", learning_rate=0.02, l2_per_rating=0.01, shuffle=False)
    train(by_hand, low_rank, validation=None, recipe=recipe, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recobatch.training.objective.find_factor_form", lambda model: None)
        assert isinstance(objective_of(by_tape), TapeObjective)
        train(by_tape, low_rank, validation=None, recipe=recipe, seed=0)
    for one, other in zip(by_hand.get_weights(), by_tape.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_no_factor_form_says_so():
    with pytest.raises(
        BadSettings, match=r"found the last layer Dense and not the factor form, expected Dot .* model\.predict"
    ):
        to_factors(deep())


@pytest.mark.parametrize(
    ("part", "name"),
    [(keras.layers.Dropout(0.5), "Dropout"), (keras.layers.Dense(4, kernel_regularizer="l1"), "L1")],
)
def test_parts_that_would_be_left_out_are_refused(part, name):
    user, item = inputs()
    vector = part(table(user, USERS, 4, "u"))
    model = keras.Model([user, item], keras.layers.Dot(1)([vector, table(item, ITEMS, 4, "i")]))
    with pytest.raises(BadSettings, match=f"found {name}, expected layers that act alike"):
        objective_of(model)


def test_a_catalogue_of_three_items_does_not_diverge():
    rng = np.random.default_rng(0)
    n = 3000
    data = _rows(rng.integers(0, USERS, n), rng.integers(0, 3, n), rng.integers(1, 6, n))
    recipe = Recipe(epochs=5, batch_size=1024, optimizer="sgd", learning_rate=0.1)
    assert train(item_bias_only(), data, validation=None, recipe=recipe, seed=0).loss[-1] < 3


def test_a_loss_that_explodes_is_an_error():
    data = _rows(np.arange(USERS), np.arange(USERS) % ITEMS, np.full(USERS, 5))
    recipe = Recipe(epochs=50, batch_size=8, optimizer="sgd", learning_rate=1e4)
    with pytest.raises(
        RecobatchError, match=r"training \S+: found a loss of (nan|inf) in epoch \d+, expected a finite one; lower"
    ):
        train(item_bias_only(), data, validation=None, recipe=recipe, seed=0)


def _rows(users, items, ratings):
    return EncodedInteractions(
        users.astype(np.int32), items.astype(np.int32), ratings.astype(np.float32),
        np.full(len(users), -1), USERS, ITEMS,
    )  # fmt: skip
