"""Bugs in the reading of tables: what is hashed, how CSV is read, which columns are no data."""

from tests.mutants.mutant import Mutant

CSV = "tests/unit/test_csv_files.py"
TABLE_FOLDERS = "tests/unit/test_table_folders.py"
NO_DATA = "tests/unit/test_no_data.py"
PREPARE = "tests/unit/test_prepare.py"
CHECKS = "tests/unit/test_checks.py"
DRIFT = "tests/unit/test_drift.py"
FIGURES = "tests/unit/test_figures.py"

_NO_DATA = "tasks/data/no_data.py"
_NUMERALS = "tasks/data/numerals.py"
_LAYOUT = "tasks/data/text_layout.py"
_CSV = "tasks/data/csv_files.py"

MUTANTS = (
    Mutant(
        "rows under the key of another file",
        "tasks/data/prepare.py",
        "if context.reads not in (None, data.source):",
        "if False:",
        (PREPARE,),
    ),
    Mutant("codes lose their zeros", _NUMERALS, "if _any_like(values, CODE) or", "if", (CSV,)),
    Mutant("long whole numbers are rounded", _NUMERALS, "and _any_rounded(values, column)", "and False", (CSV,)),
    Mutant(
        "gaps speak against a separator",
        _LAYOUT,
        "for field in row.fields if field]",
        "for field in row.fields]",
        (CSV,),
    ),
    Mutant("a comma of two meanings", _NUMERALS, "points if len(points) == len(commas) else ()", "()", (CSV,)),
    Mutant(
        "the first row is always a header",
        _CSV,
        "told.header is None and _is_header(",
        "told.header is None or (",
        (CSV,),
    ),
    Mutant("a cut number is read", _CSV, "if is_shortest or end.endswith(CUT_ENDS):", "if False:", (CSV,)),
    Mutant("commas before numbers", _LAYOUT, "(suits, round(share, 2), ", "(suits, ", (CSV,)),
    Mutant("row numbers are data", _NO_DATA, "if lowest in (0, 1) and", "if False and", (NO_DATA,)),
    Mutant("a die is a row number", _NO_DATA, "return num_values >= MIN_ROWS", "return True", (NO_DATA,)),
    Mutant(
        "ages are row numbers",
        _NO_DATA,
        "return num_values == num_rows == len(np.unique(whole - parts[name]))",
        "return num_values == num_rows",
        (NO_DATA,),
    ),
    Mutant("odd numbers are identifiers", _NO_DATA, "num_numbers < NUMBER_SHARE * len(text)", "True", (NO_DATA,)),
    Mutant(
        "a Delta table's loose files",
        "tasks/data/table_folders.py",
        "if kind is not None:\n            remedy",
        "if False:\n            remedy",
        (TABLE_FOLDERS,),
    ),
    Mutant(
        "names in another case",
        "tasks/data/checks.py",
        "name.casefold() in RESERVED_NAMES",
        "name in RESERVED_NAMES",
        (CHECKS,),
    ),
    Mutant("types of CSV", "tasks/retraining/drift.py", "and kinds != UNTYPED", "", (DRIFT,)),
    Mutant("mathematics in names", "tasks/reports/figures/style.py", '.replace("$", r"\\$")', "", (FIGURES,)),
)
