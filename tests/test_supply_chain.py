"""What is installed is what was locked, and what is built runs without rights."""

import re
import subprocess

import pytest

from tests.support.paths import REPO

LOCKS = sorted(path.name for path in REPO.glob("requirements*.lock"))
INSTALLING = ("Makefile", "Dockerfile", ".ci/run")


def test_the_locks_are_there():
    assert {"requirements.lock", "requirements-run.lock", "requirements-uv.lock"} <= set(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name):
    lines = (REPO / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    requirements = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert requirements
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_says_where_packages_come_from(name):
    text = (REPO / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|@ ", text)


@pytest.mark.parametrize("name", INSTALLING)
def test_whatever_is_installed_is_checked_by_hash(name):
    text = (REPO / name).read_text(encoding="utf-8").replace("\\\n", " ")
    commands = [
        part for line in text.splitlines() for part in re.split(r"&&|;|\|", line) if re.search(r"\bpip install\b", part)
    ]
    for command in commands:
        assert "--require-hashes" in command or "--no-deps --no-build-isolation" in command, command
    assert not re.search(r"\b(curl|wget)\b", text)
    assert commands or name == ".ci/run"


def test_the_container_ends_as_a_user_without_rights():
    final = (REPO / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    users = re.findall(r"^USER (\S+)", final, re.MULTILINE)
    assert users == ["10001"]
    assert final.index("USER ") < final.index("ENTRYPOINT")


def test_all_that_the_container_writes_lands_on_its_volume():
    final = (REPO / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert re.search(r"^WORKDIR /work$", final, re.MULTILINE)
    assert re.search(r"^VOLUME /work$", final, re.MULTILINE)
    assert re.search(r"\bHOME=/work\b", final)


@pytest.mark.parametrize(
    ("target", "installs"),
    [("setup", set()), ("run", set()), ("test", {"duckdb-iceberg"}), ("long", {"spark"})],
)
def test_only_the_tests_install_what_only_they_need(target, installs):
    planned = subprocess.run(
        ["make", "--always-make", "--dry-run", target], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    assert "-r requirements.lock" in planned
    assert {name for name in ("spark", "duckdb-iceberg") if f"-r requirements-{name}.lock" in planned} == installs
