"""The commands as a person types them: --help, flags, and errors in one line."""

import logging
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import weakref
from types import SimpleNamespace

import absl.flags
import pytest

from tf_mmdvlae.cli import start
from tf_mmdvlae.cli.command import Command, Flag, absolute_path
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.training.callbacks import StopRequest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = sorted(path.name for path in (ROOT / "bin").iterdir())


def python(program):
    """Runs a program in a process of its own, in the root of the checkout."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )


def module_of(command):
    return "benchmarks.command" if command == "benchmark" else f"tf_mmdvlae.cli.{command}"


# Command lines that need no TensorFlow, and what they answer.
_EXPORT, _NO_EXPORT = "--export=exports/mnist", "--export=/nowhere"
_MISSING, _NO_RUN, _NO_FOLDER = "/nowhere is not there", "holds no run", "=/nowhere is missing"
QUICK = {
    "align": {
        "--image_dir=/nowhere --out=x": _NO_FOLDER,
        f"--image_dir=docs --out=x {_NO_EXPORT}": _MISSING,
    },
    "arithmetic": {f"{_NO_EXPORT} --a=a --minus=b --plus=c --out=x.png": _MISSING},
    "benchmark": {
        "--training --datasets=mnits": "mnits has no config file",
        f"--serving {_NO_EXPORT}": _MISSING,
    },
    "compare": {"--dataset=mnist --preset=best": "Known: default, paper"},
    "edit": {
        f"{_EXPORT} --list": "label=9",
        f"{_NO_EXPORT} --list": _MISSING,
        f"{_EXPORT} --attribute=Smiling --image=README.md --out=x.png": "'Smiling' is not known",
    },
    "encode": {
        f"{_NO_EXPORT} --image_dir=docs --out=x.npz": _MISSING,
        f"{_EXPORT} --image_dir=/missing --out=x.npz": "no file /missing",
    },
    "evaluate": {
        f"{_NO_EXPORT} --dataset=mnist": _MISSING,
        "--workdir=/nowhere": _NO_RUN,
        "--workdir=/nowhere --metrics=fid": "Known: reconstruction",
    },
    "explore": {_NO_EXPORT: _MISSING, f"{_NO_EXPORT} --out=x": _MISSING},
    "export": {"--workdir=/nowhere": _NO_RUN},
    "figures": {"--workdir=/nowhere": _NO_RUN},
    "interpolate": {f"{_NO_EXPORT} --images=docs --out=x.gif": _MISSING},
    "prepare": {"--dataset=mnist --source=/nowhere --data_dir=/nowhere": "=/nowhere is not a fold"},
    "publish": {
        f"{_EXPORT} --to=digits": "digits is no name of a model on the Hugging Face Hub",
        f"{_NO_EXPORT} --to=hf://me/digits": _MISSING,
        f"{_EXPORT} --to=hf://me/digits --workdir=/nowhere": _NO_RUN,
    },
    "sample": {f"{_NO_EXPORT} --out=x.png": _MISSING},
    "train": {
        "--dataset=mnits": "mnits' is not known. Close: mnist",
        "--dataset=mnist --preset=best": "Known: default, paper",
        "--dataset=mnist --steps=0": "train.steps is 0",
        "--dataset=mnist --init_from=/nowhere": _NO_RUN,
        "--dataset=kmnist --dry_run --data_dir=/nowhere": "kmnist is not prepared; a run downloads",
        "--dataset=image_folder --image_dir=/nowhere": _NO_FOLDER,
    },
    "train_classifier": {"--dataset=image_folder --image_dir=/nowhere": _NO_FOLDER},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_needs_no_tensorflow_answers_without_it(command):
    """What takes seconds is the import of these packages."""
    lines = ["--unknown", *QUICK[command]]
    result = python(
        "import sys\n"
        "from tf_mmdvlae.cli import start\n"
        "def run(line):\n"
        f"    sys.argv = ['{command}', *line.split()]\n"
        f"    code = start('{module_of(command)}')\n"
        "    print(flush=True)\n"
        "    return code\n"
        "assert run('--help') == run('--version') == 0\n"
        "slow = {'tensorflow', 'keras', 'matplotlib', 'sklearn', 'scipy', 'numpy'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
        f"for line in {lines}:\n"
        "    run(line)\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), line\n"
    )
    assert result.returncode == 0, result.stderr
    assert f"bin/{command} of tf_mmdvlae" in result.stdout
    assert "Flags:" in result.stdout
    answers = result.stdout + result.stderr
    for answer in ("is not a flag of", *QUICK[command].values()):
        assert answer in answers


@pytest.mark.parametrize("command", COMMANDS)
def test_an_executable_is_short_and_works_from_any_folder(command, tmp_path):
    path = ROOT / "bin" / command
    assert path.stat().st_mode & 0o111
    assert len(path.read_text().splitlines()) <= 10
    answer = subprocess.run(
        [sys.executable, path, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"bin/{command} of" in answer.stdout


@pytest.mark.parametrize(("missing", "command"), [("absl", "train"), ("tensorflow", "sample")])
def test_a_missing_package_is_named_with_what_installs_it(missing, command):
    result = python(
        "import sys\n"
        f"sys.modules['{missing}'] = None\n"
        "sys.argv = ['command', '--export=exports/mnist', '--out=x.png']\n"
        "from tf_mmdvlae.cli import start\n"
        f"sys.exit(start('{module_of(command)}'))\n"
    )
    assert result.returncode == 1
    assert f"error: the Python module {missing} is missing" in result.stderr
    assert "pip install ." in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_dry_run_prints_the_settings_before_it_needs_tensorflow():
    result = python(
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "sys.argv = ['train', '--dataset=mnist', '--dry_run', '--seed=7', '--workdir=/nowhere/x']\n"
        "from tf_mmdvlae.cli import start\n"
        "start('tf_mmdvlae.cli.train')\n"
    )
    assert "--config.model.latent_dims=2,2,2\n" in result.stdout
    assert "--config.train.seed=7\n" in result.stdout
    assert "128 images, 1.62 GFLOP" in result.stdout
    assert "the Python module tensorflow" in result.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "code", "message"),
    [
        ("train", ["--rate=1"], 2, "Known: --align, --batch_size"),
        ("train", ["--steps=ten", "--dataset=mnist"], 2, "--steps=ten"),
        ("train", ["mnist"], 2, "'mnist' is not a flag"),
        ("train", ["--config.train.steps"], 2, "has no value"),
        ("train", ["--dataset=mnist", "--config.model.latent_dims={[1]}"], 1, "with commas"),
        ("train", ["--dataset=mnist", "--config.train.learning_rate=1e999"], 1, "finite number"),
        ("train", [], 1, "Give --dataset: one of celeb_a, cifar10"),
        ("train", ["--dataset=mnits"], 1, "mnist"),
        ("train", ["--dataset=../../x"], 1, "data.dataset is ../../x; it must be a name, such as"),
        ("compare", ["--dataset=../../x"], 1, "it must be a name, such as"),
        ("train_classifier", ["--dataset=../../x"], 1, "it must be a name, such as"),
        ("train", ["--dataset=mnist", "--preset=best"], 1, "Known: default, paper"),
        ("train", ["--dataset=mnist", "--config.train.lr=1"], 1, "Known: steps"),
        ("train", ["--dataset=mnist", "--steps=0"], 1, "at least 1"),
        ("train", ["--dataset=mnist", "--image_size=0"], 2, "--image_size=0: 0 is not a positive"),
        ("train", ["--dataset=mnist", "--channels=0"], 2, "--channels=0: 0 is not a positive"),
        ("train", ["--dataset=mnist", "--learning_rate=1e999"], 1, "learning_rate is inf; it must"),
        ("train", ["--dataset=mnist", "--image_dir=x"], 1, "--dataset=image_folder"),
        ("train", ["--dataset=image_folder"], 1, "--image_dir"),
        ("train", ["--dataset=image_folder", "--image_dir=/nowhere"], 1, "/nowhere"),
        ("figures", [], 1, "Give --workdir"),
        ("figures", ["--workdir=/nowhere"], 1, "holds no run"),
        ("compare", [], 1, "Give --dataset: one of celeb_a"),
        ("compare", ["--dataset=mnist", "--models=vae,gan"], 1, "'gan'; it must be one of vae"),
        ("compare", ["--dataset=mnist", "--seeds=0"], 2, "--seeds=0"),
        ("evaluate", [], 1, "either --workdir"),
        ("evaluate", ["--metrics=samples,fid"], 1, "'fid' is not known. Known: reconstruction"),
        ("compare", ["--dataset=mnist", "--metrics=fid"], 1, "Known: reconstruction, samples"),
        ("evaluate", ["--export=x"], 1, "--export needs --dataset"),
        ("evaluate", ["--workdir=x", "--labels=y"], 1, "--labels is for --export"),
        ("evaluate", ["--export=x", "--dataset=mnist", "--labels=y"], 1, "=image_folder"),
        ("prepare", ["--dataset=mnist"], 1, "Give --source"),
        ("prepare", ["--dataset=lsun", "--source=/tmp"], 1, "celeb_a"),
        ("benchmark", [], 1, "--training"),
        ("benchmark", ["--training", "--rounds=0"], 2, "--rounds=0"),
        ("benchmark", ["--serving"], 1, "Give --export"),
        ("export", [], 1, "Give --workdir"),
        ("export", ["--workdir=/nowhere"], 1, "holds no run"),
        ("arithmetic", ["--export=x", "--a=y"], 1, "Give --minus"),
        ("edit", ["--export=x"], 1, "Give --image"),
        ("edit", ["--list"], 1, "Give --export"),
        ("encode", ["--export=x", "--image_dir=/nowhere", "--out=c.npz"], 1, "/nowhere"),
        ("encode", ["--export=x", "--image_dir=.", "--out=c.txt"], 1, ".npz or .csv"),
        ("sample", ["--export=/nowhere", "--out=x.png"], 1, "/nowhere is not there"),
        ("sample", ["--export=x", "--out=x.jpg"], 1, "written as .png"),
        ("sample", ["--export=x", "--out=x.png", "--count=0"], 1, "at least 1"),
        ("sample", ["--export=x", "--out=x.png", "--count=2000"], 1, "too many"),
        ("benchmark", ["--training", "--datasets=mnits"], 1, "mnits"),
        ("train_classifier", [], 1, "Give --dataset: one of celeb_a"),
        ("train_classifier", ["--dataset=mnist", "--labels=x"], 1, "--dataset=image_folder"),
    ],
)
def test_bad_input_gets_a_line_or_two(
    run_command, tmp_path, monkeypatch, command, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    exit_code, _, errors = run_command(command, *arguments)
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert exit_code == code
    assert len(lines) == 1
    assert message in lines[0]


FLAGS = {
    "name": Flag(str, "what to count", required=True, choices=("one", "two")),
    "words": Flag(list, "more of them", choices=("one", "two")),
    "count": Flag(int, "how many", 3, at_least=1),
    "share": Flag(float, "of what"),
    "folder": Flag(absolute_path, "where"),
    "a_flag_of_many_words": Flag(bool, "does much"),
}
COMMAND = Command("any", "Does nothing.", FLAGS, lambda values: None, takes_config=True)


def test_a_command_line_is_read_without_running_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "--name=two --words one,two --folder=x/../y --a_flag_of_many_words"
    overrides = "--config.train.steps=3 --config.data.crop 0.5"
    values = COMMAND.parse([*line.split(), *overrides.split()])
    assert (values.name, values.words, values.count) == ("two", ["one", "two"], 3)
    assert values.folder == str(tmp_path / "y")
    assert values.a_flag_of_many_words is True
    assert values.overrides == [("train.steps", "3"), ("data.crop", "0.5")]
    assert COMMAND.parse(["--name=one"]).folder is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give --name: what to count."),
        (["--name=three"], "--name is 'three'; it must be one of one, two."),
        (["--name=one", "--words=one,three"], "--words is 'three'; it must be one of one, two."),
    ],
)
def test_what_a_flag_may_hold(arguments, message):
    with pytest.raises(InputError, match=message):
        COMMAND.parse(arguments)


def test_the_help_keeps_long_flags_apart_from_what_they_do():
    assert "--a_flag_of_many_words does much" in COMMAND.help()
    assert "what to count [required]" in COMMAND.help()
    assert "how many [default: 3]" in COMMAND.help()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name="], "--name has an empty value"),
        (["--name=one", "--words="], "--words has an empty value"),
        (["--name=one", "--words=one,,two"], "--words has an empty value"),
        (["--name=one", "--folder= "], "--folder has an empty value"),
        (["--name=one", "--config.data.labels="], "--config.data.labels has an empty value"),
        (["--name=one", f"--count={10**30}"], "of more than 64 bits"),
        (["--name=one", f"--folder=a/{'x' * 300}/b"], "more than 240 bytes"),
        (["--name=one", "--folder=~nobody_has_it/a"], "can't be found"),
        (["--name=one", "--folder=a\0b"], "--folder holds a byte of zero"),
        (["--name=one", "--config.data.labels=a\0b"], "--config.data.labels holds a byte of zero"),
        (
            ["--name=one", "--folder=a\x1b[31mb"],
            r"There is no '.*a\\x1b\[31mb', and a new name may",
        ),
    ],
)
def test_values_that_can_never_be_right(arguments, message):
    with pytest.raises(InputError, match=message):
        COMMAND.parse(arguments)


@pytest.mark.parametrize("text", ["1_0", "0x10", "\N{ARABIC-INDIC DIGIT ONE}", "1e2", "ten", "1.0"])
def test_what_is_no_whole_number(text):
    with pytest.raises(absl.flags.Error, match=f"--count={text}: .* is not a whole number in dig"):
        COMMAND.parse(["--name=one", f"--count={text}"])


@pytest.mark.parametrize(
    "text", ["1_0", "0x1p3", "\N{ARABIC-INDIC DIGIT ONE}.5", "nan", "inf", "1,5"]
)
def test_what_is_no_number(text):
    with pytest.raises(absl.flags.Error, match=f"--share={text}: .* is not a number in digits"):
        COMMAND.parse(["--name=one", f"--share={text}"])


def test_what_is_neither_true_nor_false():
    with pytest.raises(absl.flags.Error, match="words=maybe: 'maybe' is not true or false"):
        COMMAND.parse(["--name=one", "--a_flag_of_many_words=maybe"])


def test_numbers_with_the_minus_of_typography():
    assert COMMAND.parse(["--name=one", "--share=\N{MINUS SIGN}1.5e1"]).share == -15


@pytest.mark.parametrize("name", ["flagfile", "undefok"])
def test_flags_of_another_package_are_unknown(name):
    with pytest.raises(absl.flags.Error, match=f"--{name} is not a flag of bin/any"):
        COMMAND.parse(["--name=one", f"--{name}=/dev/zero"])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(36, "File name too long", "a\nb"), r"error: a\\nb: File name too long\."),
        (MemoryError("Unable to allocate 9 TiB"), "not enough memory. Unable to allocate 9 TiB"),
        (InputError("\x1b[31mred" + "x" * 9_000 + "end"), r"error: \\x1b\[31mredx+ \.\.\. x+end"),
    ],
)
def test_faults_of_the_machine_and_long_or_odd_words_come_in_a_line(capsys, error, message):
    def run(values):
        raise error

    assert Command("any", "Does nothing.", {}, run)([]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert len(line) < 2_000


def test_what_is_printed_steers_no_terminal(capsys, caplog, tmp_path):
    """Names of files and labels come from strangers."""
    name = "\x1b[31m\u202e\udcff\N{IDEOGRAPHIC SPACE}\N{SNOWMAN}\t"
    seen = "\\x1b[31m\\u202e\\udcff\N{IDEOGRAPHIC SPACE}\N{SNOWMAN}\\t\n"

    def run(values):
        print(name)
        logging.getLogger("tf_mmdvlae.any").warning("%s", name)
        raise InputError(name)

    assert Command("any", "Does nothing.", {}, run)([]) == 1
    assert capsys.readouterr() == (seen, f"error: {seen}")
    assert caplog.messages == [seen.strip()]
    # A place that is there may have any name.
    (tmp_path / "a\nb").mkdir()
    assert absolute_path(str(tmp_path / "a\nb")) == str(tmp_path / "a\nb")


@pytest.mark.parametrize("into", ["| head -c 9", "2>&1 | head -c 9", "> /dev/full"])
def test_a_reader_that_leaves_ends_a_command_quietly(into):
    program = (
        "import sys\n"
        "from tf_mmdvlae.cli import command\n"
        "def run(values):\n"
        "    for number in range(100_000):\n"
        "        print(number)\n"
        "sys.exit(command.Command('any', '', {}, run)([]))"
    )
    line = f'{shlex.quote(sys.executable)} -c "$0" {into}; echo "code ${{PIPESTATUS[0]}}"'
    answer = subprocess.run(
        ["bash", "-c", line, program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    if "head" in into:
        assert answer.stdout == "0\n1\n2\n3\n4code 141\n"
        assert answer.stderr == ""
    else:
        assert answer.stderr == "error: No space left on device.\n"


@pytest.fixture
def signals():
    """Puts back the handlers that a command sets."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    # A process in the background ignores the first, one under nohup the third.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    # Python runs the handler between two instructions, here.
    time.sleep(0.01)


