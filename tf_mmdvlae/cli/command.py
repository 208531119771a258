"""What all commands share: a table of flags, --help, --version, and errors in one or two lines."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import io
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import unicodedata
import weakref
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tf_mmdvlae import __version__
from tf_mmdvlae.cli.output import Printable, plain_record, printable
from tf_mmdvlae.cli.quiet import prepare_tensorflow
from tf_mmdvlae.common.errors import InputError, TrainingStopped, first_line
from tf_mmdvlae.common.hub import is_on_hub, parse_name
from tf_mmdvlae.common.numbers import number, whole_number
from tf_mmdvlae.common.paths import expanded, require_short
from tf_mmdvlae.common.stopping import stopping_signals
from tf_mmdvlae.config import known_datasets

if TYPE_CHECKING:
    from tf_mmdvlae.config.settings import Config

_CONFIG = "--config."
_LONGEST_LINE = 1_500
# The numbers of the signals that came since the command began.
_received: list[int] = []


class _WholeNumber(flags.IntegerParser):
    def convert(self, argument: int | str) -> int:
        return whole_number(argument) if isinstance(argument, str) else super().convert(argument)


class _Number(flags.FloatParser):
    def convert(self, argument: float | str) -> float:
        return number(argument) if isinstance(argument, str) else super().convert(argument)


class _Truth(flags.BooleanParser):
    def parse(self, argument: bool | str | int) -> bool:
        try:
            return super().parse(argument)
        except ValueError:
            raise ValueError(f"{argument!r} is not true or false") from None


_PARSERS: dict[Any, Any] = {int: _WholeNumber, float: _Number}
_DEFINITIONS: dict[Any, Any] = {bool: flags.DEFINE_bool, list: flags.DEFINE_list}


class Flag(NamedTuple):
    """One flag of a command.

    Attributes:
      type: str, int, float, bool, list (words with commas between them), or a function that turns
        the text into a value.
      help: what the flag is for, for --help and for the message where a required flag is missing.
      default: the value where the flag is not given.
      required: whether the command needs the flag.
      choices: the only values that the flag, or each word of a list, may have; any if empty.
      at_least: the smallest number that the flag may have.
    """

    type: Callable[..., Any]
    help: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    at_least: int | None = None


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `bin/`; each module of this folder has one, called `main`.

    Attributes:
      name: as in `bin/<name>`.
      about: what the command does, for --help.
      table: the flags by name, in the order of --help.
      run: does the work; takes what `parse` returns.
      takes_config: whether the command takes --config.<section>.<field>=<value>.
    """

    name: str
    about: str | None
    table: dict[str, Flag]
    run: Callable[[SimpleNamespace], None]
    takes_config: bool = False

    def __call__(self, arguments: list[str] | None = None) -> int:
        """Runs the command on `arguments`, or on those of `sys.argv`, and returns its exit code.

        Returns:
          0; 1 if the user's input, the machine or the run made it impossible; 2 for flags that
          can't be read; 128 + the signal's number when a signal stopped the command, which is
          SIGPIPE where nobody reads what it prints any more.
        """
        arguments = sys.argv[1:] if arguments is None else arguments
        _received.clear()
        for stream in (sys.stdout, sys.stderr):
            # Names of files need not be text, and Python would refuse to print them.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        logging.setLogRecordFactory(plain_record)
        try:
            with contextlib.redirect_stdout(Printable(sys.stdout)):
                self._answer(arguments)
            sys.stdout.flush()
        except TrainingStopped as error:
            return _fail(error, error.exit_code)
        except BrokenPipeError:
            return _leave_quietly()
        except (Exception, KeyboardInterrupt) as error:
            if _received or isinstance(error, KeyboardInterrupt):
                # TensorFlow turns an interruption into errors of other kinds.
                number = _received[0] if _received else signal.SIGINT
                message = "Stopped; nothing is left half written. Give the same command again."
                return _fail(message, 128 + number)
            if isinstance(error, flags.Error):
                return _fail(f"{str(error).removesuffix('.')}. See bin/{self.name} --help.", 2)
            if isinstance(error, (InputError, OSError, MemoryError)):
                return _fail(_reason(error), 1)
            raise
        return 0

    def _answer(self, arguments):
        if {"--help", "-h", "--helpfull", "-help"} & set(arguments):
            print(self.help())
        elif "--version" in arguments:
            print(f"tf_mmdvlae {__version__}")
        else:
            values = self.parse(arguments)
            for number in stopping_signals():
                signal.signal(number, _interrupt)
            _make_up_for_a_home()
            _bars_of_the_hub_on_terminals_only()
            prepare_tensorflow()
            self.run(values)

    def parse(self, arguments: list[str]) -> SimpleNamespace:
        """Reads the command line without running anything.

        Returns:
          The value of each flag by name; `overrides` is the list of (path, value) pairs of
          --config.<path>=<value>.

        Raises:
          flags.Error: if a flag is not known or its value can't be read.
          InputError: if a required flag is missing, or a value is empty, a whole number of more
            than 64 bits, the name of a file that can't be, or not among a flag's choices.
        """
        overrides, rest = _split_overrides(arguments) if self.takes_config else ([], arguments)
        definitions = flags.FlagValues()
        for name, flag in self.table.items():
            define = _DEFINITIONS.get(flag.type, flags.DEFINE_string)
            if parser := _PARSERS.get(flag.type):
                define = functools.partial(flags.DEFINE, parser(flag.at_least))
            define(name, flag.default, flag.help, flag_values=definitions)
            if flag.type is bool:
                definitions[name].parser = _Truth()
        try:
            _refuse_abseil_flags(rest)
            words = definitions([self.name, *rest])[1:]
        except flags.UnrecognizedFlagError as error:
            known = ", ".join(f"--{name}" for name in sorted(self.table))
            message = f"--{error.flagname} is not a flag of bin/{self.name}. Known: {known}."
            raise flags.Error(message) from None
        if words:
            raise flags.Error(f"{words[0]!r} is not a flag; flags begin with --.")
        values = SimpleNamespace(**definitions.flag_values_dict(), overrides=overrides)
        given = {name: getattr(values, name) for name in self.table if definitions[name].present}
        _refuse_odd_values(given | {f"config.{path}": value for path, value in overrides})
        self.require(values, *(name for name, flag in self.table.items() if flag.required))
        for name, flag in self.table.items():
            value = getattr(values, name)
            if value is None:
                continue
            for word in value if flag.type is list else [value]:
                if flag.choices and word not in flag.choices:
                    known = ", ".join(flag.choices)
                    raise InputError(f"--{name} is {word!r}; it must be one of {known}.")
            if flag.type is not str and flag.type not in {**_DEFINITIONS, **_PARSERS}:
                setattr(values, name, flag.type(value))
        return values

    def require(self, values: SimpleNamespace, *names: str) -> None:
        """Raises an InputError if one of these flags has no value."""
        for name in names:
            if getattr(values, name) is None:
                raise InputError(f"Give --{name}: {self.table[name].help}.")

    def help(self) -> str:
        """The answer to --help."""
        indent = max(map(len, self.table)) + 5
        about = (self.about or "").strip()
        lines = [f"bin/{self.name} of tf_mmdvlae {__version__}\n\n{about}\n\nFlags:"]
        for name, flag in self.table.items():
            default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
            note = " [required]" if flag.required else ""
            note += "" if default is None or default is False else f" [default: {default}]"
            text = f"{f'  --{name}':<{indent}}{flag.help}{note}"
            lines.append(textwrap.fill(text, 100, subsequent_indent=" " * indent))
        return "\n".join(lines)


