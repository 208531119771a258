"""bin/encode on an export."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
def test_encode_writes_codes_and_leaves_out_what_cannot_be_read(
    run_command, finished_run, picture_folder, files, tmp_path
):
    arguments = [f"--export={finished_run[1]}", f"--image_dir={picture_folder}"]
    assert run_command("encode", *arguments, f"--out={tmp_path / 'codes.npz'}")[0] == 0
    assert run_command("encode", *arguments, f"--out={tmp_path / 'codes.csv'}")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["z_2"].shape == (len(files), 3)
        assert codes["picture"][0] == "even/000.png"
        rows = (tmp_path / "codes.csv").read_text().splitlines()
        assert rows[0].startswith("picture,z_1_1,z_1_2,z_2_1")
        assert float(rows[1].split(",")[1]) == pytest.approx(codes["z_1"][0, 0], rel=1e-4)
    odd = tmp_path / "odd"
    odd.mkdir()
    names = ["=1+1.png", "@x.png", 'a "b", c.png', "d\ne.png"]
    for name in names:
        shutil.copy(files[0], odd / name)
    run_command("encode", arguments[0], f"--image_dir={odd}", f"--out={tmp_path / 'odd.csv'}")
    with open(tmp_path / "odd.csv", newline="") as file:
        read = [row[0] for row in csv.reader(file)][1:]
    # No formulas for a spreadsheet, and paths of the same files.
    assert read == ["./=1+1.png", "./@x.png", *names[2:]]
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        shutil.copy(files[0], many / f"{number}.png")
    (many / "broken.png").write_bytes(b"nothing")
    arguments[1] = f"--image_dir={many}"
    code, out, _ = run_command("encode", *arguments, f"--out={tmp_path / 'codes.npz'}")
    assert code == 0
    assert "200 codes" in out
    (many / "worse.png").write_bytes(b"nothing")
    (many / "worst.png").write_bytes(b"nothing")
    code, _, errors = run_command("encode", *arguments, f"--out={tmp_path / 'codes.npz'}")
    assert code == 1
    assert "can't be read as a picture" in errors


@pytest.mark.slow
def test_photographs_are_turned_upright(run_command, finished_run, tmp_path):
    pixels = np.zeros((16, 16), np.uint8)
    pixels[:, :6] = 255
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated = Image.fromarray(pixels).rotate(90, expand=True)
    rotated.save(turned, exif=exif, quality=100)
    arguments = [f"--export={finished_run[1]}", f"--out={tmp_path / 'codes.npz'}"]
    (tmp_path / "in").mkdir()
    for path in (upright, turned):
        shutil.move(path, tmp_path / "in")
    assert run_command("encode", *arguments, f"--image_dir={tmp_path / 'in'}")[0] == 0
    with np.load(tmp_path / "codes.npz") as codes:
        np.testing.assert_allclose(codes["z_2"][0], codes["z_2"][1], atol=0.02)
