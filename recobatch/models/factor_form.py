"""The factor form: the last layers that a Keras model needs for the conversion to ``FactorModel``."""

from dataclasses import dataclass

import keras
import numpy as np

import recobatch.models.backend  # noqa: F401 - settles the threads
from recobatch.errors import BadSettings
from recobatch.factors import FactorModel, Link


@dataclass(frozen=True)
class FactorForm:
    """``link(scale * (user_factors · item_factors + user_bias + item_bias) + offset)``: tensors of the model's graph.

    Each tensor depends on one input only, users or items, through any layers.
    """

    user_factors: keras.KerasTensor
    """Shape ``(None, n_factors)``."""
    item_factors: keras.KerasTensor
    """Shape ``(None, n_factors)``."""
    user_bias: keras.KerasTensor | None
    """Shape ``(None, 1)``."""
    item_bias: keras.KerasTensor | None
    """Shape ``(None, 1)``."""
    scale: float
    offset: float
    link: Link
    min_rating: float
    """Of a sigmoid; 0 without one."""
    max_rating: float
    """Likewise."""

    @property
    def sides(self) -> tuple[keras.KerasTensor | None, ...]:
        return self.user_factors, self.item_factors, self.user_bias, self.item_bias


def find_factor_form(model: keras.Model) -> FactorForm | None:
    """Recognise the factor form in a functional model of the inputs ``[user, item]``.

    Returns:
        The form, or None unless the model ends in a dot product of a user's and an item's vector, with at most one bias
        each, followed by the identity or by a sigmoid, with ``Rescaling`` by numbers before and after it.
    """
    if len(model.inputs) != 2 or len(model.outputs) != 1:
        return None
    score, scale, offset, link, low, high = _peel_link(model.outputs[0])
    dot, biases = _peel_biases(score)
    if dot is None:
        return None
    user, item = (tensor.name for tensor in model.inputs)
    factors = {_source(tensor): tensor for tensor in _inputs(dot)}
    sources = [_source(tensor) for tensor in biases]
    if set(factors) != {user, item} or not set(sources) <= {user, item} or len(set(sources)) < len(sources):
        return None
    found = dict(zip(sources, biases, strict=True))
    return FactorForm(factors[user], factors[item], found.get(user), found.get(item), scale, offset, link, low, high)


def check_factor_form(model: object, name: str) -> None:
    """Check that a model can be trained and scored.

    Raises:
        BadSettings: If it is no functional Keras model of ``[user, item]`` that ends in the factor form.
    """
    if not isinstance(model, keras.Model):
        raise BadSettings(
            f"models: found {name!r} that builds {type(model).__name__}, expected a Keras model; return the keras.Model"
        )
    if not getattr(model, "inputs", None) or find_factor_form(model) is None:
        raise BadSettings(
            f"models: found {name!r} whose model {model.name!r} does not end in the factor form, expected Dot of a "
            f"user's and an item's vector, at most Add of one bias each, sigmoid and Rescaling; see docs/models.md"
        )


def to_factors(model: keras.Model, *, rating_range: tuple[float, float] | None = None) -> FactorModel:
    """Convert a trained model to factors.

    Args:
        model: A model in the factor form.
        rating_range: Lowest and highest possible rating, to which a model without a sigmoid is clipped; None clips
            nothing, as the Keras model itself. A sigmoid has its own range.

    Raises:
        BadSettings: If the model does not end in the factor form.
    """
    form = find_factor_form(model)
    if form is None:
        raise BadSettings(
            f"model {model.name!r}: found the last layer {type(_operation(model.outputs[0])).__name__} and not the "
            f"factor form, expected Dot of a user's and an item's vector, at most Add of one bias each, sigmoid and "
            f"Rescaling; score it with model.predict, or change the model"
        )
    users, items = table_rows(form.user_factors), table_rows(form.item_factors)
    low, high = form.min_rating, form.max_rating
    if rating_range and (form.link is Link.IDENTITY or np.allclose((low, high), rating_range, rtol=1e-9, atol=0)):
        low, high = rating_range
    scale = np.float32(form.scale)
    return FactorModel(
        scale * _rows(form.user_factors, users), _rows(form.item_factors, items),
        scale * _bias(form.user_bias, users), scale * _bias(form.item_bias, items), form.offset,
        link=form.link, min_rating=low, max_rating=high,
    )  # fmt: skip


