"""Bugs in how a command speaks and ends, and in what it takes for a place."""

from tests.mutants.mutant import Mutant

CONSOLE = "tests/unit/test_console.py"
ENCODINGS = "tests/unit/test_encodings.py"
ENDING = "tests/unit/test_ending.py"
PLACES = "tests/unit/test_places.py"
RAY_FOLDER = "tests/unit/test_ray_folder.py"

_CONSOLE = "tasks/console.py"
_ENDING = "pipelines/ending.py"
_PLACES = "tasks/store/places.py"
_PRIVATE = "tasks/store/private_folder.py"

MUTANTS = (
    Mutant("escape codes reach the terminal", _CONSOLE, '{"Cc", "Cf", "Cs"', '{"Cf", "Cs"', (CONSOLE,)),
    Mutant("text runs from right to left", _CONSOLE, '"Cc", "Cf", "Cs"', '"Cc", "Cs"', (CONSOLE,)),
    Mutant("a full device is a success", _CONSOLE, "if file is sys.stdout and", "if False and", (CONSOLE,)),
    Mutant(
        "a reader that goes ends a command", _CONSOLE, " and not isinstance(error, BrokenPipeError)", "", (CONSOLE,)
    ),
    Mutant(
        "files are read by the locale",
        "tasks/fleet/secure.py",
        'read_text(encoding="utf-8")',
        "read_text()",
        (ENCODINGS,),
    ),
    Mutant("a hangup ends a command at once", _ENDING, "signal.SIGTERM, signal.SIGHUP,", "signal.SIGTERM,", (ENDING,)),
    Mutant("nohup is overruled", _ENDING, "if handler is not signal.SIG_IGN:", "if True:", (ENDING,)),
    Mutant("a second hangup ends the end", _ENDING, "signal.signal(number, signal.SIG_IGN)", "pass", (ENDING,)),
    Mutant(
        "an error of the system is a traceback",
        _ENDING,
        "except OSError as error:\n        named",
        "except ZeroDivisionError as error:\n        named",
        (ENDING,),
    ),
    Mutant(
        "another machine's folder is one here", _PLACES, 'if host not in ("", "localhost"):', "if False:", (PLACES,)
    ),
    Mutant("no folder is this one", _PLACES, "or not uri.strip()", "", (PLACES,)),
    Mutant("Ray's folder is open to all", _PRIVATE, "folder.chmod(0o700)", "folder.chmod(0o755)", (RAY_FOLDER,)),
    Mutant(
        "Ray's folder is another's", _PRIVATE, "if not stat.S_ISDIR(found.st_mode) or", "if False and", (RAY_FOLDER,)
    ),
)
