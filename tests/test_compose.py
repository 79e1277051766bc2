"""The stack of compose.yaml: what it promises of ports, passwords, health and volumes, and that its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.settings.load import load_settings
from tests.support.paths import REPO

STACK = yaml.safe_load((REPO / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = STACK["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "recobatch"]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (REPO / ".env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def test_the_stack_is_whole():
    assert set(SERVICES) == {
        "postgres", "s3", "prefect", "mlflow", "dask-scheduler", "dask-worker", "prefect-worker",
    }  # fmt: skip
    assert SERVICES["dask-worker"]["deploy"] == {"replicas": 2}


def test_nothing_but_loopback_is_published():
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert sorted(ports) == ["127.0.0.1:4200:4200", "127.0.0.1:5000:5000", "127.0.0.1:9000:9000"]
    assert not [name for name, service in SERVICES.items() if "network_mode" in service or service.get("privileged")]


def test_the_prefect_server_has_a_place_for_its_pages():
    """Below a read-only root it would serve none, and say so in its log alone."""
    (tmpfs,) = SERVICES["prefect"]["tmpfs"]
    assert SERVICES["prefect"]["read_only"]
    assert SERVICES["prefect"]["environment"]["PREFECT_UI_STATIC_DIRECTORY"].startswith(f"{tmpfs}/")


def test_no_password_is_written_down():
    values = [str(value) for service in SERVICES.values() for value in service.get("environment", {}).values()]
    named = {name for value in values for name in re.findall(r"\$\{(\w+)", value)}
    assert named == set(EXAMPLE)
    assert [name for name in EXAMPLE if not EXAMPLE[name]] == ["POSTGRES_PASSWORD", "S3_SECRET_KEY"]
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}: required, and from the file"
            assert not re.search(r"://\w+:[^$@/]+@", str(value)), name
    assert ".env" in (REPO / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_and_pinned(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["image"] == "recobatch" or re.search(r":(\d|RELEASE)", service["image"])
    for other in service.get("depends_on", ()):
        assert other in SERVICES
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert source in STACK["volumes"] or (
            source.startswith("./") and (REPO / source).exists() and volume[-3:] == ":ro"
        )


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_has_no_rights(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_a_worker_needs_the_bucket_alone():
    worker = SERVICES["dask-worker"]
    assert "volumes" not in worker
    assert all(name.startswith("AWS_") for name in worker["environment"])


def test_the_settings_are_settings():
    given = {k: v for k, v in SERVICES["prefect-worker"]["environment"].items() if not v.startswith("$")}
    settings = load_settings({}, environment=given, toml=Path("no such file"))
    assert settings.engine == "dask"
    assert settings.table.path == "s3://recobatch/predictions"
    assert settings.work.path == "s3://recobatch/work"


def commands():
    """The command lines of our services: a shell's lines one by one."""
    for name in OURS:
        words = [*SERVICES[name]["entrypoint"], *SERVICES[name]["command"]]
        if words[0] == "sh":
            lines = [line.partition(" || ")[0].removeprefix("exec ") for line in words[2].splitlines()]
            yield from (line.split() for line in lines if line.startswith("prefect"))
        else:
            yield words


@pytest.mark.long
@pytest.mark.process
@pytest.mark.parametrize("words", commands(), ids=lambda words: "-".join(words[:3]))
def test_its_commands_know_their_options(words):
    options = [word for word in words if word.startswith("--")]
    plain = [word for word in words[1:3] if not word.startswith("-") and "://" not in word]
    shown = subprocess.run(
        [Path(sys.prefix, "bin", words[0]), *plain, "--help"], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "200", "NO_COLOR": "1"},
    ).stdout  # fmt: skip
    assert [option for option in options if option not in shown and option != "--no-prompt"] == []
