"""bin/publish, and other commands on names of the Hub."""

import pytest


@pytest.mark.slow
def test_names_serve_in_place_of_folders(hub, run_command, finished_run):
    code, out, errors = run_command(
        "publish", f"--export={finished_run[1]}", "--to=hf://me/bars@v1", "--private"
    )
    assert code == 0, errors
    assert f"Page:          {hub.address}/me/bars (private)" in out
    assert "This version:  --export=hf://me/bars@v1" in out
    assert "--license=apache-2.0" in out
    code, out, errors = run_command("edit", "--export=hf://me/bars", "--list")
    assert (code, out.split()) == (0, ["class=even", "class=odd"]), errors


def test_names_are_no_places_to_write(run_command):
    for command, *flags in (
        ("train", "--dataset=mnist", "--export_dir=hf://me/bars"),
        ("export", "--workdir=hf://me/bars"),
        ("sample", "--export=exports/mnist", "--out=hf://me/bars"),
    ):
        code, _, errors = run_command(command, *flags)
        assert (code, "hf://me/bars is a name on the Hub, where a file or" in errors) == (1, True)
    for flags in (
        ("publish", "--export=exports/mnist", "--to=me/bars"),
        ("edit", "--export=hf://bars", "--list"),
    ):
        code, _, errors = run_command(*flags)
        assert (code, "such names are hf://user/name" in errors) == (1, True)
