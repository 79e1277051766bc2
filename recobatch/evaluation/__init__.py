"""Evaluation of models: errors, baselines, gates, and drift from the published batch."""
