"""Images and labels of a TFDS data set; finding it, and getting it when it is not there."""

import contextlib
import difflib
import fcntl
import logging
import os
import pathlib
import shutil
import urllib.error
import urllib.parse
import urllib.request

import numpy as np

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.network import network_reachable
from tf_mmdvlae.config import known_datasets
from tf_mmdvlae.data.prepare import FILES, PAGES

_log = logging.getLogger(__name__)

_SHUFFLED_BYTES = 256 * 2**20


class TFDSSource:
    """One split of a prepared TFDS data set.

    Attributes:
      name: data set and split, for messages.
      count: examples in the split, unreadable ones included.
      files: how many files they lie in.
      class_names: label name -> the names of its classes, for the labels that are class ids.
      upright: False; TFDS images are taken as they are stored.
      cache_folder: where a disk cache of this data set belongs.
      fingerprint: what the cache's key is made of.

    Args:
      data: a `DataConfig`.
      split: a TFDS split expression.

    Raises:
      InputError: if the data set is unknown, has no image, can't be had, or lacks the split.
    """

    upright = False

    def __init__(self, data, split):
        builder = find_builder(data)
        self._image, self._labels = find_features(builder)
        ensure_prepared(builder, data)
        self._builder, self._split = builder, split
        try:
            info = builder.info.splits[split]
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{builder.name} has no split {split!r}. It has: {', '.join(builder.info.splits)}."
            ) from error
        if not info.num_examples:
            raise InputError(
                f"Split {split!r} of {builder.name} is empty. "
                f"It has: {', '.join(builder.info.splits)}."
            )
        self.name = f"{builder.name} {split}"
        self.count = info.num_examples
        self.files = len(info.file_instructions)
        self.class_names = {
            name: list(feature.names)
            for name, (_, feature) in self._labels.items()
            if hasattr(feature, "names")
        }
        self.cache_folder = pathlib.Path(builder.data_dir_root).expanduser() / "tf_mmdvlae_cache"
        whole = builder.info.splits[split.partition("[")[0]] if "[" in split else info
        self.fingerprint = [builder.info.full_name, split, str(self.count), str(whole.num_bytes)]
        average = max(1, whole.num_bytes // max(1, whole.num_examples))
        self.shuffle_buffer = max(1, min(self.count, _SHUFFLED_BYTES // average))

    def batches(self, size):
        """Yields (encoded images, labels: name -> [at most `size`]) in order."""
        for batch in self._read().batch(size).as_numpy_iterator():
            labels = {
                name: _at(batch, path).astype(_dtype(feature))
                for name, (path, feature) in self._labels.items()
            }
            yield list(_at(batch, self._image)), labels

    def identify(self, position):
        """The TFDS id of the example at `position`: its shard, and its place in that."""
        for shard in self._builder.info.splits[self._split].file_instructions:
            if position < shard.take:
                return f"{os.path.basename(shard.filename)}__{shard.skip + position}"
            position -= shard.take
        raise IndexError(position)

    def contents(self, part=0, parts=1):
        """The encoded images in order, a tf.data.Dataset of scalar strings.

        Args:
          part, parts: with several parts, those in every `parts`-th file from `part` on; `parts` is
            at most the number of files.
        """
        return self._read(part, parts, labels=False).map(lambda example: _at(example, self._image))

    def _read(self, part=0, parts=1, labels=True):
        import tensorflow as tf
        import tensorflow_datasets as tfds

        wanted = [self._image] + [path for path, _ in self._labels.values()] * labels
        with _no_deprecations():
            return self._builder.as_dataset(
                split=self._split,
                shuffle_files=False,
                decoders=tfds.decode.PartialDecoding(
                    _nested(dict.fromkeys(wanted, True)),
                    decoders=_nested({self._image: tfds.decode.SkipDecoding()}),
                ),
                # One shard after the other, so that `identify` can count.
                read_config=tfds.ReadConfig(
                    interleave_cycle_length=1,
                    input_context=tf.distribute.InputContext(parts, part) if parts > 1 else None,
                ),
            )


@contextlib.contextmanager
def _no_deprecations():
    """Keeps to itself what TFDS says of its own use of deprecated functions."""

    def wanted(record):
        return "deprecated" not in record.getMessage()

    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    for logger in loggers:
        logger.addFilter(wanted)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(wanted)


def find_builder(data):
    """The TFDS builder of `data.dataset`, prepared or not.

    Raises:
      InputError: if there is none of that name; the message lists known ones.
    """
    # TFDS would look into a folder whose name is "~".
    data_dir = data.data_dir and os.path.expanduser(data.data_dir)
    if data.dataset == "synthetic_faces":
        from tf_mmdvlae.data.faces.builder import SyntheticFaces

        return SyntheticFaces(data_dir=data_dir)
    import tensorflow_datasets as tfds

    # TFDS takes MNIST and Mnist for mnist, but our config of that name would not be found.
    if any(letter.isupper() for letter in data.dataset.partition("/")[0]):
        raise InputError(_wrong_case(data.dataset))
    try:
        return tfds.builder(data.dataset, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(unknown_dataset(data.dataset)) from error
    except (ValueError, ImportError, RuntimeError, AssertionError) as error:
        raise InputError(f"TFDS can't open {data.dataset!r}: {first_line(error)}") from error


def unknown_dataset(name):
    """The message for a data set that nobody knows."""
    ours, every = _known()
    close = difflib.get_close_matches(name.lower(), sorted(every), n=5)
    message = f"Data set {name!r} is not known."
    if close:
        message += f" Close: {', '.join(close)}."
    return f"{message} Configured: {', '.join(sorted(ours))}; any image set of TFDS works too."


def _wrong_case(dataset):
    from tensorflow_datasets.core.naming import camelcase_to_snakecase

    name = dataset.partition("/")[0].partition(":")[0]
    _, every = _known()
    meant = next((n for n in (name.lower(), camelcase_to_snakecase(name)) if n in every), None)
    if meant is None:
        return unknown_dataset(dataset)
    return (
        f"Data set {dataset!r} is not known: names are lower case; "
        f"did you mean {meant}{dataset.removeprefix(name)}?"
    )


def _known():
    """The data sets that have a config file, and all of them."""
    import tensorflow_datasets as tfds

    ours = set(known_datasets())
    # Community data sets are listed on a server, and without a network that takes half a minute.
    return ours, ours | set(tfds.list_builders(with_community_datasets=False))


def find_features(builder):
    """The path of a builder's image, and its labels: name -> (path, feature).

    Raises:
      InputError: if there is no 8-bit image.
    """
    import tensorflow_datasets as tfds

    leaves = dict(_leaves(builder.info.features))
    images = [
        path
        for path, feature in leaves.items()
        if type(feature) is tfds.features.Image and feature.np_dtype == np.uint8
    ]
    if not images:
        raise InputError(
            f"{builder.name} has no 8-bit image among its features: "
            f"{', '.join('/'.join(path) for path in leaves)}."
        )
    image = ("image",) if ("image",) in images else images[0]
    labels = {}
    for path, feature in leaves.items():
        if _dtype(feature) is not None:
            name = path[-1] if path[-1] not in labels else "/".join(path)
            labels[name] = path, feature
    return image, labels


def _leaves(features, path=()):
    import tensorflow_datasets as tfds

    if isinstance(features, tfds.features.FeaturesDict):
        for name, feature in features.items():
            yield from _leaves(feature, (*path, name))
    else:
        yield path, features


def _dtype(feature):
    """The NumPy type in which a label is kept; None for what is not a label."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.ClassLabel):
        return np.int64 if feature.num_classes else None
    if isinstance(feature, tfds.features.Tensor) and feature.shape == ():
        if feature.np_dtype == np.bool_:
            return np.bool_
        if np.issubdtype(feature.np_dtype, np.floating):
            return np.float32
    return None


def _at(example, path):
    for name in path:
        example = example[name]
    return example


def _nested(by_path):
    nested = {}
    for path, value in by_path.items():
        inner = nested
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return nested


def is_prepared(builder):
    """Whether the data set lies ready on this machine; asks no server."""
    return builder.data_path.exists() and builder.is_prepared()


def ensure_prepared(builder, data):
    """Makes or downloads a data set that is not there yet.

    Raises:
      InputError: within seconds when there is no network, or when the download fails; the message
        says what to fetch and where to put it.
    """
    if is_prepared(builder):
        return
    if data.dataset == "synthetic_faces":
        print(f"Drawing {builder.name} into {builder.data_dir}, once.")
        try:
            _without_litter(builder)
        except OSError as error:
            raise InputError(
                f"{builder.name} could not be written to {builder.data_dir_root}: {error}"
            ) from error
        return
    server = next(iter(builder.url_infos or {}), "https://storage.googleapis.com/")
    if not network_reachable(server):
        raise InputError(
            f"{builder.name} is not prepared in {builder.data_dir_root} (--data_dir names another "
            f"place), and "
            f"{urllib.parse.urlsplit(server).netloc} can't be reached.\n{_by_hand(builder, data)}"
        )
    print(f"Downloading {builder.name} into {builder.data_dir}, once.")
    try:
        _without_litter(builder)
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # TFDS passes on whatever its many download paths raise.
        raise InputError(
            f"The download of {builder.name} failed: {first_line(error)}\n{_by_hand(builder, data)}"
        ) from error


def _by_hand(builder, data):
    root = f" --data_dir={data.data_dir}" if data.data_dir else ""
    if builder.name not in FILES:
        return (
            f"Where there is a network, run `tfds build {data.dataset}`, then copy its folder "
            f"{builder.name} to {builder.data_dir_root}."
        )
    advice = (
        f"Fetch {', '.join(FILES[builder.name])}\n"
        f"from {PAGES[builder.name]} into one folder, then run\n"
        f"  bin/prepare --dataset={builder.name} --source=THAT_FOLDER{root}"
    )
    if builder.name == "celeb_a":
        advice += (
            "\nGoogle Drive's daily quota is the usual cause of a failed download of this set; "
            "a browser that is signed in often gets past it."
        )
    return advice


def _without_litter(builder):
    """Prepares; on failure removes what was half done, but no file that arrived whole."""
    root = pathlib.Path(builder.data_dir_root).expanduser()
    downloads = root / "downloads"
    with _alone(builder.name, root):
        _prepare(builder, downloads)


@contextlib.contextmanager
def _alone(name, root):
    """Waits while another process prepares the data set: workers all start with nothing there."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / f".{name}.lock"
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process is preparing {name}; waiting for it ...", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            # Some network file systems have no locks.
            _log.warning("%s can't be locked; prepare %s in one process alone.", root, name)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _prepare(builder, downloads):
    before = set(downloads.rglob("*.tmp.*"))
    try:
        # Nothing, where the one that was waited for has prepared it.
        builder.download_and_prepare()
    except BaseException:
        for path in set(downloads.rglob("*.tmp.*")) - before:
            shutil.rmtree(path, ignore_errors=True)
        folders = [path for path in downloads.rglob("*") if path.is_dir()]
        for folder in [*sorted(folders, reverse=True), downloads, builder.data_path.parent]:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