class Finalized:
    def __del__(self):
        interrupt()


def by_itself(values):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def while_finalizing(values):
    """Python drops what a handler raises there."""
    Finalized()
    time.sleep(10)


def while_a_weak_reference_calls_back(values):
    """There, too."""
    weakref.finalize(set(), interrupt)
    time.sleep(10)


@pytest.mark.parametrize("call", [by_itself, while_finalizing, while_a_weak_reference_calls_back])
def test_sigterm_ends_a_command(call, capsys, signals):
    assert Command("any", "Does nothing.", {}, call)([]) == 128 + signal.SIGTERM
    assert "Stopped; nothing is left half written." in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("other", [TypeError, InputError, RuntimeError])
def test_an_interruption_that_becomes_another_exception_ends_a_command(
    number, other, capsys, signals
):
    """As inside of TensorFlow, or where a file is read."""

    def run(values):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            raise other("error_already_set") from None

    assert Command("any", "Does nothing.", {}, run)([]) == 128 + number
    assert capsys.readouterr().err.startswith("error: Stopped; nothing is left half written.")


def test_a_signal_after_the_last_word_of_a_command_ends_it_without_a_traceback(
    signals, monkeypatch, capsys
):
    def interrupted():
        signal.setitimer(signal.ITIMER_REAL, 60)
        raise KeyboardInterrupt(signal.SIGTERM)

    monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(main=interrupted))
    assert start("a_command") == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "error: Stopped.\n"
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_signal_that_a_process_was_started_to_ignore_stays_ignored(signals):
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(values):
        os.kill(os.getpid(), signal.SIGHUP)
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert stop.signal is None

    assert Command("any", "Does nothing.", {}, run)([]) == 0


