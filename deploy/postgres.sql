-- Run once, by the Postgres image, when its volume is new: Prefect has the first database, MLflow this one.
CREATE DATABASE mlflow;
