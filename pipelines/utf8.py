"""Runs the command in Python's UTF-8 mode, whatever the locale: libraries open files by its encoding, and would
take the letters of a configuration for others.
"""

import codecs
import locale
import os
import sys


def run_in_utf8() -> None:
    """Start this process anew in UTF-8 mode where it is in no such locale; what it prints stays in the locale's own."""
    if sys.flags.utf8_mode or codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8":
        return
    environment = os.environ | {"PYTHONUTF8": "1"}
    if sys.stdout is not None:
        environment.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)
