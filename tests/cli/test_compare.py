"""bin/compare on a folder of pictures."""

import pytest

from tf_mmdvlae.evaluation import compare


def test_the_pictures_decide_before_the_first_run(
    run_command, picture_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(compare, "compare", lambda *arguments: calls.append(arguments) or {})
    folder = f"--image_dir={picture_folder}"
    with pytest.raises(KeyError):  # The table of a comparison that is none.
        run_command("compare", "--dataset=image_folder", folder, "--steps=7", "--image_size=16")
    ((config, workdir, *_),) = calls
    assert config.model.image_shape == (16, 16, 1)
    assert (config.train.steps, config.train.batch_size) == (7, 32)
    assert config.data.image_dir == str(picture_folder)
    assert workdir.startswith(f"runs/compare/image_folder_{picture_folder.name}_")


def test_too_few_pictures_leave_nothing(run_command, picture_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "1.png").symlink_to(picture_folder / "even" / "000.png")
    for folder in ("--image_dir=few", "--config.data.image_dir=few"):
        code, _, errors = run_command("compare", "--dataset=image_folder", folder)
        assert code == 1
        assert "few holds 1 picture; at least 4 are needed" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["few"]
