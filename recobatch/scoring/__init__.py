"""Factors × ranges of users → shards of predictions and of top items. NumPy and pyarrow, never TensorFlow."""
