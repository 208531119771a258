"""Starts commands at once: TensorFlow is loaded here, and each command is forked from this process.

A line on standard input is a JSON object: a `command` with its `arguments`, the `folder` that it
starts in, the `log` of all that it prints, and, if not null, the most bytes that a file may have,
`size`. The answers are two lines: the number of the process, and at its end its exit code, which is
below zero after a signal.
"""

import json
import os
import resource
import signal
import sys

import matplotlib.pyplot  # noqa: F401
import sklearn.mixture  # noqa: F401
import tensorflow  # noqa: F401
from tensorflow_datasets.image_classification import mnist

import tf_mmdvlae.data.prepare
import tf_mmdvlae.evaluation.classifier
import tf_mmdvlae.evaluation.compare
from tests.campaigns.commands import MNIST
from tf_mmdvlae.cli import start


def answer():
    """Starts what is asked for, one command after another; returns in a child alone."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            return order
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)


def become(command, arguments, folder, log, size):
    """Makes this process one that a shell had started, with a tiny MNIST."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
    # In the background of a shell an interruption is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    mnist._TRAIN_EXAMPLES, mnist._TEST_EXAMPLES = MNIST.values()
    tf_mmdvlae.data.prepare.MNIST_IMAGES.update(MNIST)
    sys.argv = [command, *arguments]


if __name__ == "__main__":
    order = answer()
    become(**order)
    sys.exit(start(f"tf_mmdvlae.cli.{order['command']}"))
