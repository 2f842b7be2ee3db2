"""Bugs in following what user code reads, and in what it may do to a command."""

from tests.mutants.mutant import Mutant

INPUTS = "tests/unit/test_inputs.py"
USER_CODE = "tests/unit/test_user_code.py"

_INPUTS = "tasks/user_code/inputs.py"
_USER_CODE = "tasks/user_code/guard.py"
_WATCHING = "tasks/user_code/watching.py"

MUTANTS = (
    Mutant("files opened by Python not followed", _WATCHING, 'if event == "open":', 'if event == "opened":', (INPUTS,)),
    Mutant("databases not followed", _WATCHING, 'elif event == "sqlite3.connect":', "elif not event:", (INPUTS,)),
    Mutant("files written for later counted as data", _WATCHING, "path not in self.kept and ", "", (INPUTS,)),
    Mutant(
        "files named in the source not followed",
        _INPUTS,
        "filter(is_data, sources.named_files(modules) - written) if native else ()",
        "()",
        (INPUTS,),
    ),
    Mutant("modules imported at run time not followed", _INPUTS, " | _loaded_since(loaded)", "", (INPUTS,)),
    Mutant("environment not followed", _INPUTS, "    reads |= variables_of(watch.variables)\n", "", (INPUTS,)),
    Mutant("new files of a folder not seen", _INPUTS, "for folder in watch.folders}", "for folder in ()}", (INPUTS,)),
    Mutant("late reading borne", _INPUTS, "    if late:", "    if not late:", (INPUTS,)),
    Mutant(
        "workers with other files borne",
        _INPUTS,
        "key != VALUES and digest != reads.get(there) and",
        "False and",
        (INPUTS,),
    ),
    Mutant(
        "a changed module not imported again",
        _INPUTS,
        "if before is None or not before.is_current():",
        "if before is None:",
        (INPUTS,),
    ),
    Mutant("user code ends the process", _USER_CODE, "raise EndOfProcess(status)", "return", (USER_CODE,)),
    Mutant(
        "a child of user code goes on",
        _USER_CODE,
        "if os.getpid() != process:\n            os._exit(0)",
        "if False:\n            os._exit(0)",
        (USER_CODE,),
    ),
    Mutant("points given to be changed", _USER_CODE, "self.function(x.clone())", "self.function(x)", (USER_CODE,)),
    Mutant(
        "handlers of user code stay",
        _USER_CODE,
        "            signal.signal(number, handler)\n",
        "            pass\n",
        (USER_CODE,),
    ),
)