TENSORFLOW = """
import os, types
os.write(2, b"looking for devices")
grown = []
config = types.SimpleNamespace(list_physical_devices=lambda kind: [kind])
config.experimental = types.SimpleNamespace(set_memory_growth=lambda *given: grown.append(given))
"""


@pytest.mark.parametrize("level", [None, "0"])
def test_no_command_takes_all_memory_of_a_gpu_or_shows_what_tensorflow_prints(
    monkeypatch, tmp_path, capfd, level
):
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorflow")
    # The import sets it; this puts it back afterwards.
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level or "2")
    if level is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    grown = []

    def run(values):
        import tensorflow

        grown.extend(tensorflow.grown)

    assert Command("any", "Does nothing.", {}, run)([]) == 0
    assert grown == [("GPU", True)]
    assert capfd.readouterr().err == ("" if level is None else "looking for devices")


@pytest.mark.slow
def test_a_user_without_a_home_trains_and_is_told_where_one_is_needed(picture_folder, tmp_path):
    """As in containers: no HOME, and no passwd entry."""
    program = (
        "import os, pwd, sys\n"
        "def nobody(user):\n"
        "    raise KeyError(user)\n"
        "pwd.getpwuid = nobody\n"
        "os.environ.pop('HOME', None), os.environ.pop('XDG_CACHE_HOME', None)\n"
        "from tf_mmdvlae.config.settings import DataConfig\n"
        "from tf_mmdvlae.cli import command\n"
        "os.chdir(sys.argv[1])\n"
        "def run(values):\n"
        "    from tf_mmdvlae.data.pipeline import load_split\n"
        "    for cache in ('memory', 'disk'):\n"
        "        data = DataConfig('image_folder', image_dir=sys.argv[2], cache=cache)\n"
        "        print(load_split(data, (8, 8, 1), 'test').size > 0, flush=True)\n"
        "sys.exit(command.Command('any', '', {}, run)([]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, tmp_path, picture_folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert answer.stdout == "True\n", answer.stderr
    assert "XDG_CACHE_HOME says it, or use --cache=memory" in answer.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
