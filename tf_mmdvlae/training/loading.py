"""The trained model of a finished run."""

from __future__ import annotations

import pathlib
import zipfile

import keras

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.training.workdir import Workdir


def load_run(workdir: pathlib.Path | str) -> MMDVLAE:
    """Loads the model of a finished run, ready for `encode`, `decode`, `sample` or `fit`.

    For `fit` the model is compiled anew, with Adam at the learning rate of the config and with no
    layer fading in. (`keras.saving.load_model` on its `model.keras` gives the optimizer as the run
    left it.)

    Args:
      workdir: the folder of the run.

    Raises:
      InputError: if there is no finished run there.
    """
    folder = Workdir(workdir)
    config = folder.read_config()
    if not folder.model_file.exists():
        raise InputError(
            f"The run in {workdir} has not finished: there is no model.keras. Give the "
            "bin/train command again; it goes on where it stopped."
        )
    model = read_model(folder)
    model.fade_in = None
    model.compile(optimizer=FusedAdam(config.train.learning_rate))
    return model


def read_model(workdir: Workdir) -> MMDVLAE:
    """Reads `model.keras` with the optimizer as the run left it.

    Raises:
      InputError: if the file cannot be read.
    """
    try:
        return keras.saving.load_model(workdir.model_file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{workdir.model_file} cannot be read ({error}); remove metrics.json there and "
            "give the bin/train command again to write it anew."
        ) from error
