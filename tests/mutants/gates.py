"""Bugs in the split, the drift tests and the gate between challenger and champion."""

from tests.mutants.mutant import Mutant

CHAMPION = "tests/integration/test_champion.py"
DRIFT = "tests/unit/test_drift.py"
GATE = "tests/unit/test_gate.py"
METRICS = "tests/unit/test_recorded_metrics.py"
NEWS = "tests/unit/test_news.py"
SPLITTING = "tests/unit/test_splitting.py"

_CHAMPION = "tasks/registry/alias.py"
_DRIFT = "tasks/retraining/drift.py"
_GATE = "tasks/retraining/gate.py"
_NEWS = "tasks/retraining/news.py"
_SPLITTING = "tasks/data/splitting.py"

MUTANTS = (
    Mutant("split by the number of rows", _SPLITTING, "seed % 2**63", "(seed + len(content)) % 2**63", (SPLITTING,)),
    Mutant("copies on both sides", _SPLITTING, "// COPIES if is_grid else 0)", "// COPIES)", (SPLITTING, NEWS)),
    Mutant("common values on one side", _SPLITTING, "// COPIES if is_grid", "// 10**9 if is_grid", (SPLITTING,)),
    Mutant("a common row held out", _SPLITTING, "np.where(is_common[place]", "np.where(False", (SPLITTING,)),
    Mutant("a table that stands five times is a grid", _SPLITTING, "len(table) / times", "len(table)", (SPLITTING,)),
    Mutant("content without its columns", _SPLITTING, "digest_size=8, key=key", "digest_size=8", (SPLITTING,)),
    Mutant(
        "judged on rows that the champion learned from",
        _NEWS,
        "~np.isin(content_of(held_out, label), learned)",
        "np.ones(len(held_out), bool)",
        (NEWS,),
    ),
    Mutant("departures unseen", _NEWS, "~has_stayed", "has_stayed & ~has_stayed", (NEWS,)),
    Mutant("drift of whole rows unseen", _DRIFT, "if test.p_value <= level:", "if test.p_value < 0:", (DRIFT,)),
    Mutant("level of columns not shared", _DRIFT, "p_values[k] < level / len(names)", "p_values[k] < 0.05", (DRIFT,)),
    Mutant("log Z taken for exact", _GATE, "in (log_z_challenger, log_z_champion):", "in ():", (GATE,)),
    Mutant("log Z's interval for its error", _GATE, "/ stats.t.isf(0.025, dof)) ** 2", ") ** 2", (GATE,)),
    Mutant(
        "unpaired rows",
        _GATE,
        "gain.var(ddof=1) / len(gain)",
        "(challenger.var(ddof=1) + champion.var(ddof=1)) / len(gain)",
        (GATE,),
    ),
    Mutant(
        "the champion's draws for the challenger's",
        _GATE,
        "score[num_draws:].mean() - score[:num_draws].mean()",
        "score[:num_draws].mean() - score[num_draws:].mean()",
        (GATE,),
    ),
    Mutant("draws without their own spread", _GATE, " - 2 * cdist(both, both).mean(1)", "", (GATE,)),
    Mutant("held-out rows taken for the law", _GATE, "score[num_draws:], by_row)", "score[num_draws:])", (GATE,)),
    Mutant("a rate for each criterion", _GATE, "share = level / len(comparisons)", "share = level", (GATE,)),
    Mutant("no veto", _GATE, "if one.difference < 0", "if False", (GATE,)),
    Mutant("better by its estimate", _GATE, "one.difference - one.reach(share) > 0", "one.difference > 0", (GATE,)),
    Mutant("flaws ignored", _GATE, "    if flaws:", "    if flaws and not comparisons:", (GATE,)),
    Mutant("anything may follow an exact one", _GATE, "if champion_is_exact and not", "if False and not", (GATE,)),
    Mutant("NaN is no flaw", _GATE, "if not math.isfinite(value)", "if False", (GATE,)),
    Mutant("what is missing is no flaw", _GATE, "if name not in metrics)", "if False)", (GATE,)),
    Mutant("a criterion that is NaN", _GATE, "    if undefined:", "    if False:", (GATE,)),
    Mutant(
        "NaN is filtered unnamed", "tasks/judging/evaluate.py", "if not math.isfinite(value))", "if False)", (METRICS,)
    ),
    Mutant("a champion that was not judged against", _CHAMPION, "if now != expected or", "if", (CHAMPION,)),
    Mutant("rolled back and back again", _CHAMPION, " or ROLLED_BACK_TAG in tags:", ":", (CHAMPION,)),
)
