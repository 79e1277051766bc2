"""The Python interface: ``recobatch.fit``, ``recobatch.load``, ``recobatch.read_table``, and what they return.

Importing it imports neither Prefect nor MLflow; TensorFlow only where a Keras model is trained.
"""

from recobatch.api.fitting import fit
from recobatch.api.published import PublishedTable, read_table
from recobatch.api.recommender import Recommender, load

__all__ = ["PublishedTable", "Recommender", "fit", "load", "read_table"]
