"""Factors × ranges of users → shards of predictions and of best items. NumPy and pyarrow, never TensorFlow."""
