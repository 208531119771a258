"""Files with the same bytes."""

import os

import numpy as np
import pytest

from tf_mmdvlae.data import copies
from tf_mmdvlae.data.copies import originals


def write(folder, **contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return list(contents)


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that are read, once for each time."""
    names = []

    def noted(path, *arguments, **settings):
        names.append(os.path.basename(path))
        return open(path, *arguments, **settings)

    monkeypatch.setattr(copies, "open", noted, raising=False)
    return names


@pytest.fixture
def large_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "_WORTH_KEEPING", 3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_no_more_is_read_than_tells_files_apart(tmp_path, opened):
    long = b"\1" * 10_000
    names = write(
        tmp_path,
        a=b"of another size",
        b=long + b"1",
        c=long + b"2",
        d=b"0" + long,
        e=b"1" + long,
        f=b"0" + long,
        g=b"short",
        h=b"long",
        i=b"short",
    )
    assert originals(str(tmp_path), names).tolist() == [0, 1, 2, 3, 4, 3, 6, 7, 6]
    # The last two of a size end alike; the others are told by their sizes or ends.
    assert {name: opened.count(name) for name in names} == {
        **dict.fromkeys("ah", 0),
        **dict.fromkeys("bc", 1),
        **dict.fromkeys("defgi", 2),
    }


def test_links_are_copies_and_never_read(tmp_path, opened):
    names = write(tmp_path, a=b"1", b=b"12", c=b"123")
    (tmp_path / "d").hardlink_to(tmp_path / "b")
    (tmp_path / "e").hardlink_to(tmp_path / "b")
    assert originals(str(tmp_path), [*names, "d", "e"]).tolist() == [0, 1, 2, 1, 1]
    assert not opened
    # A link is the copy of what its file is a copy of.
    names = [*write(tmp_path, _=b"12"), *names]
    assert originals(str(tmp_path), [*names, "d", "e"]).tolist() == [0, 1, 0, 3, 0, 0]


def test_what_can_not_be_read_is_no_copy(tmp_path):
    names = write(tmp_path, a=b"1", b=b"2")
    (tmp_path / "c").symlink_to(tmp_path / "nothing")
    (tmp_path / "d").symlink_to(tmp_path / "nothing")
    assert originals(str(tmp_path), [*names, "c", "d"]).tolist() == [0, 1, 2, 3]


def test_files_too_large_for_pictures_are_never_compared(tmp_path):
    names = write(tmp_path, a=b"", b=b"")
    for name in names:
        with open(tmp_path / name, "wb") as file:
            file.truncate(2**42)
    assert originals(str(tmp_path), names).tolist() == [0, 1]


def test_a_large_folder_is_compared_once(tmp_path, opened, large_folder):
    folder = large_folder
    names = write(folder, a=b"1", b=b"2", c=b"1")
    expected = originals(str(folder), names)
    assert len(opened) == 5
    kept = list((tmp_path / "cache" / "tf_mmdvlae").iterdir())
    np.testing.assert_array_equal(originals(str(folder), names), expected)
    assert len(opened) == 5
    for damage in (lambda: kept[0].write_bytes(b"x"), lambda: write(folder, b=b"1")):
        damage()
        opened.clear()
        assert originals(str(folder), names)[2] == 0
        assert opened
        assert list((tmp_path / "cache" / "tf_mmdvlae").iterdir()) == kept
    assert originals(str(folder), names).tolist() == [0, 0, 0]


@pytest.mark.parametrize("failing", ["_end", "_digest"])
def test_an_answer_without_some_of_the_files_is_not_kept(large_folder, monkeypatch, failing):
    names = write(large_folder, a=b"1", b=b"2", c=b"1")

    def fails(path, *arguments, **settings):
        if path.endswith("a") and ("buffering" in settings) == (failing == "_end"):
            raise PermissionError
        return open(path, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(copies, "open", fails, raising=False)
        assert originals(str(large_folder), names).tolist() == [0, 1, 2]
    assert originals(str(large_folder), names).tolist() == [0, 1, 0]


def test_a_file_replaced_by_one_of_its_size_and_time_is_compared(large_folder):
    names = write(large_folder, a=b"1", b=b"2", c=b"3")
    assert originals(str(large_folder), names).tolist() == [0, 1, 2]
    write(large_folder, new=b"1")
    before = (large_folder / "c").stat()
    os.utime(large_folder / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(large_folder / "new", large_folder / "c")
    assert originals(str(large_folder), names).tolist() == [0, 1, 0]
