"""What MLflow is told of the ratings, where a test tracks a run."""

from recobatch.tracking import DatasetInfo

DATASET = DatasetInfo("tiny", "tiny.csv", "ab" * 32, n_ratings=12, n_users=4, n_items=3)
