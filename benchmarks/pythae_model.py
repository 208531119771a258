"""The ladder's layers as pythae's INFOVAE_MMD on PyTorch."""

import importlib.util
import math
from collections.abc import Callable

import numpy as np

from benchmarks.plain_model import blocks, mirrored
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model.layers import INITIAL_GATE, KERNEL_SIZE, LEAK


def has_pythae() -> bool:
    """Whether pythae and PyTorch are installed: the extra `benchmark`."""
    return all(importlib.util.find_spec(name) is not None for name in ("pythae", "torch"))


def pythae_step(
    settings: ModelConfig, images: np.ndarray, learning_rate: float, threads: int | None
) -> Callable[[], float]:
    """A function that takes a training step of pythae's INFOVAE_MMD and returns its loss.

    Encoder and decoder have all layers of the ladder, heads and merging included, so that both
    models have the same weights; the codes of all latent layers are one code for pythae. Everything
    else is pythae's: the mean squared error, seven inverse multiquadratic kernels, and what its
    trainer does in each step, which includes reading the loss.

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

    dimensions, width, steps = settings.latent_dims, settings.head_width, blocks(settings)
    dimension, untapped = sum(dimensions), len(steps) - len(dimensions)
    tops = [block[-1][-1] for block in steps]

    def chain(*operations, last=None):
        return torch.nn.Sequential(*_modules(settings, operations, last))

    def hidden(before):
        return [("dense", 1, before, (width,))] if width else []

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            own = [] if settings.shared_trunk else steps[untapped:]
            shared = steps[: len(steps) - bool(own)]
            self.trunk = torch.nn.ModuleList(chain(*block) for block in shared)
            self.branches = torch.nn.ModuleList(chain(*block) for block in own)
            self.hidden, self.means, self.log_variances = (torch.nn.ModuleList() for _ in range(3))
            for size, top in zip(dimensions, tops[untapped:], strict=True):
                features = width or math.prod(top)
                self.hidden.append(chain(*hidden(top)).append(torch.nn.Flatten()))
                self.means.append(torch.nn.Linear(features, size))
                self.log_variances.append(torch.nn.Linear(features, size))

        def forward(self, x):
            means, log_variances = [], []
            for index in range(len(steps)):
                below, layer = x, index - untapped
                if index < len(self.trunk):
                    x = self.trunk[index](below)
                if layer >= 0:
                    top = self.branches[layer](below) if self.branches else x
                    top = self.hidden[layer](top)
                    means.append(self.means[layer](top))
                    log_variances.append(self.log_variances[layer](top))
            codes = (torch.cat(parts, dim=1) for parts in (means, log_variances))
            return ModelOutput(**dict(zip(("embedding", "log_covariance"), codes, strict=True)))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.inject, self.mirror = torch.nn.ModuleList(), torch.nn.ModuleList()
            self.gates = torch.nn.ParameterList()
            for size, top in zip(dimensions, tops[untapped:], strict=True):
                before = (width or size,)
                self.inject.append(chain(*hidden((size,)), ("dense", 1, before, top)))
                # The block at the top merges nothing.
                if settings.merge == "gated_add" and len(self.inject) < len(dimensions):
                    self.gates.append(torch.full((top[-1], *top[:-1]), INITIAL_GATE))
            for index, block in enumerate(steps):
                (kind, stride, (*places, channels), after), *rest = mirrored(block)
                if settings.merge == "concatenate" and untapped <= index < len(steps) - 1:
                    channels *= 2
                operations = [(kind, stride, (*places, channels), after), *rest]
                last = None if index else len(rest)
                self.mirror.append(chain(*operations, last=last))

        def forward(self, z):
            codes, features = torch.split(z, list(dimensions), dim=1), None
            for index in reversed(range(len(steps))):
                layer = index - untapped
                if layer >= 0:
                    injected = self.inject[layer](codes[layer])
                    if features is None:
                        features = injected
                    elif settings.merge == "concatenate":
                        features = torch.cat([features, injected], dim=1)
                    else:
                        features = features + self.gates[layer] * injected
                features = self.mirror[index](features)
            return ModelOutput(reconstruction=torch.sigmoid(features))

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
