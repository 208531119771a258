"""Files and folders appear whole or not at all, whatever happens to the process that writes."""

import hashlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError


def interrupted(replacing, target, write):
    with replacing(target) as temporary:
        write(temporary)
        raise ZeroDivisionError


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError):
        interrupted(files.replacing, target, lambda path: path.write_text("new"))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_of_a_file_is_removed_by_the_next(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name in (f".{dead.pid}.partial.a.json", f".{os.getppid()}.partial.a.json", ".1.mine"):
        (tmp_path / name).touch()
    files.write_json(tmp_path / "b.json", {})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"b.json", f".{os.getppid()}.partial.a.json", ".1.mine"}


def test_replacing_folder_puts_the_new_folder_in_the_place_of_the_old(tmp_path):
    target = tmp_path / "deep" / "folder"
    for name in ("first", "second"):
        with files.replacing_folder(target) as folder:
            assert folder.parent == target.parent
            (folder / name).touch()
        assert [path.name for path in target.iterdir()] == [name]
        assert list(target.parent.iterdir()) == [target]


def test_replacing_folder_keeps_the_old_folder_when_the_block_fails(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(ZeroDivisionError):
        interrupted(files.replacing_folder, target, lambda path: (path / "new").touch())
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_folder_puts_the_old_folder_back_when_the_last_move_fails(tmp_path, monkeypatch):
    target, replace = tmp_path / "folder", os.replace
    target.mkdir()
    (target / "old").touch()

    def full(source, destination):
        if destination == target and (source / "new").exists():
            raise OSError(28, "No space left on device")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", full)
    with (
        pytest.raises(InputError, match="Could not write .*No space left.*unchanged"),
        files.replacing_folder(target) as folder,
    ):
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_folder_refuses_to_replace_a_file(tmp_path):
    (tmp_path / "file").write_text("old")
    with (
        pytest.raises(InputError, match="Could not write"),
        files.replacing_folder(tmp_path / "file"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_replacing_folder_follows_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").touch()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with files.replacing_folder(tmp_path / "link") as folder:
        (folder / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["new"]
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "link"}


def test_place_folder_leaves_a_folder_that_stands(tmp_path):
    standing, new = tmp_path / "standing", tmp_path / "new"
    for folder in (standing, new):
        folder.mkdir()
        (folder / folder.name).touch()
    assert not files.place_folder(new, standing)
    assert [path.name for path in standing.iterdir()] == ["standing"]
    assert files.place_folder(new, tmp_path / "free")
    assert not new.exists()


WRITER = """
import sys, time
from tf_mmdvlae.common.files import hidden_folder
with hidden_folder(sys.argv[1]) as folder:
    (folder / "half").touch()
    print("writing", flush=True)
    time.sleep(600)
"""


def test_hidden_folder_of_a_killed_process_is_removed_by_the_next(tmp_path):
    target = tmp_path / "odd [name]*"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, target], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "writing\n"
        (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
        with files.hidden_folder(target):
            assert (folder / "half").exists()
        files.remove_abandoned(tmp_path)
        assert (folder / "half").exists()
        writer.send_signal(signal.SIGKILL)
    assert folder.exists()
    with files.hidden_folder(tmp_path / "another"):
        assert folder.exists()
    with files.hidden_folder(target):
        assert not folder.exists()
    assert not list(tmp_path.iterdir())


def test_hidden_folder_whose_removal_was_stopped_is_removed_by_the_next(tmp_path, monkeypatch):
    def stop(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt), files.hidden_folder(tmp_path / "target"):
            pass
    assert list(tmp_path.iterdir())
    with files.hidden_folder(tmp_path / "target"):
        pass
    assert not list(tmp_path.iterdir())


def test_locked_keeps_others_out_and_leaves_no_file(tmp_path):
    lock = tmp_path / ".lock"
    with files.locked(lock, "Busy."):
        with pytest.raises(InputError, match=r"^Busy\.$"), files.locked(lock, "Busy."):
            pass
        assert lock.exists()
    assert not lock.exists()
    with files.locked(lock, "Busy.") as is_locked:
        assert is_locked


WAITER = """
import os, sys
from tf_mmdvlae.common.files import locked
with locked(sys.argv[1], "Waiting ...", wait=True):
    assert os.path.exists(sys.argv[1])
    print("alone", flush=True)
"""


def test_locked_waits_for_every_process_before(tmp_path):
    lock = tmp_path / ".lock"
    with files.locked(lock, "Busy."):
        waiters = [
            subprocess.Popen(
                [sys.executable, "-c", WAITER, lock], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for waiter in waiters:
            assert waiter.stdout.readline() == "Waiting ...\n"
            assert waiter.poll() is None
    for waiter in waiters:
        assert waiter.communicate()[0].endswith("alone\n")
        assert waiter.returncode == 0
    assert not lock.exists()


def test_locked_goes_on_without_locks_where_the_file_system_has_none(tmp_path, monkeypatch, caplog):
    def unsupported(file, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    with files.locked(tmp_path / ".lock", "Busy.") as is_locked:
        assert not is_locked
    assert "can't be locked" in caplog.text
    left = tmp_path / ".01234567.cache"
    left.mkdir()
    left.with_name(f"{left.name}.lock").touch()
    files.remove_abandoned(tmp_path)
    assert left.exists()


def test_digest_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert files.digest(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to .*Choose another folder"):
        files.require_folder(tmp_path / "file" / "run")
    with pytest.raises(InputError, match="Cannot write .*Choose another file"):
        files.require_file(tmp_path / "file" / "a.json")
    for name in (".", "file/..", "x" * 250):
        with pytest.raises(InputError, match="Cannot write"):
            files.require_file(tmp_path / name)
    with pytest.raises(InputError, match="no regular file"):
        files.require_file("/dev/null")


def test_a_place_is_proved_without_a_trace(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "old.json").write_text("old")
    assert files.require_folder(tmp_path / "new" / "deep") == tmp_path / "new" / "deep"
    files.require_folder(tmp_path / "mine")
    files.require_file(tmp_path / "new" / "a.json")
    files.require_file(tmp_path / "old.json")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "old.json"}
    assert (tmp_path / "old.json").read_text() == "old"


def test_a_folder_made_for_a_block_stays_if_something_is_left_in_it(tmp_path):
    with files.made_folder(tmp_path / "a" / "b") as folder:
        (folder / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()


def test_json_has_null_for_what_is_not_a_number(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [1.5, float("nan")], "b": {"c": float("inf")}})
    assert (tmp_path / "a.json").read_text().split() == (
        ["{", '"a":', "[", "1.5,", "null", "],", '"b":', "{", '"c":', "null", "}", "}"]
    )


def test_json_is_read_as_it_was_written(tmp_path):
    values = {"step": 3, "name": "a", "shape": [1, 2], "none": None}
    files.write_json(tmp_path / "a.json", values)
    assert files.read_json(tmp_path / "a.json", "", {"step": int, "shape": list}) == values


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b'{"step": 3', "Expecting .*delimiter"),
        (b"\xff", ".*can't decode"),
        (b"[1]", "it holds no JSON object"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b'{"sha": "a"}', "it lacks 'step'"),
        (b'{"step": "a"}', "'step' is no whole number"),
    ],
)
def test_json_that_cannot_be_read_is_an_error_with_advice(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(
        InputError, match=rf"a\.json cannot be read \({reason}.*\)\. Write it again\.$"
    ) as error:
        files.read_json(tmp_path / "a.json", "Write it again.", {"step": int})
    assert isinstance(error.value.__cause__, FileNotFoundError if content is None else ValueError)


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(3), "b": np.ones((2, 2), np.float32)}
    files.write_arrays(tmp_path / "a.npz", arrays)
    for name, values in files.read_arrays(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(values, arrays[name])
    whole = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "plain.npy", arrays["a"])
    huge = whole.replace(b"'shape': (3,)", b"'shape': (9999999999999,)")
    for content in (b"1", b"", whole[:-40], (tmp_path / "plain.npy").read_bytes(), huge):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(InputError, match="a.npz cannot be read"):
            files.read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("read", [files.read_json, files.read_arrays])
def test_a_pipe_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        read(tmp_path / "pipe")
