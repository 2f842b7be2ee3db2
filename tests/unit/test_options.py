from itertools import pairwise

import pytest

from scorefleet.pipelines.options import parse, parser_of
from scorefleet.tasks import config
from scorefleet.tasks.config import commands
from scorefleet.tasks.errors import UsageError


def settings_of(*arguments):
    return parse(parser_of("run", commands.Run, ""), commands.Run, arguments)[0]


def refusal_of(*arguments):
    with pytest.raises(UsageError) as caught:
        settings_of(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_the_command_line_beats_the_environment_which_beats_the_file_which_beats_the_default(yaml_file, monkeypatch):
    path = yaml_file("train: {width: 11, num_blocks: 12, batch_size: 14}\n")
    monkeypatch.setenv("SCOREFLEET_TRAIN__NUM_BLOCKS", "22")
    monkeypatch.setenv("SCOREFLEET_TRAIN__BATCH_SIZE", "24")
    train = settings_of(path, "--train.batch_size", "34").train
    assert (train.width, train.num_blocks, train.batch_size) == (11, 22, 34)
    assert train.learning_rate == config.Train().learning_rate


def test_numbers_in_scientific_notation_are_numbers(yaml_file):
    assert settings_of(yaml_file("train: {learning_rate: 1e-3}")).train.learning_rate == 1e-3


def test_dashes_and_the_short_form_of_data_are_understood():
    assert settings_of("--data", "rows.csv").prepare.data == "rows.csv"
    assert settings_of("--train.num-steps=7").train.num_steps == 7


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("--train.learning_rat", "1"),
            "unknown key 'train.learning_rat'; did you mean 'train.learning_rate'?",
        ),
        (("--label", "kind"), "unknown key 'label'; did you mean 'prepare.label'?"),
        (("--learning-rate", "1"), "unknown key 'learning-rate'; did you mean 'train.learning_rate'?"),
        (("--widht", "1"), "unknown key 'widht'; did you mean 'train.width'?"),
        (("--train.num_steps", "x"), "train.num_steps must be int or null, but got 'x'"),
        (("--train.learning_rate", "-1"), "train.learning_rate must be positive and finite, but got -1.0"),
        (
            ("--train.batch_size", "3", "--train.num_workers", "1..4"),
            "train.batch_size must be at least 4, a row for each of train.num_workers, but got 3",
        ),
        *(
            (
                ("--train.num_workers", wrong),
                f"train.num_workers must be a number, at least 1, or FROM..TO, such as 1..4, but got {value!r}",
            )
            for wrong, value in (
                ("0", 0),
                ("4..1", "4..1"),
                ("0..2", "0..2"),
                ("1...4", "1...4"),
                ("-1", -1),
                ("two", "two"),
            )
        ),
        (("--seed", "-1"), "seed must be from 0 to 2^63 - 1, but got -1"),
        (
            ("--train.energy", "scalarhead"),
            "train.energy must be one of scalar_head, inner_product, score_only or null, but got 'scalarhead'; "
            "did you mean 'scalar_head'?",
        ),
        (("missing.yaml",), "missing.yaml"),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(arguments, expected):
    assert expected in refusal_of(*arguments)


BOMB = pairwise("abcdefgh")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trian: {width: 3}", "did you mean 'train"),
        ("train: {widht: 3}", "did you mean 'train.width'?"),
        ("train: {width: 3.5}", "train.width must be int or null"),
        ("train: [1]", "train must be a mapping"),
        ("name: no", "name must be str"),
        ("train: {width: 3, width: 4}", "key 'width' stands twice"),
        ("train: {learning_rate: .inf}", "train.learning_rate must be positive and finite, but got inf"),
        ("train: [", "line"),
        ("train: &t {width: 3, more: *t}", "the alias *t stands within what it names"),
        ("&r [*r]", "the alias *r stands within what it names"),
        ("\n".join(["a: &a [1, 1]", *(f"{y}: &{y} [{', '.join(9 * [f'*{x}'])}]" for x, y in BOMB)]), "written out"),
        ("[" * 3000, "more than 40 sections within each other"),
        ("just words", "not a YAML mapping"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(yaml_file, text, expected):
    path = yaml_file(text)
    for words in ([path], ["--config", path], [f"--config={path}"]):
        assert expected in refusal_of(*words)


def test_an_unknown_environment_variable_is_refused(monkeypatch):
    monkeypatch.setenv("SCOREFLEET_TRAIN__WIDHT", "3")
    assert "did you mean 'SCOREFLEET_TRAIN__WIDTH'?" in refusal_of()


def test_help_lists_every_key_with_type_default_and_meaning(capsys):
    with pytest.raises(SystemExit):
        settings_of("--help")
    text = capsys.readouterr().out
    assert "--train.learning_rate" in text
    assert "(type: float," in text
    assert "default: 0.001)" in text
    assert "Peak learning rate of AdamW" in " ".join(text.split())
