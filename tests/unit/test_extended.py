"""An extended store has the rows that it had, and those that one drawn in one go has; its readers see each once."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pyarrow.dataset as ds
import pytest

from scorefleet.pipelines.cli import main
from scorefleet.tasks.audit.rebuild import rebuild
from scorefleet.tasks.audit.replay import open_source, replay
from scorefleet.tasks.judging.target_measures import total_facts
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.sampling.draws import summarise_exchange
from scorefleet.tasks.sampling.sample_target import WARM
from scorefleet.tasks.store.entry import Entry, commit_path
from scorefleet.tasks.store.extents import extension_path
from scorefleet.tasks.store.growing import new_entries
from scorefleet.tasks.store.layout import Layout
from scorefleet.tasks.store.manifest import SampleStore
from scorefleet.tasks.store.subsets import one_draw_per_chain, whole_chains
from scorefleet.tasks.store.torch_draws import Draws
from scorefleet.tasks.store.verify import verify
from tests.tiny_stores import model_store, target_store
from tests.unit.test_signature import keys

SIZES = ((6, 3), (6, 4), (9, 4), (14, 7))
CHAINS = [*range(6), *range(8, 11), *range(12, 17)]
"""In blocks of four: chains that came later begin in a block of their own."""

KINDS = {"model": (model_store, {"exchange_rounds": 4, "thinning": 2}), "target": (target_store, {"num_levels": 3})}


def grow(folder, kind, number):
    """The store of a size, of which the one before it is there."""
    fill, changes = KINDS[kind]
    num_chains, num_draws = SIZES[number]
    return fill(folder, sizes=SIZES[:number], num_chains=num_chains, num_draws=num_draws, **changes)


def ordered(table):
    return table.sort_by([("chain", "ascending"), ("draw", "ascending")])


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", params=KINDS)
def grown(request, tmp_path_factory):
    """The kind of a store, its folder, and what lay in it at each size."""
    folder, stages = tmp_path_factory.mktemp(request.param), []
    for number in range(len(SIZES)):
        grow(folder, request.param, number)
        stages.append(files_of(folder / "store"))
    return request.param, folder, stages


@pytest.fixture(scope="module")
def once(grown, tmp_path_factory):
    """A store of more chains that is drawn in one go; its warm-up is the other's, which takes most of the time."""
    kind, folder, _ = grown
    fill, changes = KINDS[kind]
    here = tmp_path_factory.mktemp("once")
    if (folder / "store" / WARM).exists():
        (here / "store").mkdir()
        shutil.copy(folder / "store" / WARM, here / "store")
    return fill(here, num_chains=20, num_draws=7, **changes)


