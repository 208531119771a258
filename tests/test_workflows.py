"""The workflows in .github/ parse, run what is there, and have no right that they don't need."""

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
JOBS = {
    f"{name}.{job}": steps
    for name, flow in WORKFLOWS.items()
    for job, steps in flow["jobs"].items()
}


def test_the_tests_run_on_every_python_that_is_allowed():
    lowest, above = re.search(
        r'python_requires=">=3\.(\d+),<3\.(\d+)"', (ROOT / "setup.py").read_text()
    ).groups()
    allowed = [f"3.{minor}" for minor in range(int(lowest), int(above))]
    assert JOBS["tests.tests"]["strategy"]["matrix"]["python"] == allowed
    readme = (ROOT / "README.md").read_text()
    assert f"Python {', '.join(allowed[:-1])} or {allowed[-1]}" in readme
    for job in JOBS.values():
        for step in job["steps"]:
            version = step.get("with", {}).get("python-version", allowed[0])
            assert version in (*allowed, "${{ matrix.python }}")


@pytest.mark.parametrize("name", JOBS)
def test_a_job_runs_what_is_there_and_ends(name):
    job = JOBS[name]
    assert job["timeout-minutes"] <= 60
    lines = re.findall(r"^([a-z ]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {target for line in lines for target in line.split()}
    for step in job["steps"]:
        # An action of a fixed major version, or a command.
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"])
        for target in re.findall(r"\bmake (\w+)", step.get("run", "")):
            assert target in targets


def test_only_publishing_may_do_more_than_read():
    for name, flow in WORKFLOWS.items():
        assert flow["permissions"] == {"contents": "read"}, name
    assert [name for name, job in JOBS.items() if "permissions" in job] == ["release.publish"]
    publish = JOBS["release.publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert publish["needs"] == "wheel"
    assert "release.wheel" in JOBS
    texts = "".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    assert "secrets." not in texts
