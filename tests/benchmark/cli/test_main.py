"""The command itself: help, exit codes, errors in one line, and what it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cerebench import __version__
from cerebench.cli import main as entry
from cerebench.errors import UsageError

PROBE = """
import sys
from cerebench.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
heavy = ("torch", "numpy", "pandas", "scipy", "sklearn", "monai", "nibabel", "nilearn", "numba", "pyarrow", "timm")
plugins = ("cerebench_methods", "cerebench_datasets", "cerebench.scoring")
print(code, sorted(set(heavy + plugins) & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list", "--help"],
        ["list", "methods"],
        ["list", "methods", "--json"],
        ["list", "cohorts"],
        ["list", "protocols"],
        ["list", "metrics", "--json"],
        ["plugins", "list"],
    ],
    ids=" ".join,
)
def test_light_commands_import_no_heavy_library_and_no_plugin(words):
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert done.stdout.strip()


def test_help_names_every_command(bench):
    done = bench("--help")
    assert done.code == 0
    for name, command in entry.COMMANDS.items():
        assert f"\n  {name} " in done.out
        assert command.help in done.out
    assert bench().out == done.out


@pytest.mark.parametrize("name", entry.COMMANDS)
def test_every_command_can_be_built_and_has_help(bench, name):
    done = bench(name, "--help")
    assert done.code == 0
    assert f"bench {name} " in done.out


def test_version(bench):
    assert bench("--version").out.strip() == f"cerebench {__version__}"


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        (["lst"], "unknown command 'lst': did you mean 'list'?"),
        (["list", "metods"], "unknown listing: did you mean 'methods'"),
        (["list"], "KIND"),
        (["--verson"], "did you mean '--version'?"),
        (["list", "methods", "--jsn"], "unrecognized arguments: --jsn"),
        (["show", "method", "autoencodr"], "unknown method 'autoencodr': did you mean 'autoencoder'?"),
        (["show", "cohort", "ixy"], "unknown cohort 'ixy': did you mean 'ixi'?"),
        (["show", "protocol", "multicentre"], "did you mean 'multicentre-anomaly'?"),
        (["list", "cohorts", "--data-root", "/no/such/folder"], "--data-root /no/such/folder is not a folder"),
        (["list", "cohorts", "--cards", "/no/such/folder"], "--cards /no/such/folder does not exist"),
    ],
)
def test_wrong_words_end_with_2_and_a_suggestion(bench, words, clause):
    done = bench(*words)
    assert done.code == 2
    assert clause in done.err
    assert done.out == ""


def raises(error):
    def command() -> None:
        """Raise."""
        raise error

    return command


@pytest.fixture
def command(monkeypatch):
    def set_command(error: BaseException) -> None:
        monkeypatch.setitem(entry.COMMANDS, "doctor", entry.Command(f"{__name__}_target:command", ""))
        module = type(sys)(f"{__name__}_target")
        module.command = raises(error)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return set_command


def test_an_error_for_the_user_is_one_line(bench, command):
    command(UsageError("the card\n  is wrong; correct it"))
    done = bench("doctor")
    assert (done.code, done.err) == (2, "Error: the card is wrong; correct it\n")


@pytest.mark.parametrize("words", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_adds_the_traceback(bench, command, words):
    command(UsageError("wrong"))
    done = bench(*words)
    assert done.code == 2
    assert "Traceback" in done.err
    assert done.err.endswith("Error: wrong\n")


def test_a_fault_of_the_harness_shows_its_traceback(bench, command):
    command(ZeroDivisionError("x"))
    done = bench("doctor")
    assert done.code == 2
    assert "Traceback" in done.err
    assert "please report it: ZeroDivisionError: x" in done.err


def test_an_interrupt_ends_with_130(bench, command):
    command(KeyboardInterrupt())
    assert bench("doctor").code == 130


def test_a_command_can_end_with_its_own_code(bench, command):
    import typer

    command(typer.Exit(1))
    assert bench("doctor").code == 1
