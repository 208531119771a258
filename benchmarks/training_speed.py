"""How fast a preset trains, what share of the machine's ceiling that is, where the time goes."""

import time

import numpy as np
import tensorflow as tf

from benchmarks import products
from benchmarks.harness import alternate, compile_step, make_ladder, random_split, spread
from benchmarks.plain_model import plain_autoencoder
from benchmarks.pythae_model import pythae_step
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model import mmd

_SPLIT_IMAGES = 16_384
_CEILINGS = ("matrix product", "convolution", "training convolution")
_PYTHAE_THREADS = {"all": None, "one": 1}


def training_speed(config: Config, rounds: int, policies=("float32",), pythae=False) -> dict:
    """The speed of a preset's training on random images, beside several comparisons.

    Each round times, one after the other: for each precision the step, its convolutions and
    products alone (`bare_products`) and the ceilings (`ceilings`); for the first precision the
    parts of the step, the cached input alone, a plain Keras autoencoder and pythae's INFOVAE_MMD.
    Every step's loss is read. Ratios and shares compare times of the same round. The precisions
    are Keras's dtype policies.

    Returns:
      "batch_size"; "gigaflops_per_step", 2 x multiply-adds of convolutions and products;
      "precisions", policy -> {"images_per_second", "gigaflops_per_second", "ceilings" (GFLOP/s by
      name), "convolution_share" (of the convolution's ceiling), "bare_share" (time of the
      convolutions and products alone / the step's), "ratio" (speed / the first policy's)};
      "shares", of the step's time: {"mmd", "optimizer", "waiting"};
      "input", {"images_per_second", "ratio" (to training)};
      "plain", {"images_per_second", "gigaflops_per_step", "ratio" (our images/s / its),
      "operations_ratio" (our FLOP/s / its)};
      "pythae", None without it: {"threads" ("all" or "one", whichever was faster),
      "images_per_second", "ratio"}.

    Raises:
      InputError: if `pythae` is true and pythae is not installed.
    """
    size, settings, first = config.train.batch_size, config.model, policies[0]
    rate = config.train.learning_rate
    split = random_split(settings.image_shape, _SPLIT_IMAGES)
    batches = iter(pipeline.training_batches(split, size, 0, flip=config.data.flip))
    batch = next(batches)
    calls, operations, pythae_calls = {}, {}, {}
    if pythae:
        for name, threads in _PYTHAE_THREADS.items():
            pythae_calls["pythae", name] = pythae_step(settings, batch.numpy(), rate, threads)
    for policy in policies:
        model = make_ladder(config, policy)
        step = compile_step(model, batch)
        step_products = products.products(step)
        # Reading the loss, as pythae's trainer does, keeps a GPU's steps from overlapping.
        calls[policy] = lambda step=step: step(batch)["loss"].numpy()
        operations[policy] = sum(product.operations for product in step_products)
        calls[policy, "bare"] = products.bare_products(step_products)
        for name, (call, count) in products.ceilings(policy.removeprefix("mixed_")).items():
            calls[policy, name], operations[policy, name] = call, count
        if policy == first:
            calls["optimizer"] = optimizer_update(make_ladder(config))
            calls["mmd"] = mmd_gradients(settings, size, model.jit_compile)
            calls["fed"] = fed = FedSteps(step, batches)
    calls["input"] = lambda: next(batches)
    plain_step = compile_step(plain_autoencoder(settings, rate), (batch, batch))
    operations["plain"] = products.count(plain_step)
    calls["plain"] = lambda: plain_step((batch, batch))["loss"].numpy()
    times = alternate(calls | pythae_calls, rounds)
    return _figures(times, operations, policies, size, fed.waits_of_rounds(rounds))


def _figures(times, operations, policies, size, waits):
    step, count = times[policies[0]], operations[policies[0]]
    precisions = {}
    for policy in policies:
        speed = operations[policy] / times[policy] / 1e9
        highest = {name: operations[policy, name] / times[policy, name] / 1e9 for name in _CEILINGS}
        precisions[policy] = {
            "images_per_second": spread(size / times[policy]),
            "gigaflops_per_second": spread(speed),
            "ceilings": {name: spread(values) for name, values in highest.items()},
            "convolution_share": spread(speed / highest["convolution"]),
            "bare_share": spread(times[policy, "bare"] / times[policy]),
            "ratio": spread(step / times[policy]),
        }
    shares = {name: spread(times[name] / step) for name in ("mmd", "optimizer")}
    fetch, plain, pythae = times["input"], times["plain"], None
    if ("pythae", "all") in times:
        threads = min(_PYTHAE_THREADS, key=lambda name: np.median(times["pythae", name]))
        pythae = {"threads": threads, **_against(size, times["pythae", threads], step)}
    return {
        "batch_size": size,
        "gigaflops_per_step": count / 1e9,
        "precisions": precisions,
        "input": {"images_per_second": spread(size / fetch), "ratio": spread(step / fetch)},
        "plain": {
            **_against(size, plain, step),
            "gigaflops_per_step": operations["plain"] / 1e9,
            "operations_ratio": spread(plain / step * count / operations["plain"]),
        },
        "pythae": pythae,
        "shares": {**shares, "waiting": spread(waits / times["fed"])},
    }


def _against(size, times, step):
    """The speed of a model that takes `times`, and how many times as fast ours is."""
    return {"images_per_second": spread(size / times), "ratio": spread(times / step)}


def mmd_gradients(settings, size, jit_compile):
    """A compiled function: all MMD terms of a `ModelConfig` for `size` codes, with gradients."""
    dimensions = (*settings.latent_dims, sum(settings.latent_dims))
    codes = [tf.random.stateless_normal((size, d), (0, d)) for d in dimensions]
    kernels = [mmd.kernel_for_dimension(settings.kernel, settings.scales, d) for d in dimensions]

    @tf.function(jit_compile=jit_compile)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(codes)
            total = 0.0
            for code, kernel in zip(codes, kernels, strict=True):
                if settings.prior == "closed_form":
                    shape = (settings.frequencies, code.shape[1] + 2)
                    frequencies = kernel.frequencies(tf.random.stateless_normal(shape, (1, 1)))
                    term = mmd.mmd_squared_to_normal(code, kernel, settings.estimator, frequencies)
                else:
                    prior = tf.random.stateless_normal(tf.shape(code), (1, 1))
                    term = mmd.mmd_squared(code, prior, kernel, settings.estimator)
                total += term
        return tape.gradient(total, codes)

    return gradients


def optimizer_update(model):
    """A compiled function: the update of a built model's weights by ready-made gradients."""
    variables = model.trainable_variables
    shapes = [variable.shape for variable in variables]
    gradients = [tf.random.stateless_normal(shape, (0, 0), stddev=1e-3) for shape in shapes]

    @tf.function(jit_compile=model.jit_compile)
    def update():
        model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return model.optimizer.iterations.value

    return update


class FedSteps:
    """Training steps that take their batches from an iterator, and how long each waited for it."""

    def __init__(self, step, batches):
        self.step, self.batches, self.waits = step, batches, []

    def __call__(self):
        start = time.perf_counter()
        batch = next(self.batches)
        self.waits.append(time.perf_counter() - start)
        # A step that ran ahead would make the next batch wait for the step.
        return self.step(batch)["loss"].numpy()

    def waits_of_rounds(self, rounds):
        """Mean seconds of waiting per step in each round; `alternate` makes two calls before."""
        return np.array(self.waits[2:]).reshape(rounds, -1).mean(axis=1)
