"""The disk cache: reused, made again when damaged, whole or not there."""

import errno
import hashlib
import itertools
import json
import os
import pathlib
import types

import numpy as np
import pytest

from tf_mmdvlae.common import files
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import DataConfig
from tf_mmdvlae.data import cache, decode, pipeline

SHAPE = (8, 8, 3)


def cache_folder(data_dir):
    return pathlib.Path(data_dir) / "tf_mmdvlae_cache"


def load_test(data_dir, **settings):
    data = DataConfig(dataset="tiny_pictures", data_dir=str(data_dir), **settings)
    return pipeline.load_split(data, SHAPE, "test")


@pytest.fixture
def own_data_dir(data_dir, tmp_path):
    """The prepared data with caches of its own."""
    (tmp_path / "tiny_pictures").symlink_to(f"{data_dir}/tiny_pictures")
    return tmp_path


def whole_caches(data_dir):
    """Folder -> its identity, which changes when the cache is made again."""
    folders = cache_folder(data_dir).glob("[!.]*")
    return {folder: folder.stat().st_ino for folder in folders}


def test_disk_cache_is_reused_and_made_again_when_damaged(own_data_dir, caplog):
    expected = load_test(own_data_dir, cache="memory")
    for _ in range(2):
        split = load_test(own_data_dir, cache="disk")
        np.testing.assert_array_equal(split.images, expected.images)
        caches = whole_caches(own_data_dir)
    assert whole_caches(own_data_dir) == caches
    (folder,) = caches
    damages = {
        "images.npy": (lambda content: content[:2000], lambda content: content[:-1] + b"x"),
        "label_0.npy": (lambda content: content[:20], lambda content: content[:-1] + b"x"),
        "metadata.json": (
            lambda content: content[:5],
            lambda content: content.replace(b"sha256", b"sha"),
        ),
    }
    for file, damage in [(file, damage) for file, both in damages.items() for damage in both]:
        (folder / file).write_bytes(damage((folder / file).read_bytes()))
        caplog.clear()
        split = load_test(own_data_dir, cache="disk")
        assert "is damaged" in caplog.text
        np.testing.assert_array_equal(split.images, expected.images)
        assert split.labels.keys() == expected.labels.keys()
        for name, values in split.labels.items():
            np.testing.assert_array_equal(values, expected.labels[name])
    caches = whole_caches(own_data_dir)
    load_test(own_data_dir, cache="disk", crop=0.5)
    load_test(own_data_dir, cache="disk", test_split="test[:4]")
    assert len(list(cache_folder(own_data_dir).iterdir())) == 3
    assert caches.items() <= whole_caches(own_data_dir).items()


def while_reading(monkeypatch, action):
    """Calls `action` once, when the first image is decoded."""
    decoded, original = itertools.count(), decode.opened

    def opened(*arguments, **settings):
        if next(decoded) == 0:
            action()
        return original(*arguments, **settings)

    monkeypatch.setattr(decode, "opened", opened)


def test_stopped_run_leaves_no_cache(own_data_dir, monkeypatch):
    def stop():
        assert list(cache_folder(own_data_dir).iterdir())
        raise KeyboardInterrupt

    while_reading(monkeypatch, stop)
    with pytest.raises(KeyboardInterrupt):
        load_test(own_data_dir, cache="disk")
    assert not list(cache_folder(own_data_dir).iterdir())


def test_cache_can_be_read_by_others(own_data_dir):
    load_test(own_data_dir, cache="disk")
    (folder,) = cache_folder(own_data_dir).iterdir()
    (own_data_dir / "ordinary").mkdir()
    assert folder.stat().st_mode == (own_data_dir / "ordinary").stat().st_mode


