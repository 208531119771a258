"""pythae's INFOVAE_MMD on PyTorch with a ladder's blocks, and its training step."""

import importlib.util
import math

from benchmarks.trunk import trunk
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.layers import KERNEL_SIZE, LEAK


def is_installed():
    """Whether pythae and PyTorch are there: the extra `benchmark`."""
    return all(importlib.util.find_spec(name) is not None for name in ("pythae", "torch"))


def check_installed():
    """Raises InputError if pythae or PyTorch is not installed."""
    if not is_installed():
        raise InputError(
            "The comparison with pythae needs pythae and PyTorch, which are not installed; "
            "pip install --editable '.[benchmark]', or leave --pythae out."
        )


def pythae_step(settings, images, learning_rate, threads=None):
    """A training step of pythae's INFOVAE_MMD (its own loss, Adam) on one batch.

    Encoder and decoder are the blocks of the ladder's trunk and their mirror, with normalization
    and activations as there; the code has as many dimensions as the ladder's layers together. All
    else is as pythae has it: the mean squared error and seven inverse multiquadratic kernels, and
    in each step what its trainer's does, reading the loss included. PyTorch keeps the number of
    threads that it chose for the machine.

    Args:
      settings: a `ModelConfig`.
      images: float32 array [batch, height, width, channels] in [0, 1].
      learning_rate: Adam's.
      threads: PyTorch's threads within an operation; None for as many as it chose itself. Where
        other processes keep the processor busy, several of them wait for each other so long that
        one is faster.

    Returns:
      A function without arguments that takes a step and returns its loss.

    Raises:
      InputError: if pythae or PyTorch is not installed.
    """
    check_installed()
    import torch
    from pythae.models import INFOVAE_MMD, INFOVAE_MMD_Config
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    dimension = sum(settings.latent_dims)
    features = math.prod(trunk(settings)[-1][-1])

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.trunk = torch.nn.Sequential(*_encoder(settings), torch.nn.Flatten())
            self.mean = torch.nn.Linear(features, dimension)
            self.log_variance = torch.nn.Linear(features, dimension)

        def forward(self, x):
            found = self.trunk(x)
            return ModelOutput(embedding=self.mean(found), log_covariance=self.log_variance(found))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.mirror = torch.nn.Sequential(*_decoder(settings))

        def forward(self, z):
            return ModelOutput(reconstruction=self.mirror(z))

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    height, width, channels = settings.image_shape
    model_config = INFOVAE_MMD_Config(
        input_dim=(channels, height, width), latent_dim=dimension, reconstruction_loss="mse"
    )
    model = INFOVAE_MMD(model_config, Encoder(), Decoder()).to(device).train()
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


def _encoder(settings):
    modules = []
    for kind, stride, below, above in trunk(settings):
        if kind == "conv":
            modules += _convolution(below[-1], above[-1], stride, _biased(settings))
            modules += _settled(settings, above)
        else:
            modules += _dense(settings, below, above)
    return modules


def _decoder(settings):
    import torch

    operations = trunk(settings)
    modules = _dense(settings, (sum(settings.latent_dims),), operations[-1][-1])
    for index in reversed(range(len(operations))):
        kind, stride, below, above = operations[index]
        if kind == "conv":
            modules += _transposed(above[-1], below[-1], stride, _biased(settings) or index == 0)
            modules += _settled(settings, below) if index else []
        else:
            modules += _dense(settings, above, below, last=index == 0)
    return [*modules, torch.nn.Sigmoid()]


def _dense(settings, inputs, outputs, last=False):
    import torch

    size = math.prod(outputs)
    layer = torch.nn.Linear(math.prod(inputs), size, bias=_biased(settings) or last)
    settled = [] if last else _settled(settings, (size,))
    # Channels come first in PyTorch.
    shape = (outputs[-1], *outputs[:-1])
    return [torch.nn.Flatten(), layer, *settled, torch.nn.Unflatten(1, shape)]


def _biased(settings):
    return settings.normalization != "batch"


def _settled(settings, shape):
    import torch

    modules = [torch.nn.LeakyReLU(LEAK)]
    if settings.normalization == "batch":
        kind = torch.nn.BatchNorm2d if len(shape) == 3 else torch.nn.BatchNorm1d
        modules.insert(0, kind(shape[-1]))
    return modules


def _convolution(inputs, outputs, stride, bias):
    import torch

    before = max(KERNEL_SIZE - stride, 0) // 2
    after = max(KERNEL_SIZE - stride, 0) - before
    padding = [torch.nn.ZeroPad2d((before, after) * 2)] if before != after else []
    sides = 0 if padding else before
    return [*padding, torch.nn.Conv2d(inputs, outputs, KERNEL_SIZE, stride, sides, bias=bias)]


def _transposed(inputs, outputs, stride, bias):
    import torch

    if stride == 1:
        # A transposed convolution of stride 1 is a convolution with its filters turned round.
        return _convolution(inputs, outputs, 1, bias)
    lost = max(KERNEL_SIZE - stride, 0)
    sides = (lost + 1) // 2
    return [
        torch.nn.ConvTranspose2d(
            inputs,
            outputs,
            KERNEL_SIZE,
            stride,
            sides,
            output_padding=2 * sides - lost + max(stride - KERNEL_SIZE, 0),
            bias=bias,
        )
    ]
