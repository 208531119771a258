"""How fast a preset trains, what that is of the machine's ceiling, and where a step's time goes."""

import numpy as np

from benchmarks import products as floating_point_operations
from benchmarks.bare_products import bare_products
from benchmarks.ceilings import ceilings
from benchmarks.harness import alternate, spread
from benchmarks.other_models import plain_autoencoder
from benchmarks.parts_of_a_step import FedSteps, mmd_gradients, optimizer_alone
from benchmarks.pythae_model import pythae_step
from benchmarks.steps import compile_step, make_ladder
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.data import pipeline

_SPLIT_IMAGES = 16_384


def training_speed(config, rounds=5, policies=("float32",), pythae=False, least=0.5):
    """The speed of a preset's training on random images, beside what it is to be compared with.

    Each round times, one after the other: for each precision the step, its convolutions and
    products by themselves (`bare_products`) and the ceilings (`ceilings`); for the first
    precision the parts of the step, the cached input alone, a plain Keras autoencoder and
    pythae's INFOVAE_MMD. Every step's loss is read. Ratios and shares are taken within a round.

    Args:
      config: a `Config`.
      rounds: how many rounds.
      policies: Keras dtype policies; all comparisons are with the first.
      pythae: whether pythae's model is timed.
      least: seconds that one measurement takes, about.

    Returns:
      A dict in which what was measured is {"median", "low", "high"} over the rounds:
      "batch_size"; "gigaflops_per_step", 2 x multiply-adds of convolutions and products;
      "precisions", policy -> {"images_per_second", "gigaflops_per_second", "ceilings" (GFLOP/s by
      name), "convolution_share" (of the convolution's ceiling), "bare_share" (time of the
      convolutions and products by themselves / the step's), "ratio" (speed / the first policy's)};
      "shares", of the step's time: {"mmd", "optimizer", "waiting"};
      "input", {"images_per_second", "ratio" (to training)};
      "plain", {"images_per_second", "gigaflops_per_step", "ratio" (our images/s / its),
      "operations_ratio" (our FLOP/s / its)};
      "pythae", {"threads" ("all" or "one", with which it was faster), "images_per_second",
      "ratio"}, or None where it was not timed.

    Raises:
      InputError: if `pythae` is asked for and not installed.
    """
    size, settings, first = config.train.batch_size, config.model, policies[0]
    batches = _random_batches(config)
    batch = next(batches)
    # What can be refused, before what takes time.
    others = {}
    if pythae:
        for name, threads in (("all", None), ("one", 1)):
            rate = config.train.learning_rate
            others["pythae", name] = pythae_step(settings, batch.numpy(), rate, threads)

    calls, operations = {}, {}
    for policy in policies:
        model = make_ladder(config, policy)
        step = compile_step(model, batch)
        products = floating_point_operations.products(step)
        # The loss is read in every step, as pythae's trainer does: a GPU's steps would overlap.
        calls[policy] = lambda step=step: step(batch)["loss"].numpy()
        operations[policy] = sum(product.operations for product in products)
        calls[policy, "bare"] = bare_products(products)
        for name, (call, count) in ceilings(policy.removeprefix("mixed_")).items():
            calls[policy, name], operations[policy, name] = call, count
        if policy == first:
            calls["optimizer"] = optimizer_alone(make_ladder(config))
            calls["mmd"] = mmd_gradients(settings, size, model.jit_compile)
            calls["fed"] = fed = FedSteps(step, batches)
    calls["input"] = lambda: next(batches)
    plain_step = compile_step(
        plain_autoencoder(settings, config.train.learning_rate), (batch, batch)
    )
    operations["plain"] = floating_point_operations.count(plain_step)
    calls["plain"] = lambda: plain_step((batch, batch))["loss"].numpy()
    calls.update(others)

    progress = Progress(rounds * len(calls), "measurements", images=0)
    times = alternate(calls, rounds, least, progress)
    return {
        "batch_size": size,
        **_figures(times, operations, policies, size),
        "shares": {
            "mmd": spread(times["mmd"] / times[first]),
            "optimizer": spread(times["optimizer"] / times[first]),
            "waiting": spread(fed.waited(rounds) / times["fed"]),
        },
    }


def _figures(times, operations, policies, size):
    step, done = times[policies[0]], operations[policies[0]]
    figures = {"gigaflops_per_step": done / 1e9, "precisions": {}}
    for policy in policies:
        speed = operations[policy] / times[policy] / 1e9
        highest = {
            name: operations[policy, name] / times[policy, name] / 1e9
            for name in ("matrix product", "convolution", "training convolution")
        }
        figures["precisions"][policy] = {
            "images_per_second": spread(size / times[policy]),
            "gigaflops_per_second": spread(speed),
            "ceilings": {name: spread(values) for name, values in highest.items()},
            "convolution_share": spread(speed / highest["convolution"]),
            "bare_share": spread(times[policy, "bare"] / times[policy]),
            "ratio": spread(step / times[policy]),
        }
    figures["input"] = {
        "images_per_second": spread(size / times["input"]),
        "ratio": spread(step / times["input"]),
    }
    figures["plain"] = {
        "images_per_second": spread(size / times["plain"]),
        "gigaflops_per_step": operations["plain"] / 1e9,
        "ratio": spread(times["plain"] / step),
        "operations_ratio": spread(times["plain"] / step * done / operations["plain"]),
    }
    figures["pythae"] = None
    runs = {name: times["pythae", name] for name in ("all", "one") if ("pythae", name) in times}
    if runs:
        fastest = min(runs, key=lambda name: np.median(runs[name]))
        figures["pythae"] = {
            "threads": fastest,
            "images_per_second": spread(size / runs[fastest]),
            "ratio": spread(runs[fastest] / step),
        }
    return figures


def _random_batches(config):
    shape = (_SPLIT_IMAGES, *config.model.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    split = pipeline.Split("train", images, {}, {}, _SPLIT_IMAGES)
    return iter(pipeline.training_batches(split, config.train.batch_size, 0, flip=config.data.flip))
