"""The Prefect server of a run: our own where none is named, its environment and its outages."""
