"""What all commands share: reading flags, --help, --version, and errors in one or two lines."""

import os
import signal
import sys
import tempfile

from absl import flags

from tf_mmdvlae import __version__
from tf_mmdvlae.common.errors import InputError, TrainingStopped

_CONFIG = "--config."


def run(name, about, define_flags, call, takes_config=False):
    """Runs a command and returns its exit code.

    Args:
      name: the command, such as "train".
      about: what it does, for --help.
      define_flags: called with a `flags.FlagValues` to define the command's flags.
      call: called with the parsed flags (and a list of (path, value) of --config.<path>=<value>
        when `takes_config`).
      takes_config: whether --config.<section>.<field>=<value> is taken.

    Returns:
      0; 1 for what the user's input or the run made impossible; 2 for flags that can't be read;
      128 + the signal's number when stopped by one.
    """
    values = flags.FlagValues()
    define_flags(values)
    arguments = sys.argv[1:]
    if any(argument in ("--help", "-h", "--helpfull", "-help") for argument in arguments):
        print(f"bin/{name} {__version__}: {about.strip()}\n\nFlags:{_flag_help(values)}")
        return 0
    if "--version" in arguments:
        print(f"tf_mmdvlae {__version__}")
        return 0
    try:
        overrides, rest = _split_overrides(arguments) if takes_config else ([], arguments)
        unparsed = values([name, *rest])[1:]
        if unparsed:
            raise flags.Error(f"{unparsed[0]!r} is not a flag; flags begin with --.")
    except flags.UnrecognizedFlagError as error:
        known = ", ".join(f"--{flag}" for flag in sorted(values))
        return _fail(f"--{error.flagname} is not a flag of bin/{name}. Known: {known}.", 2)
    except flags.Error as error:
        return _fail(f"{error} See bin/{name} --help.", 2)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _load_tensorflow()
        call(*((values, overrides) if takes_config else (values,)))
    except InputError as error:
        return _fail(error, 1)
    except TrainingStopped as error:
        return _fail(error, error.exit_code)
    except KeyboardInterrupt as stop:
        code = stop.args[0] if stop.args else 130
        return _fail("Stopped; nothing is left half written. Give the same command again.", code)
    return 0


def bars_on_terminals_only():
    """Stops TFDS from writing its progress bars, thousands of lines, into files and pipes."""
    if not sys.stderr.isatty():
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()


def _terminated(number, frame):
    if _is_finalizing(frame):
        # What a finalizer raises is dropped: once more, a moment later.
        signal.signal(signal.SIGALRM, lambda _, frame: _terminated(number, frame))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return
    raise KeyboardInterrupt(128 + number)


def _is_finalizing(frame):
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def _load_tensorflow():
    """Loads TensorFlow without the lines that it prints while it looks for devices.

    They come from C++ before any level can be set. The devices found are shown by the commands; to
    see the lines, set TF_CPP_MIN_LOG_LEVEL.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        _leave_memory_to_others()
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    visible = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            _leave_memory_to_others()
        except BaseException:
            hidden.seek(0)
            os.write(visible, hidden.read())
            raise
        finally:
            os.dup2(visible, 2)
            os.close(visible)


def _leave_memory_to_others():
    """Keeps TensorFlow from taking all memory of a GPU at once."""
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def _split_overrides(arguments):
    overrides, rest = [], []
    waiting = None
    for argument in arguments:
        if waiting is not None:
            overrides.append((waiting, argument))
            waiting = None
        elif argument.startswith(_CONFIG):
            path, equals, value = argument.removeprefix(_CONFIG).partition("=")
            if equals:
                overrides.append((path, value))
            else:
                waiting = path
        else:
            rest.append(argument)
    if waiting is not None:
        raise flags.Error(f"{_CONFIG}{waiting} has no value.")
    return overrides, rest


def _flag_help(values):
    text, width = "", max(map(len, values)) + 1
    for name in sorted(values):
        flag = values[name]
        default = "" if flag.default in (None, False) else f" [default: {flag.default}]"
        text += f"\n  --{name:<{width}}{flag.help}{default}"
    return text


def _fail(message, code):
    print(f"error: {message}", file=sys.stderr)
    return code
