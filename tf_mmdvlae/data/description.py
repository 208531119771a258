"""What a data set holds, before it is read; of a folder this needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.image_folder import describe_folder

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import DataConfig


@dataclasses.dataclass(frozen=True)
class Description:
    """What a data set is, before it is read.

    Attributes:
      image_shape: height, width and channels as stored, None where images differ. Of a folder, the
        largest square that most of its pictures fill, and 1 channel if all are grey.
      splits: names of splits -> numbers of examples.
      count: the number of examples in a split expression, such as "train[:90%]".
      test_fraction: of a folder, the `DataConfig.test_fraction` that gives each split two pictures
        or more; None for other sets.
    """

    image_shape: tuple[int | None, int | None, int | None]
    splits: dict[str, int]
    count: Callable[[str], int] = dataclasses.field(compare=False)
    test_fraction: float | None = None


def describe(data: DataConfig) -> Description:
    """What a data set holds; reads no pixel, but prepares a TFDS set that is not prepared yet.

    A data set that is unknown, holds no image or can't be had is an `InputError`.
    """
    if data.dataset == "image_folder":
        shape, splits, test_fraction = describe_folder(data)

        def count(split):
            if split not in splits:
                raise InputError(f"A folder has no split {split!r}. It has: {', '.join(splits)}.")
            return splits[split]

        return Description(shape, splits, count, test_fraction)
    from tf_mmdvlae.data.builders import find_builder

    # Without TensorFlow this refuses a name that is not known.
    find_builder(data)
    from tf_mmdvlae.data.tfds_source import describe_builder

    return Description(*describe_builder(data))
