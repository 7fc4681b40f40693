"""The recipes of `deploy/`: they parse, name what exists, ask for a token, and do what they say with stand-ins."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from dumb_bench.cli import app

yaml = pytest.importorskip("yaml")  # comes with Ray

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
SUBMIT, SLURM, RAYJOB, DOCKERFILE = (
    DEPLOY / name for name in ("submit_job.sh", "slurm.sbatch", "rayjob.yaml", "Dockerfile")
)
PAGE = ROOT / "docs" / "on-my-cluster.md"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAUNCHES = (PAGE, SUBMIT, SLURM, RAYJOB)


def joined(path: Path) -> str:
    """The text of a file with continued lines joined, and without comments."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    return "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())


def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(RAYJOB.read_text())
    return found


def commands(path: Path) -> str:
    """What is run in a file: its lines, or the shell blocks of a page."""
    if path.suffix == ".md":
        return "\n".join(re.findall(r"(?ms)^```sh[^\n]*\n(.*?)^```$", joined(path)))
    return job()["spec"]["entrypoint"] if path == RAYJOB else joined(path)


def calls(program: str, path: Path) -> list[list[str]]:
    """The arguments of each call of a program in a file."""
    found = re.findall(rf"(?m)(?<![\w/.-]){program} ((?!2>)[^|&>\n`]*)", commands(path))
    return [[word for word in shlex.split(line) if word not in ("$@", "exit")] for line in found]