def rescaled(model: keras.Model, scale: float, offset: float) -> keras.Model:
    """A model of the same weights whose predictions are ``scale`` times its own plus ``offset``."""
    rating = keras.layers.Rescaling(scale, offset=offset, name="RatingUnits")(model.outputs[0])
    return keras.Model(model.inputs, rating, name=model.name)


def embedding_of(tensor: keras.KerasTensor) -> keras.layers.Embedding | None:
    """The Embedding whose flattened output is ``tensor``, or None if there are other layers."""
    operation = _operation(tensor)
    if not isinstance(operation, keras.layers.Flatten):
        return None
    operation = _operation(_inputs(tensor)[0])
    return operation if isinstance(operation, keras.layers.Embedding) else None


def table_rows(tensor: keras.KerasTensor) -> int:
    """Number of rows of the Embedding from which a tensor is computed."""
    operation = _operation(tensor)
    if isinstance(operation, keras.layers.Embedding):
        return int(operation.input_dim)
    return max((table_rows(parent) for parent in _inputs(tensor)), default=0)


def _rows(tensor: keras.KerasTensor, n_rows: int) -> np.ndarray:
    """Evaluate a one-sided tensor for every user or item: float32, shape ``(n_rows, columns)``."""
    layer = embedding_of(tensor)
    if layer is not None:
        return np.ascontiguousarray(keras.ops.convert_to_numpy(layer.embeddings), dtype=np.float32)
    part = keras.Model(_ancestor_input(tensor), tensor)
    return np.asarray(part.predict(np.arange(n_rows)[:, None], batch_size=8192, verbose=0), dtype=np.float32)


def _bias(tensor: keras.KerasTensor | None, n_rows: int) -> np.ndarray:
    return np.zeros(n_rows, dtype=np.float32) if tensor is None else _rows(tensor, n_rows)[:, 0].copy()


def _peel_link(tensor: keras.KerasTensor) -> tuple[keras.KerasTensor, float, float, Link, float, float]:
    """The score, its scale and offset, the link, and the range of a sigmoid."""
    inner, scale, offset = _peel_rescaling(tensor)
    sigmoid = _operation(inner)
    if isinstance(sigmoid, keras.layers.Activation) and sigmoid.activation is keras.activations.sigmoid:
        return *_peel_rescaling(_inputs(inner)[0]), Link.SCALED_SIGMOID, offset, offset + scale
    return inner, scale, offset, Link.IDENTITY, 0.0, 0.0


def _peel_rescaling(tensor: keras.KerasTensor) -> tuple[keras.KerasTensor, float, float]:
    """What is rescaled, and the scale and offset of all ``Rescaling`` layers by numbers at its end."""
    scale, offset, layer = 1.0, 0.0, _operation(tensor)
    while isinstance(layer, keras.layers.Rescaling) and np.ndim(layer.scale) == np.ndim(layer.offset) == 0:
        scale, offset = scale * float(layer.scale), offset + scale * float(layer.offset)
        tensor = _inputs(tensor)[0]
        layer = _operation(tensor)
    return tensor, scale, offset


def _peel_biases(tensor: keras.KerasTensor) -> tuple[keras.KerasTensor | None, list[keras.KerasTensor]]:
    terms = _inputs(tensor) if isinstance(_operation(tensor), keras.layers.Add) else [tensor]
    dots = [term for term in terms if isinstance(_operation(term), keras.layers.Dot)]
    biases = [term for term in terms if term not in dots and tuple(term.shape) == (None, 1)]
    if len(dots) != 1 or len(biases) + 1 != len(terms):
        return None, []
    layer, sides = _operation(dots[0]), _inputs(dots[0])
    flat = all(len(side.shape) == 2 for side in sides) and not layer.normalize
    return (dots[0], biases) if flat else (None, [])


def _operation(tensor: keras.KerasTensor) -> keras.Operation:
    return tensor._keras_history.operation


def _inputs(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    operation, node, _ = tensor._keras_history
    return operation._inbound_nodes[node].input_tensors


def _ancestors(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    parents = _inputs(tensor)
    return [tensor] if not parents else [root for parent in parents for root in _ancestors(parent)]


def _ancestor_input(tensor: keras.KerasTensor) -> keras.KerasTensor:
    return _ancestors(tensor)[0]


def _source(tensor: keras.KerasTensor) -> str | None:
    """Name of the only input that a tensor depends on, or None if there are several."""
    names = {root.name for root in _ancestors(tensor)}
    return names.pop() if len(names) == 1 else None
