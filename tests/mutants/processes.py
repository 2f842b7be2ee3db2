"""Bugs in how a command speaks and ends."""

from tests.mutants.mutant import Mutant

CONSOLE = "tests/unit/test_console.py"

_CONSOLE = "tasks/console.py"

MUTANTS = (
    Mutant("escape codes reach the terminal", _CONSOLE, '{"Cc", "Cf", "Cs"', '{"Cf", "Cs"', (CONSOLE,)),
    Mutant("text runs from right to left", _CONSOLE, '"Cc", "Cf", "Cs"', '"Cc", "Cs"', (CONSOLE,)),
    Mutant("a full device is a success", _CONSOLE, "if file is sys.stdout and", "if False and", (CONSOLE,)),
    Mutant(
        "a reader that goes away ends a command", _CONSOLE, "and not isinstance(error, BrokenPipeError)", "", (CONSOLE,)
    ),
)
