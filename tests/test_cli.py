"""The commands as a person types them, and what they say to bad input."""

import pathlib
import subprocess
import sys
import time

import pytest

from tf_mmdvlae.cli import benchmark, figures, prepare, train

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMANDS = sorted(path.name for path in (ROOT / "bin").iterdir())
MODULES = {"benchmark": benchmark, "figures": figures, "prepare": prepare, "train": train}


@pytest.fixture
def say(monkeypatch, capsys):
    """`say("train", "--dataset=x")` runs a command in this process: (exit code, out, err)."""

    def run(command, *arguments):
        monkeypatch.setattr(sys, "argv", [command, *map(str, arguments)])
        code = MODULES[command].main()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_every_command_is_tried_here():
    assert set(COMMANDS) == set(MODULES)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_version_answer_without_tensorflow(command):
    for flag in ("--help", "--version"):
        program = (
            "import sys\n"
            f"sys.argv = ['{command}', '{flag}']\n"
            f"sys.path.insert(0, {str(ROOT)!r})\n"
            "from tf_mmdvlae.cli import start\n"
            f"assert start('{command}') == 0\n"
            "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout


def test_bin_works_from_any_folder_and_answers_in_half_a_second(tmp_path):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, ROOT / "bin" / "train", "--help"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5


def test_the_executables_are_short_and_executable():
    for command in COMMANDS:
        path = ROOT / "bin" / command
        assert path.stat().st_mode & 0o111
        assert len(path.read_text().splitlines()) <= 10


def test_a_missing_package_is_named():
    program = (
        "import sys\n"
        "sys.modules['absl'] = None\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tf_mmdvlae.cli import start\n"
        "sys.exit(start('train'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "code", "message"),
    [
        ("train", ["--learning_rate=1"], 2, "Known: --batch_size"),
        ("train", ["--steps=ten", "--dataset=mnist"], 2, "--steps=ten"),
        ("train", ["mnist"], 2, "'mnist' is not a flag"),
        ("train", ["--config.train.steps"], 2, "has no value"),
        ("train", [], 1, "Give --dataset: one of celeb_a, cifar10"),
        ("train", ["--dataset=mnits"], 1, "mnist"),
        ("train", ["--dataset=mnist", "--preset=best"], 1, "Known: default, paper"),
        ("train", ["--dataset=mnist", "--config.train.lr=1"], 1, "Known: steps"),
        ("train", ["--dataset=mnist", "--steps=0"], 1, "at least 1"),
        ("train", ["--dataset=mnist", "--image_dir=x"], 1, "--dataset=image_folder"),
        ("train", ["--dataset=image_folder"], 1, "--image_dir"),
        ("train", ["--dataset=image_folder", "--image_dir=/nowhere"], 1, "/nowhere"),
        ("figures", [], 1, "Give --workdir"),
        ("figures", ["--workdir=/nowhere"], 1, "holds no run"),
        ("prepare", ["--dataset=mnist"], 1, "Give --source"),
        ("prepare", ["--dataset=lsun", "--source=/tmp"], 1, "celeb_a"),
        ("benchmark", [], 1, "--training"),
        ("benchmark", ["--training", "--datasets=mnits"], 1, "mnits"),
    ],
)
def test_bad_input_gets_a_line_or_two(
    say, tmp_path, monkeypatch, command, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    found, _, errors = say(command, *arguments)
    last = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert found == code
    assert len(last) == 1
    assert message in last[0]


def test_a_workdir_that_cannot_be_written(say, tmp_path, picture_folder):
    (tmp_path / "file").touch()
    code, _, errors = say(
        "train",
        "--dataset=image_folder",
        f"--image_dir={picture_folder}",
        f"--workdir={tmp_path / 'file' / 'run'}",
    )
    assert code == 1
    assert "Cannot write to" in errors


def test_a_finished_run_says_so(say, finished_run, run_config):
    code, out, errors = say(
        "train",
        "--dataset=image_folder",
        f"--image_dir={run_config.data.image_dir}",
        f"--workdir={finished_run[0]}",
        f"--export_dir={finished_run[1]}",
        "--steps=12",
        "--batch_size=8",
        "--config.model.image_shape=8,8,1",
        "--config.model.latent_dims=2,3",
        "--config.model.blocks=(('conv4/2',),('conv6/2',),('dense8',))",
        "--config.model.head_width=5",
        "--config.data.test_fraction=0.3",
        "--config.train.log_every=4",
        "--config.train.checkpoint_every=4",
        "--config.train.learning_rate=1e-3",
        "--config.train.decay_start=0.6",
        "--config.train.first_stage=0.35",
        "--config.train.stage=0.15",
    )
    assert code == 0, errors
    assert "is finished" in out
    assert str(finished_run[1] / "1") in out


def test_figures_names_the_pictures(say, finished_run):
    code, out, _ = say("figures", f"--workdir={finished_run[0]}")
    assert code == 0
    assert "manifold_layer_1.png" in out
