"""A case that is measured by many tests: building one is slow."""

import pytest

from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.evaluation.case import Case, Part
from tf_mmdvlae.model.directions import find_directions
from tf_mmdvlae.model.samplers import fit_samplers


@pytest.fixture(scope="package")
def faces():
    """A case on drawn faces with a model that was not trained."""
    from tf_mmdvlae.data.faces.factors import sample_factors
    from tf_mmdvlae.data.faces.renderer import render
    from tf_mmdvlae.model.functions import mmd_to_prior, numpy_functions
    from tf_mmdvlae.model.mmdvlae import MMDVLAE

    config = ModelConfig(
        image_shape=(64, 64, 3),
        latent_dims=(2, 3),
        blocks=(("conv4/4",), ("conv4/4", "dense8")),
        head_width=0,
    )
    encode, decode = numpy_functions(MMDVLAE(config))
    train, test = (
        Part.encoded(render(factors), factors, encode)
        for factors in (sample_factors(80, 1), sample_factors(60, 2))
    )
    fitted = fit_samplers(train.means)
    return Case(
        encode=encode,
        decode=decode,
        train=train,
        test=test,
        mmd_squared=mmd_to_prior(config),
        samplers={"prior": fitted.prior.sample, "joint": fitted.joint.sample},
        features=lambda images: images.reshape(len(images), -1)[:, ::512],
        factors=tuple(test.labels),
        render=render,
        directions=find_directions(train.means, train.labels),
        triples=2,
    )
