from __future__ import annotations

import os
import sys
import threading
from errno import ENOSPC
from pathlib import Path

import pytest

from analytics.files import opened_whole, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"before")
    with opened_whole(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert names(tmp_path) == ["page.html"]


def fill_a_disk(path: Path) -> None:
    with opened_whole(path) as file:
        file.write(b"aft")
        raise OSError(ENOSPC, "No space left")


def test_a_file_that_could_not_be_filled_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="No space left") as caught:
        fill_a_disk(path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["page.html"]


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, opened_whole(tmp_path / "page.html"):
        (tmp_path / "folder" / "source").read_bytes()
    assert caught.value.filename == str(tmp_path / "folder" / "source")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder") as caught:
        write_whole(tmp_path / "no" / "page.html", b"")
    assert caught.value.filename == str(tmp_path / "no")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "latest.html").symlink_to("page.html")
    write_whole(tmp_path / "latest.html", b"page")
    assert (tmp_path / "latest.html").is_symlink()
    assert (tmp_path / "page.html").read_bytes() == b"page"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_link_to_a_pipe_that_has_no_name_is_written_through(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{writer}")
    write_whole(tmp_path / "stdout", b"page")
    os.close(writer)
    assert os.read(reader, 10) == b"page"
    os.close(reader)
    assert names(tmp_path) == ["stdout"]


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_whole, args=(pipe, b"page"))
    writer.start()
    assert pipe.read_bytes() == b"page"
    writer.join()
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]
