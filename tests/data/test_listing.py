"""Which files of a folder are pictures, and what is said about the others."""

import os

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.listing import OLD_RULES, in_words, list_pictures


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_endings_and_depth(tmp_path):
    touch(tmp_path, "b.PNG", "a/c.jpeg", "a/d/e.webp", "a/d/f.jpg", "g.jfif", "notes.txt", ".h.png")
    names = ["a/c.jpeg", "a/d/e.webp", "a/d/f.jpg", "b.PNG", "g.jfif"]
    folders = [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "d")]
    assert list_pictures(tmp_path) == (names, 7, {}, folders)
    old = list_pictures(str(tmp_path), OLD_RULES)
    assert (old.names, old.left_out) == (
        ["a/c.jpeg", "a/d/f.jpg", "b.PNG"],
        {".webp file(s)": 1},
    )


def test_hidden_and_system_folders_are_left_out_and_named(tmp_path, caplog):
    hidden = (".ipynb_checkpoints", ".thumbnails", "@eaDir", "__MACOSX", "$RECYCLE.BIN")
    touch(tmp_path, "cat/1.png", *(f"cat/{name}/2.png" for name in hidden))
    listing = list_pictures(tmp_path)
    assert (listing.names, listing.left_out) == (["cat/1.png"], {"hidden or system folder(s)": 5})
    assert f"Left out of {tmp_path}: 5 hidden or system folder(s)" in caplog.text
    assert len(list_pictures(tmp_path, OLD_RULES).names) == 6
    # A person may choose such a folder.
    assert list_pictures(tmp_path / "cat" / ".thumbnails").names == ["2.png"]


def test_other_formats_are_counted_and_named_once(tmp_path, caplog):
    touch(tmp_path, "1.png", "2.heic", "3.HEIC", "4.bmp", "notes.txt")
    for _ in range(3):
        assert list_pictures(tmp_path).left_out == {".heic file(s)": 2, ".bmp file(s)": 1}
    assert caplog.text.count("1 .bmp file(s), 2 .heic file(s); .jpg, .jpeg") == 1
    assert in_words({"link(s)": 1200}) == "1,200 link(s)"


def test_links_are_followed_once_and_never_round_in_circles(tmp_path, caplog):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "pictures"
    touch(elsewhere, "cats/1.png", "cats/2.png", "3.png")
    touch(folder, "dogs/4.png")
    (folder / "cats").symlink_to(elsewhere / "cats")
    (folder / "also_dogs").symlink_to(folder / "dogs")
    (folder / "dogs" / "up").symlink_to(folder)
    (folder / "dogs" / "higher").symlink_to(tmp_path)
    (folder / "5.png").symlink_to(elsewhere / "3.png")
    (folder / "6.png").symlink_to(folder / "6.png")
    (folder / "7.png").symlink_to(folder / "nothing.png")
    names = ["5.png", "6.png", "7.png", "cats/1.png", "cats/2.png", "dogs/4.png"]
    listing = list_pictures(folder)
    assert listing.names == names
    assert listing.left_out == {"link(s) to folders that are read anyway": 3}
    old = list_pictures(folder, OLD_RULES)
    assert old.names == [name for name in names if "cats" not in name]
    (tmp_path / "link").symlink_to(folder)
    assert list_pictures(tmp_path / "link").names == names


def test_pipes_and_folders_are_no_pictures(tmp_path):
    touch(tmp_path, "album.png/1.png", "2.png")
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_pictures(tmp_path)
    assert listing.names == ["2.png", "album.png/1.png"]
    assert listing.left_out == {"device(s), pipe(s) or socket(s)": 1}


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"caf\xe9/1.png"])
def test_names_that_are_not_utf_8(tmp_path, name):
    touch(tmp_path, "1.png", os.fsdecode(name))
    with pytest.raises(InputError, match=r"the name b'caf\\xe9.*' is not UTF-8. Rename") as error:
        list_pictures(tmp_path)
    assert str(error.value).isascii()
    assert len(list_pictures(tmp_path, OLD_RULES).names) == 2
    (tmp_path / os.fsdecode(name)).unlink()
    touch(tmp_path, os.fsdecode(b"no picture \xe9.txt"))
    assert list_pictures(tmp_path).names == ["1.png"]


def test_what_vanishes_or_can_not_be_read_is_left_out(tmp_path, caplog, monkeypatch):
    touch(tmp_path, "a/1.png", "b/2.png", "c/3.png")
    scandir = os.scandir

    def vanishing(folder):
        if os.path.basename(folder) in ("a", "b"):
            raise FileNotFoundError(2, "No such file or directory")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    listing = list_pictures(tmp_path)
    assert (listing.names, listing.left_out) == (["c/3.png"], {"folder(s) that can't be read": 2})
    assert ".webp are read. The folder " in caplog.text
    assert "can't be read: No such file or directory." in caplog.text
    with pytest.raises(InputError, match="No such file or directory"):
        list_pictures(tmp_path, OLD_RULES)


def test_paths_that_are_too_long(tmp_path):
    touch(tmp_path, "1.png")
    folder, deep = os.open(tmp_path, os.O_RDONLY), "x" * 200
    for _ in range(22):
        os.mkdir(deep, dir_fd=folder)
        below = os.open(deep, os.O_RDONLY, dir_fd=folder)
        os.close(os.open("2.png", os.O_CREAT, dir_fd=below))
        os.close(folder)
        folder = below
    os.close(folder)
    listing = list_pictures(tmp_path)
    assert 18 <= len(listing.names) <= 21
    assert all(os.path.exists(tmp_path / name) for name in listing.names)
    assert listing.left_out["folder(s) that can't be read"] == 1


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(InputError, match="nowhere can't be read: No such file"):
        list_pictures(tmp_path / "nowhere")