def place(text: str) -> str:
    """A path with a home folder in place of "~"; an InputError for a name that can't be.

    What is there may have any name, but nothing new gets one with control characters.
    """
    if is_on_hub(text):
        raise InputError(f"{text} is a name on the Hub, where a file or folder here is needed.")
    require_short(text)
    path = str(expanded(text))
    if any(unicodedata.category(c) == "Cc" for c in path) and not os.path.exists(path):
        raise InputError(f"There is no {path!r}, and a new name may not hold control characters.")
    return path


def absolute_path(text: str) -> str:
    """A `place` that holds from any folder, as a run is resumed and drawn again from any."""
    return os.path.abspath(place(text))


def place_or_name(text: str) -> str:
    """As `place`, or a well-formed name on the Hub as it is."""
    return text if is_on_hub(text) and parse_name(text) else place(text)


def absolute_path_or_name(text: str) -> str:
    """As `absolute_path`, or a well-formed name on the Hub as it is."""
    return text if is_on_hub(text) and parse_name(text) else absolute_path(text)


def labels_path(text: str) -> str:
    """As `absolute_path`, but "none" is no path: it takes the labels away."""
    return text if text == "none" else absolute_path(text)


EXPORT = Flag(
    place_or_name,
    "an export, such as exports/mnist (its newest version) or exports/mnist/3, or one on the "
    "Hugging Face Hub, hf://user/name[@revision]",
    required=True,
)
DATASET = Flag(
    str, f"one of {', '.join(known_datasets())}, or another TFDS image set", required=True
)
ALIGN = Flag(
    bool, "find the face of each photograph and lay it as in training; needs the extra [align]"
)
DETAIL = Flag(
    float,
    "how much of what the model does not draw is added back, from 0 to 1 [default: 1; for exports "
    "that are too old, 0]",
)
MOVING_FLAGS = {
    "fps": Flag(int, "frames a second of a moving picture, at most 50", 20, at_least=1),
    "back": Flag(bool, "moving pictures then go back to their start; --noback ends there", True),
    "scale": Flag(
        int,
        "how many times larger moving pictures are than the model's [default: to 256 pixels]",
        at_least=1,
    ),
}
DATA_DIR = Flag(
    absolute_path, "root of the TFDS data sets [default: TFDS's own, ~/tensorflow_datasets]"
)
RUN_DATA_DIR = Flag(absolute_path, "root of the TFDS data sets [default: the run's]")
DATA_FLAGS = {
    "data_dir": DATA_DIR,
    "image_dir": Flag(
        absolute_path, "folder of JPEG, PNG and WebP pictures, for --dataset=image_folder"
    ),
    "labels": Flag(
        labels_path,
        "CSV file, for --dataset=image_folder: a file name per row, then a column per attribute; "
        "or none [default: the sub-folders are classes]",
    ),
}

