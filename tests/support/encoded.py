"""Encoded ratings on disk, as the job leaves them for training."""

from pathlib import Path

import numpy as np

from recobatch.encode import Encoded
from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary


def save_encoded(folder: Path, rows: EncodedInteractions) -> Encoded:
    """Save ratings whose ids are their indices."""
    encoded = Encoded(folder, rows.n_users, rows.n_items, len(rows), None)
    rows.save(encoded.interactions_path)
    Vocabulary.build(np.arange(rows.n_users)).save(encoded.users_path)
    Vocabulary.build(np.arange(rows.n_items)).save(encoded.items_path)
    RatedPairs.collect(rows).save(encoded.rated_path)
    return encoded
