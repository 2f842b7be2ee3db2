"""From a YAML file, the environment and the command line to a checked configuration, or one line that says what is
wrong.
"""

import dataclasses
import difflib
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from scorefleet.pipelines import yaml_files
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import UsageError

PREFIX = "SCOREFLEET"
SHORT = {"--data": "--prepare.data"}


Settings = TypeVar("Settings", commands.Run, commands.Generate, commands.SampleTarget)


def parser_of(command: str, settings: type, description: str) -> ArgumentParser:
    """A parser that knows every key of `settings`; the caller adds what belongs to its command alone."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    has_prepare = any(field.name == "prepare" for field in dataclasses.fields(settings))
    short = " --data X is short for --prepare.data X." if has_prepare else ""
    parser = ArgumentParser(
        prog=f"scorefleet {command}",
        usage=f"scorefleet {command} [CONFIG.yaml] [--key value ...]",
        description=description,
        epilog=f"A key is also an environment variable: {PREFIX}_REGISTER__ALIAS.{short}",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        action="config",
        help="YAML file with any of the keys below; given first, it needs no --config",
    )
    parser.add_class_arguments(settings, as_group=False)
    return parser


def parse(parser: ArgumentParser, settings: type[Settings], arguments: Sequence[str]) -> tuple[Settings, Namespace]:
    """The configuration, and all that was parsed. Command line beats environment beats file beats default."""
    words = spelled_out(parser, arguments)
    try:
        for file in _files(words):
            yaml_files.require_plain(file)
        parsed = parser.parse_args(words)
        _refuse_flat_sections(settings, parsed)
        made = parser.instantiate(parsed)
        values = {field.name: made[field.name] for field in dataclasses.fields(settings)}
        return settings(**values), parsed
    except (ArgumentError, ValueError) as error:
        raise UsageError(explain(str(error), known_keys(parser))) from error


def _files(words: Sequence[str]) -> list[Path]:
    """The configuration files, however they are given: `--config FILE`, `--config=FILE`, or by the environment."""
    following = [file for word, file in pairwise(words) if word == "--config"]
    joined = [word.removeprefix("--config=") for word in words if word.startswith("--config=")]
    return [Path(file) for file in (*following, *joined)]


def spelled_out(parser: ArgumentParser, arguments: Sequence[str]) -> list[str]:
    """The words that say alone what `arguments` say with the environment."""
    known = known_keys(parser)
    return _expanded(arguments, _variables(known), known)


def known_keys(parser: ArgumentParser) -> list[str]:
    """Every key that can be set, by its dotted name."""
    return [option.removeprefix("--") for action in parser._actions for option in action.option_strings]


def explain(message: str, keys: Sequence[str]) -> str:
    """One line: what was given, what is allowed, and the nearest known key where a key is unknown."""
    in_section = re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message)
    if in_section:
        return f"unknown key '{in_section[1]}.{in_section[2]}'{nearest(f'{in_section[1]}.{in_section[2]}', keys)}"
    unknown = re.search(r"(?:Option|Key|key) '-*([\w.]+)' is not (?:accepted|expected)", message) or re.search(
        r"(?:[Uu]nrecognized arguments|No action for key):? '?-*([\w.-]+)", message
    )
    if unknown:
        return f"unknown key {unknown[1]!r}{nearest(unknown[1], keys)}"
    wrong_type = re.search(r'[Pp]arser key "([\w.]+)":\s*(.*)', message, re.DOTALL)
    if wrong_type:
        return _explain_type(wrong_type[1], wrong_type[2])
    if message.startswith("Unexpected config"):  # what follows is the whole file
        return "the configuration file is not a YAML mapping of keys to values"
    return " ".join(message.split())[:300]


def _explain_type(key: str, reason: str) -> str:
    """`train.num_steps must be int or null, but got 'x'`"""
    expected = [
        re.sub(r"<class '(\w+)'>|typing\.", r"\1", kind)
        for kind in re.findall(r"Expected an? ([^\n]+?)\.?(?:\s-|\s*\n|\sG|$)", reason)
    ]
    given = re.search(r"(?:Got|Given) value: (.*)", reason, re.DOTALL)
    if not expected or not given:
        return f"{key}: {' '.join(reason.split())[:300]}"
    allowed = " or ".join(expected).replace("NoneType", "null").replace("tuple", "a list [A, B]")
    words = re.search(r"Literal\[(.*)\]", allowed)
    value, close = given[1].strip()[:80], ""
    if words:
        names = re.findall(r"'([^']+)'", words[1])
        allowed = allowed.replace(words[0], f"one of {', '.join(names)}")
        close = "".join(f"; did you mean {name!r}?" for name in difflib.get_close_matches(value, names, n=1))
    return f"{key} must be {allowed}, but got {value!r}{close}"


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` or, where nothing is near, where to look."""
    name, last = name.replace("-", "_"), {key: key.rpartition(".")[2] for key in known}
    close = [key for key in known if name == last[key]] or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        (near,) = difflib.get_close_matches(name, last.values(), n=1, cutoff=0.75) or [""]
        close = [key for key in known if near and last[key] == near]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "; --help lists every key"


def _refuse_flat_sections(settings: type, parsed: Namespace) -> None:
    """A section, such as `train`, must be a mapping."""
    for section in dataclasses.fields(settings):
        if dataclasses.is_dataclass(section.type) and not isinstance(parsed[section.name], Namespace):
            raise ValueError(f"{section.name} must be a mapping of keys to values, but got {parsed[section.name]!r}")


def _expanded(arguments: Sequence[str], variables: Sequence[str], known: Sequence[str]) -> list[str]:
    """The file first, then the environment, then the words of the command line in their long forms."""
    file = ["--config", arguments[0]] if arguments and not arguments[0].startswith("-") else []
    words = [*file, *variables]
    for word in arguments[len(file) // 2 :]:
        name, equals, value = word.partition("=")
        name = name if name.removeprefix("--") in known else SHORT.get(name, name)
        underscored = "--" + name.removeprefix("--").replace("-", "_")
        is_key = name.startswith("--") and underscored.removeprefix("--") in known
        words.append((underscored if is_key else name) + equals + value)
    return words


def _variables(known: Sequence[str]) -> list[str]:
    """What the environment sets, as words of a command line."""
    names = {f"{PREFIX}_{key.replace('.', '__').upper()}": key for key in known}
    words: list[str] = []
    for name, value in os.environ.items():
        if name in names:
            words.append(f"--{names[name]}={value}")
        elif name.startswith(f"{PREFIX}_"):
            raise UsageError(f"unknown environment variable {name}{nearest(name, sorted(names))}")
    return words
