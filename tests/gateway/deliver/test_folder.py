"""Folder drop: whole files under safe names, nothing overwritten, nothing half written, every trouble told."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import FolderDestination
from gateway.deliver import folder as folder_module
from gateway.deliver.folder import FolderDrop, file_name
from gateway.deliver.reach import check_peer
from gateway.errors import OutOfSpace, Refused, TryAgain
from gateway.job import Document, DocumentKind


def document(name: str = "2.25.17", data: bytes = b"<a/>", kind: DocumentKind = DocumentKind.AECG) -> Document:
    return Document(kind, "archive", name, 1, data)


@pytest.fixture
def drop(tmp_path: Path) -> FolderDrop:
    return FolderDrop(FolderDestination(kind="folder", name="archive", folder=tmp_path))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (DocumentKind.AECG, "2.25.17.xml"),
        (DocumentKind.DICOM_WAVEFORM, "2.25.17.dcm"),
        (DocumentKind.HL7V2, "2.25.17.hl7"),
    ],
)
def test_a_document_becomes_a_file_of_its_name_and_kind(
    drop: FolderDrop, tmp_path: Path, kind: DocumentKind, name: str
) -> None:
    assert drop.send(document(kind=kind)).response == "written, 4 bytes"
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"<a/>"


def test_every_kind_of_document_has_a_suffix_of_its_own() -> None:
    assert len({file_name(document(kind=kind)) for kind in DocumentKind}) == len(DocumentKind)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        ".",
        "",
        ".hidden",
        "a\0b",
        "a\nb",
        "ä",
        "x" * 500,
        "a b",
        "C:x",
    ],
)
def test_no_name_leaves_the_folder(drop: FolderDrop, tmp_path: Path, name: str) -> None:
    drop.send(document(name))
    (written,) = tmp_path.iterdir()
    assert written.parent == tmp_path
    assert written.name == file_name(document(name))
    assert not written.name.startswith(".")
    assert len(written.name) < 250


def test_two_names_that_look_alike_when_made_safe_stay_two_files() -> None:
    names = ["a/b", "a_b", "a\\b", "x" * 500, "x" * 501, ".a_b"]
    assert len({file_name(document(name)) for name in names}) == len(names)


def test_the_same_document_again_is_harmless(drop: FolderDrop, tmp_path: Path) -> None:
    drop.send(document())
    written = (tmp_path / "2.25.17.xml").stat()
    assert drop.send(document()).response == "already there"
    assert (tmp_path / "2.25.17.xml").stat().st_mtime_ns == written.st_mtime_ns


@pytest.mark.parametrize("other", [b"<b/>", b"<a/", b"<a/> "])
def test_other_content_under_the_same_name_is_not_overwritten(drop: FolderDrop, tmp_path: Path, other: bytes) -> None:
    (tmp_path / "2.25.17.xml").write_bytes(other)
    with pytest.raises(Refused, match="name_taken"):
        drop.send(document())
    assert (tmp_path / "2.25.17.xml").read_bytes() == other


def test_what_a_killed_gateway_left_half_written_is_written_over(drop: FolderDrop, tmp_path: Path) -> None:
    (tmp_path / ".2.25.17.xml.part").write_bytes(b"<half")
    drop.send(document())
    assert [p.name for p in tmp_path.iterdir()] == ["2.25.17.xml"]


def test_the_file_is_synced_before_it_gets_its_name_and_the_folder_after(
    drop: FolderDrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        assert self.read_bytes() == b"<a/>"
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    drop.send(document())
    assert steps == ["sync file", "rename", "sync folder"]


def failing(code: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_tried_again_and_leaves_nothing_behind(
    drop: FolderDrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(OutOfSpace, match="folder_full"):
        drop.send(document())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EROFS, errno.ESTALE])
def test_other_trouble_is_tried_again_and_leaves_nothing_behind(
    drop: FolderDrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(TryAgain, match="folder_unusable"):
        drop.send(document())
    assert not list(tmp_path.iterdir())


def test_a_share_that_cannot_sync_its_folder_is_used_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    folder_module.sync_folder(tmp_path)


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    missing = FolderDestination(kind="folder", name="archive", folder=tmp_path / "share")
    with pytest.raises(TryAgain, match="mount its share"):
        FolderDrop(missing).send(document())
    assert not (tmp_path / "share").exists()
    assert "mount its share" in check_peer(missing).text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(drop: FolderDrop, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(TryAgain, match="this user may not write there"):
            drop.send(document())
        assert not check_peer(drop.config).ok
    finally:
        tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TryAgain, match="the path is no folder"):
        FolderDrop(FolderDestination(kind="folder", name="a", folder=tmp_path / "file")).send(document())


def test_check_tells_the_free_space(drop: FolderDrop, tmp_path: Path) -> None:
    report = check_peer(drop.config)
    assert (report.ok, report.address) == (True, str(tmp_path))
    assert report.text.startswith("is writable, ")
    assert not list(tmp_path.iterdir())
