"""CSV is read as people write it: the same numbers come out of every way to write them."""

import bz2
import csv
import gzip
import io
import lzma

import numpy as np
import pyarrow as pa
import pytest

from scorefleet.tasks import config
from scorefleet.tasks.data.csv_files import read_csv

NUM_ROWS = 60
X = np.random.default_rng(0).normal(size=(NUM_ROWS, 3)).round(6)
NAMES = ["a", "größe", "c"]


def written(
    separator: str = ",", decimal: str = ".", names: list[str] | None = NAMES, end: str = "\n", **options
) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=separator, lineterminator=end, **options)
    if names:
        writer.writerow(names)
    writer.writerows([[f"{value:.6f}".replace(".", decimal) for value in row] for row in X])
    return sink.getvalue()


def read(text: str | bytes, **told) -> tuple[pa.Table, str]:
    return read_csv(text if isinstance(text, bytes) else text.encode(), config.CSV(**told))


def values(table: pa.Table) -> np.ndarray:
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(
    ("separator", "decimal"),
    [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), ("|", ","), (" ", "."), (",", ",")],
)
def test_every_separator_decimal_mark_and_line_end_is_found(separator: str, decimal: str, quoting: int, end: str):
    for names in (NAMES, None):
        table, words = read(written(separator, decimal, names, end, quoting=quoting))
        np.testing.assert_array_equal(values(table), X)
        assert table.column_names == (names or ["x0", "x1", "x2"])
        assert f"decimal mark {decimal}" in words
        assert ("no names of columns" in words) == (names is None)