@pytest.fixture
def midway(grown, tmp_path):
    """A store of the second size, in which some of the last are committed."""
    _, _, stages = grown
    folder = tmp_path / "store"
    layouts = [Layout.of(json.loads(stages[number]["dataset.json"])) for number in (1, 3)]
    places = [place for place in layouts[1].places() if not layouts[0].has(*place)][:5]
    chosen = {f"{block:06}-{segment:04}" for block, segment in places}
    more = {name: data for name, data in stages[3].items() if name.partition("/")[2][:11] in chosen}
    more |= {extension_path(number): stages[3][extension_path(number)] for number in (2, 3)}
    for name, data in (more | stages[1]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_nothing_that_was_there_is_changed_but_what_describes_it(grown):
    _, _, stages = grown
    for before, after in pairwise(stages):
        assert {name for name, data in before.items() if after.get(name) != data} == {"dataset.json"}


def test_rows_are_those_of_a_store_that_was_drawn_in_one_go(grown, once):
    table = ordered(SampleStore(str(grown[1] / "store"), writable=False).dataset().to_table())
    other = once.dataset().to_table()
    assert table == ordered(other.filter(np.isin(other["chain"].to_numpy(), CHAINS)))
    assert table["chain"].to_pylist() == np.repeat(CHAINS, 7).tolist()
    assert table["draw"].to_pylist() == len(CHAINS) * [*range(7)]


def test_it_is_proven_whole_and_comes_out_again(grown, capsys):
    _, folder, _ = grown
    store = str(folder / "store")
    proof = verify(store)
    assert (proof.findings, proof.notes) == ((), ())
    source = open_source(store, None)
    replays = [replay(source, *place) for place in source.entries]
    assert len(replays) == Layout.of(source.description).num_places == 2 * 5 + 4 + 2 * 4
    assert all(one.reasons == () and one.has_equal_bytes for one in replays)
    shard = proof.entries[-1].path
    assert main(["verify", store, "--shard", shard]) == 0
    assert json.loads(capsys.readouterr().out)["index"] == len(proof.entries) - 1


def test_subsets_and_loaders_know_the_chains_that_there_are(grown):
    _, folder, _ = grown
    store = SampleStore(str(folder / "store"), writable=False)
    table = ordered(store.dataset().to_table())
    few = whole_chains(store, 8)
    columns = few.column_names
    assert few == table.filter(np.isin(table["chain"].to_numpy(), CHAINS[:8])).select(columns).combine_chunks()
    one = one_draw_per_chain(store, 99, 0)
    assert one["chain"].to_pylist() == CHAINS
    assert all(row in table.to_pylist() for row in one.to_pylist())
    drawn = [(int(row["chain"]), int(row["draw"])) for row in Draws(store.uri, ["chain", "draw"])]
    assert sorted(drawn) == list(zip(table["chain"].to_pylist(), table["draw"].to_pylist(), strict=True))


def test_what_is_lost_is_made_again(grown, tmp_path):
    """The manifest, a size, a short segment and the state that others go on from."""
    _, folder, stages = grown
    store = shutil.copytree(folder / "store", tmp_path / "store")
    entry = SampleStore(str(store), writable=False).entries()[1]
    lost = {"manifest-0003.parquet", extension_path(2), entry.path, entry.state_path}
    for name in lost:
        (store / name).unlink()
    assert {finding.what for finding in verify(str(store)).findings} == lost
    words = ["--model", str(folder / "model")] if (folder / "model").exists() else []
    assert main(["repair", str(store), *words]) == 0
    assert files_of(store) == stages[-1]


def facts_of(grown, once):
    """Of the first block, which both stores hold whole."""
    stores = [SampleStore(str(grown[1] / "store"), writable=False), once]
    return [[entry for entry in store.each_entry() if entry.block == 0] for store in stores]


@pytest.mark.parametrize("grown", ["target"], indirect=True)
def test_what_segments_of_travelling_chains_counted_adds_up(grown, once):
    """The burn-in once a block, and each draw once."""
    extended, whole = (total_facts(some) for some in facts_of(grown, once))
    assert extended.keys() == whole.keys() > {"accepted", "num_evaluations", "swapped", "round_trips"}
    for name in extended.keys() - {"min_chain_acceptance"}:
        np.testing.assert_array_equal(extended[name], whole[name], name)


@pytest.mark.parametrize("grown", ["model"], indirect=True)
def test_what_segments_of_a_models_chains_counted_adds_up(grown, once):
    """The way down once a block, each draw and each round of exchange once."""
    facts = [[entry.facts for entry in some] for some in facts_of(grown, once)]
    program = rebuild(programs.Program, once.description()["program"], "program")
    extended, whole = (summarise_exchange(program, [[one["exchange"] for one in some]]) for some in facts)
    assert extended.keys() == whole.keys()
    for name in extended:
        assert extended[name] == pytest.approx(whole[name], rel=1e-12), name
    for name in ("num_gradients", "num_nonfinite"):
        assert len({sum(one[name] for one in some) for some in facts}) == 1, name
    assert facts[0][0]["levels"] == facts[1][0]["levels"]
    assert not any(one["levels"] for some in facts for one in some[1:])


@pytest.mark.parametrize(
    ("segments", "least"),
    [
        ([(700, 1000)], 0.7),
        ([(700, 1000), (0, 1)], 700 / 1001),
        ([(700, 1000), (0, 1000)], 0),
        ([(0, 1), (0, 2), (700, 1000)], 700 / 1003),
        ([(0, 1), (3, 5), (0, 1), (4, 5)], 3 / 6),
    ],
)
def test_a_chain_is_not_stuck_that_accepts_nothing_in_a_segment_that_ended_early(segments, least):
    zeros = {"accepted": 0, "proposed": 0, "num_nonfinite": 0, "num_overflowed": 0, "num_evaluations": 0}
    facts = [zeros | {"min_accepted": accepted, "proposed_per_chain": proposed} for accepted, proposed in segments]
    entries = [Entry(0, k, "", 0, 0, "", "", "", "", one) for k, one in enumerate(facts)]
    assert total_facts(entries)["min_chain_acceptance"] == pytest.approx(least)


def test_in_the_midst_of_an_extension_the_store_is_whole_as_it_was(midway, grown):
    """Readers of the folder see the rows of both, each once."""
    _, _, stages = grown
    proof = verify(str(midway))
    assert proof.is_whole
    (note,) = proof.notes
    entries = new_entries(str(midway), proof.entries)
    assert len(entries) == 5
    num_rows = sum(entry.rows for entry in entries)
    assert note.startswith(f"{num_rows} rows in 5 more shards are committed: an extension to 14 chains of 7 draws")
    store = SampleStore(str(midway), writable=False)
    assert len(store.dataset().to_table()) == store.description()["num_rows"] == 6 * 4
    table = ds.dataset(midway / "shards").to_table()
    assert len(table) == 6 * 4 + num_rows
    assert len({*zip(table["chain"].to_pylist(), table["draw"].to_pylist(), strict=True)}) == len(table)
    assert replay(open_source(str(midway), None), 0, 2).reasons == ()
    assert files_of(midway).items() <= (stages[3] | {"dataset.json": stages[1]["dataset.json"]}).items()


def test_in_the_midst_of_an_extension_repair_leaves_what_belongs_to_it(midway):
    """The manifest is found in the commit records, of which there are more by now."""
    before = files_of(midway)
    beyond = new_entries(str(midway), verify(str(midway)).entries)
    (midway / "manifest-0001.parquet").unlink()
    (midway / commit_path(beyond[0].block, beyond[0].segment)).unlink()  # its writer was killed before that
    stranger = midway / beyond[1].path.replace(beyond[1].sha256[:12], 12 * "0")
    stranger.write_bytes((midway / beyond[1].path).read_bytes())
    (midway / "shards" / f"000099-0000-{12 * '0'}.parquet").write_bytes(b"of no size that was asked for")
    assert [finding.kind for finding in verify(str(midway)).findings] == ["missing", "extra", "extra"]
    assert main(["repair", str(midway)]) == 0
    assert files_of(midway).keys() == before.keys() - {commit_path(beyond[0].block, beyond[0].segment)}


@pytest.mark.parametrize("name", ["extension-0003.json", "commits/"])
def test_damage_beyond_is_named_and_nothing_beyond_is_removed(midway, name):
    path = max(path for path in midway.rglob("*") if str(path.relative_to(midway)).startswith(name))
    path.write_bytes(b"{}")
    before = files_of(midway)
    (finding,) = verify(str(midway)).findings
    assert (finding.kind, finding.what) == ("damaged", "an extension")
    assert main(["repair", str(midway)]) == 4
    assert files_of(midway) == before


def test_a_smaller_store_never_takes_the_place_of_a_larger_one(grown, tmp_path):
    kind, folder, stages = grown
    shutil.copytree(folder, tmp_path / "copy")
    for number in (1, 3, 0):
        grow(tmp_path / "copy", kind, number)
        assert files_of(tmp_path / "copy" / "store") == stages[-1]


def test_the_signature_of_the_smaller_store_is_said_to_be_that(tmp_path, capsys):
    private, public = keys(tmp_path)
    folder = str(tmp_path / "store")
    model_store(tmp_path, num_chains=4, num_draws=2)
    assert main(["verify", folder, "--sign", private]) == 0
    model_store(tmp_path, sizes=[(4, 2)], num_chains=4, num_draws=3)
    capsys.readouterr()
    assert main(["verify", folder]) == 0
    assert "signature.json is not of dataset.json as it is now: sign it again" in capsys.readouterr().out
    assert main(["verify", folder, "--public-key", public]) == 4
    assert main(["verify", folder, "--sign", private]) == 0
    assert main(["verify", folder, "--public-key", public]) == 0
    capsys.readouterr()
    assert main(["verify", folder]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
