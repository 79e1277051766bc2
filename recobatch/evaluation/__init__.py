"""How good models are: errors, baselines, the gates, and how far a batch moved from the published one."""
