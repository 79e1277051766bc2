# syntax=docker/dockerfile:1
# Two stages: the lock changes seldom and is installed first, so that a change of code rebuilds seconds, not minutes.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements-uv.lock ./
RUN python -m venv /app/.venv \
    && /app/.venv/bin/python -m pip install --require-hashes -r requirements-uv.lock
COPY requirements-run.lock ./
RUN /app/.venv/bin/uv pip install --no-cache --python /app/.venv/bin/python \
        --require-hashes --compile-bytecode -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY recobatch recobatch
COPY flows flows
RUN /app/.venv/bin/uv pip install --no-cache --python /app/.venv/bin/python \
        --no-deps --no-build-isolation --compile-bytecode .

FROM python:3.12-slim-bookworm
RUN useradd --no-create-home --home-dir /work --uid 10001 recobatch \
    && mkdir -p /work \
    && chown recobatch:recobatch /work
COPY --from=build /app/.venv /app/.venv
# For the worker of compose.yaml, which deploys them.
COPY prefect.yaml flows/server/lost_runs.json /app/
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/work \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Everything the job and its libraries write (predictions/, mlflow.db, mlruns/, .prefect/, .cache/) lands here: mount a
# volume. Besides, /tmp is needed; the rest may be read-only: docker run --read-only --tmpfs /tmp -v DIR:/work …
WORKDIR /work
VOLUME /work
USER 10001
ENTRYPOINT ["recobatch"]
CMD ["run"]
