"""The commands as a person types them, and what they say to bad input."""

import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from benchmarks import command as benchmark
from tf_mmdvlae.cli import (
    arithmetic,
    compare,
    edit,
    encode,
    evaluate,
    export,
    figures,
    prepare,
    sample,
    train,
    train_classifier,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = sorted(path.name for path in (ROOT / "bin").iterdir())
MODULES = {
    "arithmetic": arithmetic,
    "benchmark": benchmark,
    "compare": compare,
    "edit": edit,
    "encode": encode,
    "evaluate": evaluate,
    "export": export,
    "figures": figures,
    "prepare": prepare,
    "sample": sample,
    "train": train,
    "train_classifier": train_classifier,
}


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
            f"assert start('{MODULES[command].__name__}') == 0\n"
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
        "sys.exit(start('tf_mmdvlae.cli.train'))\n"
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


# ---- on an export --------------------------------------------------------------------------------


@pytest.fixture
def files(picture_folder):
    return sorted(picture_folder.rglob("*.png"))


def test_arithmetic_draws_rows_or_writes_files(say, finished_run, files, picture_folder, tmp_path):
    export_dir = f"--export={finished_run[1]}"
    three = [f"--a={files[0]},{files[1]}", f"--minus={files[2]}", f"--plus={files[3]},{files[4]}"]
    out = tmp_path / "rows.png"
    code, said, _ = say("arithmetic", export_dir, *three, "--layers=2", f"--out={out}")
    assert code == 0
    assert str(out) in said
    with Image.open(out) as picture:
        assert picture.size[0] > 400
    folder = tmp_path / "results"
    three = [f"--a={picture_folder}", f"--minus={files[2]}", f"--plus={files[3]}"]
    assert say("arithmetic", export_dir, *three, f"--out={folder}")[0] == 0
    results = sorted(folder.iterdir())
    assert len(results) == len(files)
    with Image.open(results[0]) as picture:
        assert picture.size == (8, 8)


def test_edit_lists_draws_and_writes(say, finished_run, files, picture_folder, tmp_path):
    export_dir = f"--export={finished_run[1]}"
    assert say("edit", export_dir, "--list")[1].split() == ["class=even", "class=odd"]
    asked = ["--attribute=class=odd", "--strength=-2:2:5"]
    out = tmp_path / "strip.png"
    code, _, errors = say("edit", export_dir, f"--image={files[0]}", *asked, f"--out={out}")
    assert code == 0, errors
    assert out.exists()
    folder = tmp_path / "edited"
    assert say("edit", export_dir, f"--image={picture_folder}", *asked, f"--out={folder}")[0] == 0
    assert len(list(folder.iterdir())) == 5 * len(files)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attribute=Smiling"], "Known: class=even, class=odd"),
        (["--attribute=class=odd", "--strength=1:2"], "start:stop:count"),
        (["--attribute=class=odd", "--layers=3"], "from 1 (lowest) to 2"),
        (["--attribute=class=odd", "--image={folder}"], "too many for one picture"),
    ],
)
def test_a_bad_edit_is_refused(say, finished_run, picture_folder, files, tmp_path, flags, message):
    flags = [flag.format(folder=picture_folder) for flag in flags]
    given = [f"--export={finished_run[1]}", f"--image={files[0]}", f"--out={tmp_path / 'x.png'}"]
    code, _, errors = say("edit", *given, *flags)
    assert code == 1
    assert message in errors
    assert not (tmp_path / "x.png").exists()


def test_encode_writes_codes_and_leaves_out_what_cannot_be_read(
    say, finished_run, picture_folder, files, tmp_path
):
    given = [f"--export={finished_run[1]}", f"--image_dir={picture_folder}"]
    assert say("encode", *given, f"--out={tmp_path / 'codes.npz'}")[0] == 0
    assert say("encode", *given, f"--out={tmp_path / 'codes.csv'}")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["z_2"].shape == (len(files), 3)
        assert codes["picture"][0] == "even/000.png"
        rows = (tmp_path / "codes.csv").read_text().splitlines()
        assert rows[0].startswith("picture,z_1_1,z_1_2,z_2_1")
        assert float(rows[1].split(",")[1]) == pytest.approx(codes["z_1"][0, 0], rel=1e-4)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        shutil.copy(files[0], many / f"{number}.png")
    (many / "broken.png").write_bytes(b"nothing")
    given[1] = f"--image_dir={many}"
    code, said, _ = say("encode", *given, f"--out={tmp_path / 'codes.npz'}")
    assert code == 0
    assert "200 codes" in said
    (many / "worse.png").write_bytes(b"nothing")
    (many / "worst.png").write_bytes(b"nothing")
    code, _, errors = say("encode", *given, f"--out={tmp_path / 'codes.npz'}")
    assert code == 1
    assert "can't be read as a picture" in errors


def test_sample_draws_a_grid_or_writes_files(say, finished_run, tmp_path):
    export_dir = f"--export={finished_run[1]}"
    assert say("sample", export_dir, "--count=5", f"--out={tmp_path / 'grid.png'}")[0] == 0
    assert (tmp_path / "grid.png").exists()
    assert say("sample", export_dir, "--count=3", "--seed=7", f"--out={tmp_path / 'all'}")[0] == 0
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == ["sample_000007.png", "sample_000008.png", "sample_000009.png"]


def test_photographs_are_turned_upright(say, finished_run, tmp_path):
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, :6] = 255
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated = Image.fromarray(pixels).rotate(90, expand=True)
    rotated.save(turned, exif=exif, quality=100)
    given = [f"--export={finished_run[1]}", f"--out={tmp_path / 'codes.npz'}"]
    (tmp_path / "in").mkdir()
    for path in (upright, turned):
        shutil.move(path, tmp_path / "in")
    assert say("encode", *given, f"--image_dir={tmp_path / 'in'}")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        np.testing.assert_allclose(codes["z_2"][0], codes["z_2"][1], atol=0.02)


def test_export_adds_a_version(say, finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tf_mmdvlae.training.finish.export",
        lambda model, export_dir, data, directions, metrics, extras, samplers: (
            export_dir,
            directions.names,
            extras,
        ),
    )
    code, said, _ = say("export", f"--workdir={finished_run[0]}", f"--export_dir={tmp_path}")
    assert code == 0
    assert str((str(tmp_path), ("class=even", "class=odd"), None)) in said
