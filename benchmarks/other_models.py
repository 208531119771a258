"""A ladder's blocks without the ladder, in plain Keras and in pythae on PyTorch."""

import importlib.util
import math
from collections.abc import Callable

import keras
import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig, parse_operation
from tf_mmdvlae.model.layers import KERNEL_SIZE, LEAK


def _operations(settings):
    """Encoder and decoder, its mirror: lists of (kind, stride, shape before, shape after)."""
    encoder = [
        (*parse_operation(text)[::2], before, after)
        for block, path in zip(settings.blocks, settings.feature_shapes(), strict=True)
        for text, before, after in zip(block, path[:-1], path[1:], strict=True)
    ]
    decoder = [("dense", 1, (sum(settings.latent_dims),), encoder[-1][-1])]
    for kind, stride, before, after in reversed(encoder):
        decoder.append(("transposed" if kind == "conv" else kind, stride, after, before))
    return encoder, decoder


def plain_autoencoder(settings: ModelConfig, learning_rate: float = 1e-3) -> keras.Model:
    """The blocks of a ladder and their mirror, with one code between them: what Keras itself costs.

    The model has Keras's own layers, training step and Adam: no noise, no MMD, no heads within the
    ladder. The code has as many dimensions as the ladder's layers together. `train_step` takes
    (images, images), float32 [batch, height, width, channels] in [0, 1].
    """
    layers, normalized = keras.layers, settings.normalization == "batch"
    encoder, decoder = _operations(settings)
    kinds = {"conv": layers.Conv2D, "transposed": layers.Conv2DTranspose}

    def apply(features, operation, last=False):
        kind, stride, _, shape = operation
        bias = last or not normalized
        if kind == "dense":
            features = layers.Dense(math.prod(shape), use_bias=bias)(layers.Flatten()(features))
        else:
            layer = kinds[kind](shape[-1], KERNEL_SIZE, stride, padding="same", use_bias=bias)
            features = layer(features)
        if not last:
            features = layers.BatchNormalization()(features) if normalized else features
            features = layers.LeakyReLU(LEAK)(features)
        return layers.Reshape(shape)(features) if kind == "dense" else features

    inputs = features = keras.Input(settings.image_shape)
    for operation in encoder:
        features = apply(features, operation)
    features = layers.Dense(sum(settings.latent_dims))(layers.Flatten()(features))
    for operation in decoder:
        features = apply(features, operation, last=operation is decoder[-1])
    outputs = layers.Activation("sigmoid", dtype="float32")(features)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), "mean_absolute_error")
    return model


def has_pythae() -> bool:
    """Whether pythae and PyTorch are installed: the extra `benchmark`."""
    return all(importlib.util.find_spec(name) is not None for name in ("pythae", "torch"))


def pythae_step(
    settings: ModelConfig, images: np.ndarray, learning_rate: float, threads: int | None
) -> Callable[[], float]:
    """A function that takes a training step of pythae's INFOVAE_MMD and returns its loss.

    Encoder and decoder are those of `plain_autoencoder`, with the ladder's normalization and
    activations. Everything else is pythae's: the mean squared error, seven inverse multiquadratic
    kernels, and what its trainer does in each step, which includes reading the loss.

    Args:
      settings: the ladder.
      images: the batch of every step, float32 [batch, height, width, channels] in [0, 1].
      learning_rate: Adam's.
      threads: PyTorch's threads within an operation; None for PyTorch's own choice. Where other
        processes keep the processor busy, several threads wait for each other so long that one
        thread is faster.

    Raises:
      InputError: if pythae or PyTorch is not installed.
    """
    if not has_pythae():
        raise InputError(
            "The comparison with pythae needs pythae and PyTorch, which are not installed; "
            "pip install --editable '.[benchmark]', or leave --pythae out."
        )
    import torch
    from pythae.models import INFOVAE_MMD, INFOVAE_MMD_Config
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    dimension = sum(settings.latent_dims)
    encoder, decoder = _operations(settings)
    features = math.prod(encoder[-1][-1])

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.trunk = torch.nn.Sequential(*_modules(settings, encoder), torch.nn.Flatten())
            self.mean = torch.nn.Linear(features, dimension)
            self.log_variance = torch.nn.Linear(features, dimension)

        def forward(self, x):
            top = self.trunk(x)
            return ModelOutput(embedding=self.mean(top), log_covariance=self.log_variance(top))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            modules = _modules(settings, decoder, last=len(decoder) - 1)
            self.mirror = torch.nn.Sequential(*modules, torch.nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.mirror(z))

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    *sides, channels = settings.image_shape
    shapes = {"input_dim": (channels, *sides), "latent_dim": dimension}
    pythae_settings = INFOVAE_MMD_Config(**shapes, reconstruction_loss="mse")
    model = INFOVAE_MMD(pythae_settings, Encoder(), Decoder()).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    data = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    threads = threads or torch.get_num_threads()

    def step():
        torch.set_num_threads(threads)
        output = model({"data": data})
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        return output.loss.item()

    return step


def _modules(settings, operations, last=None):
    """PyTorch's layers for `operations`; the one at `last` has a bias and no activation."""
    from torch import nn

    normalized = settings.normalization == "batch"
    modules = []
    for index, (kind, stride, before, after) in enumerate(operations):
        bias = index == last or not normalized
        if kind == "dense":
            size, normalization = math.prod(after), nn.BatchNorm1d
            modules += [nn.Flatten(), nn.Linear(math.prod(before), size, bias=bias)]
        else:
            size, normalization = after[-1], nn.BatchNorm2d
            modules += _convolution(kind, before[-1], size, stride, bias)
        if index != last and normalized:
            modules.append(normalization(size))
        if index != last:
            modules.append(nn.LeakyReLU(LEAK))
        if kind == "dense":
            # Channels come first in PyTorch.
            modules.append(nn.Unflatten(1, (after[-1], *after[:-1])))
    return modules


def _convolution(kind, inputs, outputs, stride, bias):
    """A convolution that pads as Keras's "same" does."""
    from torch import nn

    overlap = max(KERNEL_SIZE - stride, 0)
    before, after = overlap // 2, (overlap + 1) // 2
    # A transposed convolution of stride 1 is a convolution with its filters turned round.
    if kind == "conv" or stride == 1:
        if before == after:
            return [nn.Conv2d(inputs, outputs, KERNEL_SIZE, stride, before, bias=bias)]
        padding = nn.ZeroPad2d((before, after) * 2)
        return [padding, nn.Conv2d(inputs, outputs, KERNEL_SIZE, stride, bias=bias)]
    extra = after - before + max(stride - KERNEL_SIZE, 0)
    return [nn.ConvTranspose2d(inputs, outputs, KERNEL_SIZE, stride, after, extra, bias=bias)]
