"""The training objective: squared error of a model whose parameters are a few tables. Gradients by hand or by tape."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import keras
import tensorflow as tf

from recobatch.errors import BadSettings
from recobatch.factors import Link
from recobatch.models.factor_form import FactorForm, embedding_of, find_factor_form

Tables: TypeAlias = list[tf.Tensor]
"""Trained parameters, float32."""
Gradient: TypeAlias = tf.IndexedSlices | tf.Tensor
"""Of one table: rows and where they belong (repeats add up), or as large as the table."""


class Objective(Protocol):
    """The model's interface to the engine. Hashable, so that equal objectives share compiled code."""

    def __hash__(self) -> int:
        """Equal ones share compiled code."""

    @property
    def l2(self) -> tuple[tuple[float, ...], ...]:
        """Keras' penalty of every table: one factor per column, or a single one for all."""

    def read(self, model: keras.Model) -> Tables:
        """Copy the model's parameters into tables."""

    def write(self, model: keras.Model, tables: Tables) -> None:
        """Copy tables back into the model's parameters."""

    def predict(self, tables: Tables, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """Predict pairs: int32 ``(n,)`` each to float32 ``(n,)``."""

    def error(
        self, tables: Tables, user: tf.Tensor, item: tf.Tensor, rating: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[Gradient]]:
        """Sum of ``weight * (prediction - rating) ** 2`` and its gradient per table."""


@dataclass(frozen=True)
class FactorObjective:
    """The factor form with plain embeddings, its gradient written by hand.

    Two tables: users' and items' factors, each with the bias as its last column where there is one.
    """

    user_bias: bool
    item_bias: bool
    offset: float
    """Added to every score."""
    link: Link
    min_rating: float
    max_rating: float
    l2: tuple[tuple[float, ...], ...]

    def read(self, model: keras.Model) -> Tables:
        return [tf.concat([tf.convert_to_tensor(layer.embeddings) for layer in side], 1) for side in _layers(model)]

    def write(self, model: keras.Model, tables: Tables) -> None:
        for side, table in zip(_layers(model), tables, strict=True):
            n_factors = side[0].output_dim
            side[0].embeddings.assign(table[:, :n_factors])
            for bias in side[1:]:
                bias.embeddings.assign(table[:, n_factors:])

    def predict(self, tables: Tables, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        score = self._score(tf.gather(tables[0], user), tf.gather(tables[1], item))
        if self.link is Link.IDENTITY:
            return score
        return self.min_rating + (self.max_rating - self.min_rating) * tf.sigmoid(score)

    def error(
        self, tables: Tables, user: tf.Tensor, item: tf.Tensor, rating: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[Gradient]]:
        users, items = tf.gather(tables[0], user), tf.gather(tables[1], item)
        prediction = score = self._score(users, items)
        slope = 2 * weight
        if self.link is Link.SCALED_SIGMOID:
            share, span = tf.sigmoid(score), self.max_rating - self.min_rating
            prediction = self.min_rating + span * share
            slope *= span * share * (1 - share)
        error = prediction - rating
        slope = (slope * error)[:, None]
        k = users.shape[1] - self.user_bias
        user_rows, item_rows = slope * items[:, :k], slope * users[:, :k]
        if self.user_bias:
            user_rows = tf.concat([user_rows, slope], 1)
        if self.item_bias:
            item_rows = tf.concat([item_rows, slope], 1)
        return tf.reduce_sum(weight * error * error), [
            tf.IndexedSlices(user_rows, user),
            tf.IndexedSlices(item_rows, item),
        ]

    def _score(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        k = users.shape[1] - self.user_bias
        score = tf.reduce_sum(users[:, :k] * items[:, :k], 1)
        if self.user_bias:
            score += users[:, k]
        if self.item_bias:
            score += items[:, k]
        return score + self.offset


@dataclass(frozen=True, eq=False)
class TapeObjective:
    """Any model that maps ``[user, item]`` to a rating, its gradient taken by TensorFlow's tape."""

    model: keras.Model
    l2: tuple[tuple[float, ...], ...]

    def read(self, model: keras.Model) -> Tables:
        return [tf.identity(tf.convert_to_tensor(variable)) for variable in model.trainable_variables]

    def write(self, model: keras.Model, tables: Tables) -> None:
        for variable, table in zip(model.trainable_variables, tables, strict=True):
            variable.assign(table)

    def predict(self, tables: Tables, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        fixed = [tf.convert_to_tensor(variable) for variable in self.model.non_trainable_variables]
        prediction, _ = self.model.stateless_call(tables, fixed, [user[:, None], item[:, None]])
        return tf.reshape(prediction, [-1])

    def error(
        self, tables: Tables, user: tf.Tensor, item: tf.Tensor, rating: tf.Tensor, weight: tf.Tensor
    ) -> tuple[tf.Tensor, list[Gradient]]:
        with tf.GradientTape() as tape:
            tape.watch(tables)
            squared = tf.reduce_sum(weight * (self.predict(tables, user, item) - rating) ** 2)
        return squared, tape.gradient(squared, tables, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def objective_of(model: keras.Model) -> Objective:
    """The hand-written objective for a model in the factor form, else the tape's.

    Raises:
        BadSettings: If the model has a part that compiled epochs do not support: dropout, batch normalisation, or a
            penalty other than L2.
    """
    form = find_factor_form(model)
    if form is not None and _is_plain(form, model):
        penalties = tuple(
            tuple(_l2(layer) for layer in side for _ in range(layer.output_dim)) for side in _layers(model)
        )
        return FactorObjective(
            form.user_bias is not None,
            form.item_bias is not None,
            form.offset,
            form.link,
            form.min_rating,
            form.max_rating,
            penalties,
        )
    _check(model)
    return TapeObjective(model, tuple((_variable_l2(variable),) for variable in model.trainable_variables))


def _check(model: keras.Model) -> None:
    penalties = (variable.regularizer for variable in model.trainable_variables)
    unsupported = [each for each in penalties if not isinstance(each, keras.regularizers.L2 | None)]
    unsupported += [
        each for each in model.layers if isinstance(each, keras.layers.Dropout | keras.layers.BatchNormalization)
    ]
    if unsupported:
        raise BadSettings(
            f"model {model.name!r}: found {type(unsupported[0]).__name__}, expected layers that act alike in training "
            f"and prediction, and no penalty but L2; remove it, or train with model.fit"
        )


def _layers(model: keras.Model) -> list[list[keras.layers.Embedding]]:
    """Embeddings of users, then of items: factors first, bias behind."""
    form = find_factor_form(model)
    assert form is not None
    sides = ((form.user_factors, form.user_bias), (form.item_factors, form.item_bias))
    return [[embedding_of(tensor) for tensor in side if tensor is not None] for side in sides]


def _is_plain(form: FactorForm, model: keras.Model) -> bool:
    """Whether every side is an embedding of its own, all trained, nothing else is, and the score is not scaled."""
    layers = [embedding_of(tensor) for tensor in form.sides if tensor is not None]
    if form.scale != 1 or None in layers or len({id(layer) for layer in layers}) < len(layers):
        return False
    return len(model.trainable_variables) == len(layers) and all(_is_simple(layer) for layer in layers)


def _is_simple(layer: keras.layers.Embedding) -> bool:
    penalty = layer.embeddings_regularizer
    return layer.trainable and layer.embeddings_constraint is None and isinstance(penalty, keras.regularizers.L2 | None)


def _l2(layer: keras.layers.Embedding) -> float:
    return 0.0 if layer.embeddings_regularizer is None else float(layer.embeddings_regularizer.l2)


def _variable_l2(variable: keras.Variable) -> float:
    return float(variable.regularizer.l2) if isinstance(variable.regularizer, keras.regularizers.L2) else 0.0