SIZE_FLAGS = {
    "image_size": Flag(
        int,
        "side of the images in pixels [default: the preset's; for image_folder the pictures']",
        at_least=1,
    ),
    "channels": Flag(int, "1 for grey, 3 for colour [default: likewise]", at_least=1),
}


def data_settings(values: SimpleNamespace) -> dict[str, str]:
    """The fields of `DataConfig` that --data_dir, --image_dir and --labels set."""
    settings = {name: getattr(values, name) for name in DATA_FLAGS if getattr(values, name)}
    for name in ("image_dir", "labels"):
        if name in settings and values.dataset != "image_folder":
            raise InputError(f"--{name} needs --dataset=image_folder, not {values.dataset}.")
    return settings


def data_name(values: SimpleNamespace) -> str:
    """The name that default folders have: --dataset, and for an image folder its own name too.

    Letters, digits, dots and hyphens of that name stay; it is cut to 40 characters. Six digits of a
    hash of its path tell it from other folders of the same name.
    """
    place = values.image_dir or dict(values.overrides).get("data.image_dir")
    if values.dataset != "image_folder" or not place:
        return values.dataset
    folder = re.sub(r"[^\w.-]+", "_", os.path.basename(place))
    digest = hashlib.sha256(os.fsencode(os.path.realpath(place))).hexdigest()
    return f"image_folder_{folder[:40]}_{digest[:6]}"


