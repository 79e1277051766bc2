"""The model as MLflow serves it: raw ids in, ratings out. NumPy and pyarrow, never TensorFlow."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from recobatch.errors import BadInput
from recobatch.factors import FactorModel
from recobatch.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 1 << 18
"""Pairs predicted at once: bounds memory for frames of any length."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """What ``mlflow.pyfunc.load_model`` returns the predictions of."""

    factors: FactorModel
    users: Vocabulary
    items: Vocabulary

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> np.ndarray:
        """Predict pairs of raw ids.

        Args:
            model_input: Frame with columns ``user_id`` and ``item_id``, n rows, ids as in the ratings.
            params: Ignored; MLflow passes it.

        Returns:
            Predictions in rating units, float32, shape ``(n,)``: what the published table holds for those pairs.

        Raises:
            BadInput: If a column is missing or an id is unknown; the message names up to five.
        """
        user_index = self._encode(model_input, "user_id", self.users)
        item_index = self._encode(model_input, "item_id", self.items)
        blocks = [slice(first, first + _ROWS) for first in range(0, len(user_index), _ROWS)]
        predictions = [self.factors.predict_pairs(user_index[rows], item_index[rows]) for rows in blocks]
        return np.concatenate([np.empty(0, dtype=np.float32), *predictions])

    @staticmethod
    def _encode(frame: "pd.DataFrame", column: str, vocabulary: Vocabulary) -> np.ndarray:
        if column not in frame:
            raise BadInput(
                f"model input: found columns {', '.join(map(str, frame.columns))}, required user_id and item_id; "
                f"rename the columns"
            )
        if not len(frame):
            return np.empty(0, dtype=np.int32)
        try:
            return vocabulary.encode(pa.array(frame[column], from_pandas=True))
        except (BadInput, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadInput(f"model input, column {column}: {error}") from None


def load(folder: Path) -> ServedModel:
    """Read ``factors.npz``, ``users.parquet`` and ``items.parquet``.

    Raises:
        BadTable: If a file does not match its fingerprint.
    """
    return ServedModel(
        FactorModel.load(folder / "factors.npz"),
        Vocabulary.load(folder / "users.parquet"),
        Vocabulary.load(folder / "items.parquet"),
    )
