"""Eight threads call an export at once, with bad rows among good ones."""

import concurrent.futures

import numpy as np
import psutil
import pytest
import tensorflow as tf

from tests.campaigns import mutation
from tf_mmdvlae.serving.loaded import load

THREADS, ROWS = 8, 6
# TensorFlow's allocator keeps what it had; a leak of a picture an attempt would soon be more.
MOST_GROWTH = 300e6


@pytest.mark.slow
def test_threads(campaign, finished_run):
    served = load(finished_run[1])
    function = served.signatures["reconstruct_bytes"]
    fixed = np.random.default_rng(0)
    good = [mutation.picture(fixed, "PNG") for _ in range(ROWS)]
    alone = [function(image_bytes=tf.constant([one]))["reconstruction_bytes"][0] for one in good]
    alone = [one.numpy() for one in alone]
    before = []

    def call(generator):
        is_bad = generator.random(ROWS) < 0.4
        rows = [
            mutation.mutated(one, generator)[:-1] if bad else one
            for one, bad in zip(good, is_bad, strict=True)
        ]
        outputs = function(image_bytes=tf.constant(rows))
        results = outputs["reconstruction_bytes"].numpy()
        for row in range(ROWS):
            assert is_bad[row] or results[row] == alone[row]
        return bool(is_bad.any())

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:

        def attempt(generator):
            refused = list(pool.map(call, generator.spawn(THREADS)))
            if len(before) < 20:
                before.append(psutil.Process().memory_info().rss)
            assert psutil.Process().memory_info().rss - max(before) < MOST_GROWTH
            return any(refused)

        campaign(attempt, short=10, minutes=10)
