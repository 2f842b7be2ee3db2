"""Runs commands one after the other, which saves all but the first the imports and the start of Ray.

Standard input has a JSON list of commands, each a list of words; standard output gets a JSON list with the exit code,
the output and the messages of each.
"""

import contextlib
import io
import json
import sys

from scorefleet.pipelines.cli import main

if __name__ == "__main__":
    done = []
    for words in json.load(sys.stdin):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
        print(words, code, file=sys.stderr)
        done.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
    json.dump(done, sys.stdout)
