from __future__ import annotations

import pytest

from serving.adapters.policy_archive import FilePolicyArchive, MemoryPolicyArchive


@pytest.fixture(params=["file", "memory"])
def archive(request, tmp_path):
    return FilePolicyArchive(directory=tmp_path / "policies") if request.param == "file" else MemoryPolicyArchive()


def test_a_document_is_found_by_its_hash_and_the_first_one_stays(archive):
    assert archive.load("ab12") is None
    archive.save("ab12", b"{}")
    archive.save("ab12", b"other")
    assert (archive.load("ab12"), archive.load("ffff")) == (b"{}", None)


def test_a_hash_is_a_name_and_never_a_path(tmp_path):
    (tmp_path / "secret.json").write_bytes(b"no")
    assert FilePolicyArchive(directory=tmp_path / "policies").load("../secret") is None


def test_files_are_written_whole(tmp_path):
    archive = FilePolicyArchive(directory=tmp_path)
    archive.save("ab12", b"{}")
    assert [file.name for file in tmp_path.iterdir()] == ["ab12.json"]