@pytest.mark.parametrize("script", [SUBMIT, SLURM], ids=lambda path: path.name)
def test_the_scripts_parse_and_stop_at_the_first_error(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"


@pytest.mark.parametrize("path", [*LAUNCHES, DOCKERFILE], ids=lambda path: path.name)
def test_every_command_of_ours_is_understood(path: Path) -> None:
    group: Any = typer.main.get_command(app)
    found = calls("dumb-bench", path)
    if path == DOCKERFILE:
        assert json.loads(path.read_text().rsplit("CMD ", 1)[1]) == ["dumb-bench", "--help"]
        return
    assert found
    for words in found:
        command = group.get_command(group.make_context("dumb-bench", words[:1], resilient_parsing=True), words[0])
        parsed = command.make_context(words[0], words[1:]).params  # raises on an unknown or missing argument
        assert parsed
    with pytest.raises(Exception, match="No such option"):
        group.get_command(None, "run").make_context("run", ["grid", "--nothing"])


def test_every_command_of_ray_and_its_options_exist() -> None:
    from ray._private.authentication import authentication_token_setup
    from ray._private.authentication_test_utils import _AUTH_ENV_VARS
    from ray.scripts.scripts import cli

    found = [words for path in LAUNCHES[:3] for words in calls("ray", path)]
    assert {words[0] for words in found} == {"get-auth-token", "start", "stop", "job", "symmetric-run"}
    for words in found:
        own = words[: words.index("--")] if "--" in words else words
        command: Any = cli.commands[own.pop(0)]
        if own and hasattr(command, "commands"):
            command = command.commands[own.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        if command.name == "symmetric_run":
            known |= {option for parameter in cli.commands["start"].params for option in parameter.opts}
            assert "--" in words
        assert {word.partition("=")[0] for word in own if word.startswith("--")} <= known, words
    assert authentication_token_setup.AUTH_MODE_ENV_VAR == "RAY_AUTH_MODE"
    assert set(re.findall(r"RAY_AUTH_\w+", "".join(path.read_text() for path in LAUNCHES))) == set(_AUTH_ENV_VARS)


@pytest.mark.parametrize("path", LAUNCHES, ids=lambda path: path.name)
def test_every_recipe_asks_for_a_token(path: Path) -> None:
    if path == RAYJOB:
        options = job()["spec"]["rayClusterSpec"]["authOptions"]
        assert options == {"mode": "token", "secretName": "dumb-bench-ray-token"}
        assert "dumb-bench-ray-token --from-file=auth_token=" in RAYJOB.read_text()
        return
    text = commands(path)
    mode = text.index("export RAY_AUTH_MODE=token")
    starts = [
        text.index(words) for words in ("ray start --", "ray job submit", "ray symmetric-run --") if words in text
    ]
    assert starts and mode < min(starts)


def test_no_recipe_holds_a_token() -> None:
    for path in DEPLOY.iterdir():
        text = path.read_text()
        assert not re.search(r"\b[0-9a-f]{32,}\b|\b[A-Za-z0-9+/]{40,}\b", text), path.name
        assert not re.search(r"RAY_AUTH_TOKEN=\S", text), path.name
    assert [item["kind"] for item in yaml.safe_load_all(RAYJOB.read_text())] == ["RayJob"]  # no Secret beside it


def test_the_job_on_kubernetes_has_its_fields() -> None:
    found, text = job(), DOCKERFILE.read_text()
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    cluster = found["spec"]["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}" in PYPROJECT["tool"]["uv"]["constraint-dependencies"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert len(groups) == 2
    images = set()
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        images.add(container["image"])
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}" in text
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod["automountServiceAccountToken"] is False
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    (image,) = images
    assert f"--tag {image} ." in text and f"--tag {image} ." in PAGE.read_text()
    assert groups[0]["rayStartParams"] == {"num-cpus": "0"}
    (words,) = calls("dumb-bench", RAYJOB)
    assert words[:2] == ["run", "/app/grids/quickstart.toml"] and (ROOT / "grids" / "quickstart.toml").is_file()


def test_the_image_copies_what_exists_and_runs_as_nobody_special() -> None:
    lines = joined(DOCKERFILE).splitlines()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    names = [name for sources in copied for name in sources]
    assert sorted(names) == sorted(allowed) == ["LICENSE", "README.md", "dumb_bench", "grids", "pyproject.toml"]
    assert all((ROOT / name).exists() for name in names)
    assert "*" in ignored
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users == ["10001"] and "useradd --uid 10001" in DOCKERFILE.read_text()
    syncs = [line for line in lines if "uv sync" in line]
    assert len(syncs) == 2 and all("--no-dev --extra cluster" in line for line in syncs)
    assert "cluster" in PYPROJECT["project"]["optional-dependencies"]
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert len(bases) == 1 and fnmatch.fnmatch(bases.pop(), "python:3.11-slim-*")
    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert not [line for line in lines if re.match(r"(ARG|ENV).*(TOKEN|SECRET|PASSW)", line)]


def test_the_readme_of_the_folder_names_every_file_and_none_that_is_not_there() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", (DEPLOY / "README.md").read_text()))
    assert all((DEPLOY / name).exists() for name in linked)
    assert {path.name for path in DEPLOY.iterdir()} - {"README.md"} == {name for name in linked if "/" not in name}
    assert [path.name for path in DEPLOY.iterdir() if path.name not in PAGE.read_text()] == ["Dockerfile.dockerignore"]


def stand_in(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "HOME": str(folder), "PATH": f"{folder}:{os.environ['PATH']}", **more}


ECHO = 'printf "%s\\n" "$RAY_AUTH_MODE" "$RAY_API_SERVER_ADDRESS" "$@"'


def test_submitting_needs_a_token_and_passes_everything_on(tmp_path: Path) -> None:
    stand_in(tmp_path, "ray", ECHO)
    command = [SUBMIT, "/s/my grid.toml", "/s/results", "s3://b/store", "--slots", "4"]
    bare = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert (bare.returncode, bare.stdout) == (2, "")
    assert f"no token: copy the cluster's to {tmp_path}/.ray/auth_token" in bare.stderr
    (tmp_path / "token").write_text("a token")
    for more in ({"RAY_AUTH_TOKEN": "a token"}, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}):
        done = subprocess.run(command, env=environment(tmp_path, **more), capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "token", "http://127.0.0.1:8265", "job", "submit", "--", "dumb-bench", "run", "/s/my grid.toml",
            "--address", "auto", "--results", "/s/results", "--store", "s3://b/store", "--slots", "4",
        ]  # fmt: skip
    short = subprocess.run([SUBMIT, "grid"], env=environment(tmp_path), capture_output=True, text=True)
    assert short.returncode != 0 and "RESULTS is missing" in short.stderr


STATUS = """
if [[ $1 != status || $2 != /s/results ]]; then exit 9; fi
if [[ ! -e answer ]]; then echo "error: no plan" >&2; exit 2; fi
cat answer
"""


@pytest.mark.parametrize(
    ("started", "answer", "code"),
    [
        (0, None, 2),  # Ray did not start, which ends with 0: no results, so the job fails
        (0, {"tests": 9, "tests_done": 4, "failed": []}, 3),
        (0, {"tests": 9, "tests_done": 9, "failed": [{}]}, 3),
        (0, {"tests": 9, "tests_done": 9, "failed": []}, 0),
        (130, {"tests": 9, "tests_done": 9, "failed": []}, 130),
    ],
)
def test_the_slurm_job_believes_the_results_not_the_exit_code(
    started: int, answer: dict[str, Any] | None, code: int, tmp_path: Path
) -> None:
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "python").symlink_to(sys.executable)
    stand_in(tools, "scontrol", "echo node1; echo node2")
    stand_in(tools, "srun", f'{{ stat -c %a "$RAY_AUTH_TOKEN_PATH"; {ECHO}; }} > seen\nexit {started}')
    stand_in(tools, "dumb-bench", STATUS)
    if answer:
        (tmp_path / "answer").write_text(json.dumps(answer))
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "12345", "SLURM_JOB_NODELIST": "node[1-2]"}
    env = environment(tools, SLURM_NNODES="2", SLURM_CPUS_PER_TASK="16", RAY_API_SERVER_ADDRESS="-", **slurm)
    command = ["bash", SLURM, "/s/grid.toml", "/s/results", "/s/store", "--no-report"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, umask=0o022)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "seen").read_text().split() == [
        "600", "token", "-", "--nodes=2", "--ntasks=2", "ray", "symmetric-run", "--address", "node1:22345",
        "--min-nodes", "2", "--num-cpus=16", "--", "dumb-bench", "run", "/s/grid.toml", "--address", "node1:22345",
        "--results", "/s/results", "--store", "/s/store", "--no-report",
    ]  # fmt: skip
    assert not list(tmp_path.glob(".ray_token*"))  # the token has gone with the job
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) & 0o044  # what the run writes is not hidden from the group