@pytest.mark.parametrize("num_gaps", [1, 7, 30, 60])
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize(("separator", "words"), [(",", "{:.0f}"), (",", "{:.3f}"), (";", "{:.0f}"), ("\t", "{:.3f}")])
def test_gaps_change_no_layout(separator: str, words: str, column: int, num_gaps: int):
    """`3,4` beside `,5` could be decimals of one column: what is empty must not speak for that."""
    fields = [[words.format(100 * value) for value in row] for row in np.abs(X)]
    for row in fields[NUM_ROWS - num_gaps :]:
        row[column] = ""
    for names in (["a,b,c".replace(",", separator)], []):
        table, _ = read("\n".join([*names, *map(separator.join, fields)]) + "\n")
        assert table.column_names == (["a", "b", "c"] if names else ["x0", "x1", "x2"])
        assert [table[name].null_count for name in table.column_names] == [
            num_gaps if number == column else 0 for number in range(3)
        ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"])
def test_every_encoding_is_found(encoding: str):
    table, _ = read(written().encode(encoding))
    assert table.column_names == NAMES
    np.testing.assert_array_equal(values(table), X)


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\u0085", "\u2028"])
def test_odd_line_breaks_in_a_title_are_no_ends_of_lines(odd: str):
    table, words = read(f"Exported{odd}by{odd}a program\n{written()}")
    np.testing.assert_array_equal(values(table), X)
    assert table.column_names == NAMES
    assert "1 lines above the table" in words


@pytest.mark.parametrize("names", [["E1", "E2", "E3"], ["e1", "E12", "-"], [".", "x", "y"]])
def test_names_that_resemble_numbers_are_names(names: list[str]):
    assert read(written(names=names))[0].column_names == names


def test_decimal_points_and_commas_in_one_file_are_asked_for():
    rows = "".join(f"0.{k:03};{2 + k % 7}.345;1,{k % 10}\n" for k in range(60))
    with pytest.raises(ValueError, match=r"numbers such as 2.345, whose point may .*: give --prepare.csv.decimal"):
        read(f"x;y;z\n{rows}")
    told = read(f"x;y;z\n{rows}", decimal=".")[0]
    assert told["y"][3].as_py() == 5.345


@pytest.mark.parametrize("text", ["\n\n\n", "sep=;\n", "\r\n"])
def test_lines_without_fields_are_no_rows(text: str):
    with pytest.raises(ValueError, match="it has no rows"):
        read(text)


def test_a_column_of_decimals_that_begins_with_a_whole_number_has_no_name():
    column = read("0\n" + "".join(f"{value:.6f}\n" for value in X[:, 0]))[0]
    assert (len(column), column.column_names) == (NUM_ROWS + 1, ["x0"])


@pytest.mark.parametrize("word", ["+-0.5", "++1", "+"])
def test_two_signs_are_no_number(word: str):
    assert pa.types.is_string(read(f"a\n1.5\n{word}\n2.5\n")[0].schema.field(0).type)


@pytest.mark.parametrize(("encoding", "name"), [("cp1251", "стоимость квартиры"), ("cp1250", "żółw łódź")])
def test_other_encodings_are_found_or_told(encoding: str, name: str):
    for told in ({}, {"encoding": encoding}):
        assert read(written(names=["a", name, "c"]).encode(encoding), **told)[0].column_names[1] == name
    with pytest.raises(ValueError, match="is not utf-8"):
        read(written().encode("latin-1"), encoding="utf-8")


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        (gzip.compress, "gzip"),
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
        (lambda data: pa.compress(data, "zstd", asbytes=True), "zstd"),
    ],
)
def test_compressed_files_are_unpacked_and_cut_ones_refused(pack, name: str):
    packed = pack(written().encode())
    table, words = read(packed)
    assert name in words
    np.testing.assert_array_equal(values(table), X)
    with pytest.raises((ValueError, EOFError, OSError, lzma.LZMAError)):
        read(packed[: len(packed) // 2])


@pytest.mark.parametrize(
    "above",
    ["# made in 2020\n# units: m\n", "Export\nDate: 2020-01-01\n\n", "\n\n", "sep=,\n", "# a note, with a comma\n"],
)
def test_lines_above_the_table_are_skipped(above: str):
    table, words = read(above + written())
    assert table.column_names == NAMES
    np.testing.assert_array_equal(values(table), X)
    assert "above the table" in words or not above.strip()


def test_names_in_a_comment_and_names_of_rows_are_known():
    sink = io.BytesIO()
    np.savetxt(sink, X, header="a b c")
    assert read(sink.getvalue())[0].column_names == ["a", "b", "c"]
    rows = "".join(f"row {k},{line}\n" for k, line in enumerate(written(names=None).splitlines()))
    assert read("a,b,c\n" + rows)[0].column_names == ["", "a", "b", "c"]
    trailing = written(names=None).replace("\n", ",\n")
    for head in ("a,b,c,\n", "a,b,c\n"):
        assert read(head + trailing)[0].column_names == ["a", "b", "c"]


def test_the_numbers_of_columns_are_names():
    """As pandas and years have it."""
    for names in (["0", "1", "2"], ["2019", "2020", "2021"]):
        assert read(written(names=names))[0].column_names == names
    whole = "0,1,2\n" + "3,4,5\n6,7,8\n" * 30
    assert read(whole)[0].column_names == ["0", "1", "2"]
    assert read(whole, header=False)[0].num_rows == 61


def test_a_first_row_of_numbers_above_text_is_no_header():
    rows = "".join(f"{line},{['cat', 'dog'][k % 2]}\n" for k, line in enumerate(written(names=None).splitlines()))
    table, _ = read(rows)
    assert (table.num_rows, table.column_names) == (NUM_ROWS, ["x0", "x1", "x2", "x3"])
    assert read("a,b,c,kind\n" + rows)[0].column_names == ["a", "b", "c", "kind"]
    with_gap = "NA" + rows[rows.index(",") :]
    assert read(with_gap)[0].num_rows == NUM_ROWS


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        (["1", "-2", "+3"], pa.int64(), [1, -2, 3]),
        (["1", "2.5", "3e-2"], pa.float64(), [1, 2.5, 0.03]),
        (["1,234", "12,345,678", "7"], pa.int64(), [1234, 12345678, 7]),
        (["1.234,5", "12.345.678,25", "7,5"], pa.float64(), [1234.5, 12345678.25, 7.5]),
        (["1 234,5", "12 345,25", "7,5"], pa.float64(), [1234.5, 12345.25, 7.5]),
        (["\u22121.5", "+2.5", "3"], pa.float64(), [-1.5, 2.5, 3]),
        (["00501", "10001", "02139"], pa.string(), ["00501", "10001", "02139"]),
        (["12345678901234567890", "1", "2"], pa.string(), ["12345678901234567890", "1", "2"]),
        (["12345678901234567", "1.5", "2"], pa.string(), ["12345678901234567", "1.5", "2"]),
        (["9007199254740993", "1", "2"], pa.int64(), [9007199254740993, 1, 2]),
        (["1e300", "1", "2"], pa.float64(), [1e300, 1, 2]),
        (["0x1F", "1", "2"], pa.string(), ["0x1F", "1", "2"]),
        (["True", "FALSE", "true"], pa.bool_(), [True, False, True]),
        (["1", "NA", ""], pa.int64(), [1, None, None]),
        (["1.5", "nan", "None"], pa.float64(), [1.5, None, None]),
        (["1.5", "?", "2"], pa.string(), ["1.5", "?", "2"]),
        (["1e5", "2a7", "33"], pa.string(), ["1e5", "2a7", "33"]),
        (["NA", "DE", "FR"], pa.string(), ["NA", "DE", "FR"]),
        (["1.2.3", "4.5.6", "7"], pa.string(), ["1.2.3", "4.5.6", "7"]),
        (["2024-01-01", "2024-01-02", "2024-01-03"], pa.timestamp("s"), None),
    ],
)
def test_what_is_no_number_stays_what_it_is(texts: list[str], kind: pa.DataType, expected: list | None):
    table, _ = read("t;x\n" + "".join(f"{text};{k}.5e0\n" for k, text in enumerate(texts)), separator=";")
    assert table.schema.field("t").type == kind
    assert expected is None or table["t"].to_pylist() == expected