def settings_for(
    values: SimpleNamespace,
    source: str | Config,
    fields: dict[str, dict[str, Any]],
    **choices: Any,
) -> Config:
    """The settings of a run on --dataset; says what the pictures of a folder decided.

    `source` is the name of a preset, or the settings of another run. `fields` and `choices` are
    those of `config.choices.Choices`, to which the flags of `DATA_FLAGS` and `SIZE_FLAGS` are added
    here.
    """
    from tf_mmdvlae.config.choices import Choices, settings_for, settings_from
    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.data import description

    data = {**data_settings(values), **fields.get("data", {})}
    sizes = {name: getattr(values, name) for name in SIZE_FLAGS}
    chosen = Choices(fields={**fields, "data": data}, **sizes, **choices)
    describe = functools.cache(description.describe)
    if not isinstance(source, str):
        return settings_from(source, chosen, describe)
    config = settings_for(values.dataset, source, chosen, describe)
    if values.dataset != "image_folder":
        return config
    pictures = describe(DataConfig(**{"dataset": values.dataset, **data}))
    side, _, channels = pictures.image_shape
    print(
        f"Pictures: {sum(pictures.splits.values()):,}, {'grey' if channels == 1 else 'colour'}, "
        f"most at least {side} pixels a side: training at "
        f"{'x'.join(map(str, config.model.image_shape))}; --image_size and --channels choose "
        "otherwise.",
        flush=True,
    )
    return config


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_finalizing(frame):
        # Python drops what a finalizer raises and what the callback of a weak reference raises, so
        # the handler runs again a moment later.
        signal.signal(signal.SIGALRM, lambda _, frame: _interrupt(number, frame))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return
    _received.append(number)
    raise KeyboardInterrupt(number)


def _is_finalizing(frame):
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


def _bars_of_the_hub_on_terminals_only():
    """Keeps huggingface_hub, which reads the variable once, from drawing bars into files."""
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _make_up_for_a_home():
    """Keeps Keras from making a folder whose name is "~" where the user has no home folder."""
    if os.path.expanduser("~") == "~":
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in ("KERAS_HOME", "MPLCONFIGDIR"):
            os.environ.setdefault(name, folder)


def _split_overrides(arguments):
    overrides, rest = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if not argument.startswith(_CONFIG):
            rest.append(argument)
            continue
        path, equals, value = argument.removeprefix(_CONFIG).partition("=")
        if not equals:
            value = next(remaining, None)
            if value is None:
                raise flags.Error(f"{argument} has no value.")
        overrides.append((path, value))
    return overrides, rest


def _refuse_abseil_flags(arguments):
    """Abseil reads two flags of its own in every command, one of them a file."""
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name in ("flagfile", "undefok"):
            raise flags.UnrecognizedFlagError(name)


def _refuse_odd_values(values):
    for name, value in values.items():
        words = value if isinstance(value, list) else [value]
        if not all(word.strip() if isinstance(word, str) else True for word in words or [""]):
            raise InputError(f"--{name} has an empty value; give one, or leave the flag out.")
        if any("\0" in word for word in words if isinstance(word, str)):
            raise InputError(f"--{name} holds a byte of zero, which no name has.")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"--{name}={value} is a number of more than 64 bits.")


def _reason(error):
    if isinstance(error, MemoryError):
        return f"There is not enough memory. {first_line(error)}"
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"{printable(os.fsdecode(error.filename))}: "
        return f"{name}{error.strerror}."
    return error


def _leave_quietly():
    """Leaves without a word where nobody reads what the command prints, as `| head` does."""
    _abandon(sys.stdout)
    _abandon(sys.stderr)
    return 128 + signal.SIGPIPE


def _abandon(stream):
    """Keeps Python from writing what is left in a stream when it ends."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _fail(message, code):
    lines = []
    for line in map(printable, str(message).splitlines()):
        is_long = len(line) > _LONGEST_LINE
        half = _LONGEST_LINE // 2
        lines.append(f"{line[:half]} ... {line[-half:]}" if is_long else line)
    for stream, text in ((sys.stdout, ""), (sys.stderr, "error: " + "\n".join(lines))):
        try:
            print(text, end="\n" if text else "", file=stream, flush=True)
        except OSError:
            _abandon(stream)
    return code
