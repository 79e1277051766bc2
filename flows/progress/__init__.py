"""Progress while a batch runs: terminal display, Prefect artifact, JSON log lines."""