def test_a_comma_that_may_be_two_things_is_refused_until_told():
    text = "a;b\n" + "1,234;2\n5,678;3\n" * 30
    with pytest.raises(ValueError, match=r"numbers such as 1,234, whose comma .*: give --prepare.csv.decimal"):
        read(text)
    assert read(text, decimal=",")[0]["a"][0].as_py() == 1.234
    assert read(text, decimal=".")[0]["a"][0].as_py() == 1234


@pytest.mark.parametrize("num_bytes", range(1, 9))
def test_a_file_that_is_cut_off_in_its_last_number_is_refused(num_bytes: int):
    """Every number has six decimals."""
    with pytest.raises((ValueError, pa.ArrowInvalid), match=r"cut off in its last row|Expected 3 columns"):
        read(written(names=None)[: -1 - num_bytes])


def test_a_last_line_without_its_end_is_told():
    table, words = read(written()[:-1])
    assert table.num_rows == NUM_ROWS
    assert "no line end after the last row" in words
    assert "no line end" not in read(written())[1]


def test_rows_of_other_lengths_are_refused_with_the_row():
    with pytest.raises(pa.ArrowInvalid, match="Expected 3 columns, got 2"):
        read(written() + "1,2\n" + written(names=None))
    with pytest.raises(pa.ArrowInvalid, match="Expected 3 columns, got 1: Total"):
        read(written() + "\nTotal rows: 60\n")


def test_quoted_fields_may_hold_separators_and_line_ends():
    table, _ = read('"a","b, in m","c\nlong"\n' + written(names=None))
    assert table.column_names == ["a", "b, in m", "c\nlong"]
    single = "'a, in m','b','c'\n" + written(names=None, quotechar="'", quoting=csv.QUOTE_ALL)
    assert read(single)[0].column_names == ["a, in m", "b", "c"]


def test_what_is_told_is_not_looked_for():
    assert read("a,b\n1,5\n2,5\n", separator=";", decimal=",")[0].column_names == ["a,b"]
    assert config.CSV(separator="tab").separator == config.CSV(separator="\\t").separator == "\t"
    assert config.CSV(quote="none").quote == ""
    for wrong in ({"separator": "ab"}, {"encoding": "utf-9"}, {"quote": "xy"}):
        with pytest.raises(ValueError, match=r"prepare.csv\.\w+"):
            config.CSV(**wrong)


def test_binary_files_are_no_text():
    with pytest.raises(ValueError, match="NUL bytes"):
        read(b"a,b\n" + bytes(100))
