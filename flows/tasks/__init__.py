"""The Prefect tasks of the pipeline, one stage a file."""
