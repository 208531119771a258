"""Data of real size, made of a few pictures."""

import zipfile

from benchmarks.real_size import repeat_celeb_a, repeat_folder


def small_celeb_a(folder):
    folder.mkdir()
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for number in (1, 2):
            archive.writestr(f"img_align_celeba/00000{number}.jpg", f"picture {number}")
    (folder / "list_attr_celeba.txt").write_text(
        "2\nBald Young\n000001.jpg  1 -1\n000002.jpg -1  1\n"
    )
    (folder / "list_landmarks_align_celeba.txt").write_text("2\nx\n000001.jpg 5\n000002.jpg 6\n")
    (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n")
    (folder / "identity_CelebA.txt").write_text("000001.jpg 8\n000002.jpg 9\n")
    return folder


def test_celeb_a_again_and_again(tmp_path):
    source, out = small_celeb_a(tmp_path / "source"), tmp_path / "out"
    repeat_celeb_a(source, out, {0: 3, 1: 1, 2: 1})
    names = [f"00000{number}.jpg" for number in range(1, 6)]
    with zipfile.ZipFile(out / "img_align_celeba.zip") as archive:
        pictures = [archive.read(f"img_align_celeba/{name}").decode() for name in names]
        assert len(archive.namelist()) == 5
    assert pictures == [f"picture {number}" for number in (1, 2, 1, 2, 1)]

    def lines(file):
        return (out / file).read_text().splitlines()

    assert lines("list_eval_partition.txt") == [
        f"{n} {p}" for n, p in zip(names, "00012", strict=True)
    ]
    assert lines("identity_CelebA.txt") == [f"{n} {p}" for n, p in zip(names, "89898", strict=True)]
    attributes = lines("list_attr_celeba.txt")
    assert attributes[:3] == ["5", "Bald Young", "000001.jpg  1 -1"]
    assert attributes[-1] == "000005.jpg  1 -1"
    assert lines("list_landmarks_align_celeba.txt")[-1] == "000005.jpg 5"


def test_a_folder_of_links(tmp_path):
    repeat_folder(small_celeb_a(tmp_path / "source"), tmp_path / "out", 5)
    files = sorted((tmp_path / "out").rglob("*.jpg"))
    assert [file.read_text()[-1] for file in files] == list("12121")
    assert [file.stat().st_nlink for file in files] == [3, 2, 3, 2, 3]
    assert not list(tmp_path.glob("*_pictures"))