@pytest.mark.parametrize("number", [errno.ENOTEMPTY, errno.EEXIST])
def test_cache_of_a_faster_run_stands(own_data_dir, monkeypatch, number):
    rename, caches = os.rename, {}

    def overtake():
        load_test(own_data_dir, cache="disk")
        caches.update(whole_caches(own_data_dir))

    def renamed(*arguments):
        try:
            rename(*arguments)
        except OSError as error:
            raise OSError(number, os.strerror(number)) from error

    while_reading(monkeypatch, overtake)
    monkeypatch.setattr(os, "rename", renamed)
    assert load_test(own_data_dir, cache="disk").size == 21
    assert len(caches) == 1
    assert whole_caches(own_data_dir) == caches
    assert list(cache_folder(own_data_dir).iterdir()) == list(caches)


def test_only_a_fill_whose_process_is_dead_is_removed(own_data_dir, monkeypatch):
    abandoned = cache_folder(own_data_dir) / ".01234567.other"

    def start_another():
        (live,) = cache_folder(own_data_dir).glob("*tiny_pictures_test*[!k]")
        abandoned.mkdir()
        abandoned.with_name(f"{abandoned.name}.lock").touch()
        load_test(own_data_dir, cache="disk", crop=0.5)
        assert live.is_dir()
        assert not abandoned.exists()

    while_reading(monkeypatch, start_another)
    assert load_test(own_data_dir, cache="disk").size == 21
    assert len(whole_caches(own_data_dir)) == len(list(cache_folder(own_data_dir).iterdir())) == 2


def test_a_disk_that_is_full_while_a_cache_is_written_ends_it_in_an_error(
    own_data_dir, monkeypatch
):
    """A file that is mapped into memory would take the process down."""

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"can't be written.*: No space left.*--cache=memory"):
        load_test(own_data_dir, cache="disk")
    assert not list(cache_folder(own_data_dir).iterdir())


def test_cache_that_cannot_be_written(own_data_dir):
    cache_folder(own_data_dir).write_text("in the way")
    with pytest.raises(InputError, match=r"can't be written: .*--cache=memory"):
        load_test(own_data_dir, cache="disk")


@pytest.mark.parametrize(("seconds", "again"), [(-1, 0), (1e9, 1)])
def test_what_is_slow_to_decode_is_decoded_once(own_data_dir, monkeypatch, seconds, again):
    passes, read = [], cache.read
    monkeypatch.setattr(cache, "read", lambda *given: passes.append(given) or read(*given))
    monkeypatch.setattr(cache, "_QUICK_SECONDS", seconds)
    first = load_test(own_data_dir)
    assert len(passes) == 1
    second = load_test(own_data_dir)
    assert len(passes) == 1 + again
    np.testing.assert_array_equal(first.images, second.images)
    for name, values in first.labels.items():
        np.testing.assert_array_equal(values, second.labels[name])
    # A damaged cache is replaced.
    for folder in whole_caches(own_data_dir):
        (folder / "metadata.json").write_text("{}")
        np.testing.assert_array_equal(load_test(own_data_dir).images, first.images)
        load_test(own_data_dir)
        assert len(passes) == 2


def test_a_cache_that_nobody_asked_for_need_not_be_written(own_data_dir, monkeypatch):
    monkeypatch.setattr(cache, "_QUICK_SECONDS", -1)
    cache_folder(own_data_dir).write_text("in the way")
    assert load_test(own_data_dir).size == 21


def test_a_new_cache_is_not_read_twice(own_data_dir, monkeypatch):
    read, original = [], files.digest
    monkeypatch.setattr(files, "digest", lambda path: read.append(path.name) or original(path))
    for times in (1, 2):
        load_test(own_data_dir, cache="disk")
        assert read.count("images.npy") == times


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_the_name_of_a_cache_is_that_of_older_versions(monkeypatch, chunk):
    monkeypatch.setattr(cache, "_CHUNK", chunk)
    parts = ["/pictures", 'a "b".png', "12", "\u00e9.png", "7"]
    expected = hashlib.sha256(json.dumps([1, parts, [8, 8, 3], 0.5]).encode()).hexdigest()
    source = types.SimpleNamespace(fingerprint=iter(parts))
    assert cache._key(source, (8, 8, 3), 0.5) == expected
