"""What makes the chains of a model: in an actor of a fleet, or in the process that replays them."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from scorefleet.tasks.ebm import model as models
from scorefleet.tasks.errors import UserError
from scorefleet.tasks.fleet.hardware import made_on, own_device
from scorefleet.tasks.fleet.job import Advanced, Job
from scorefleet.tasks.fleet.segments import Made, advanced
from scorefleet.tasks.fleet.worker import Worker
from scorefleet.tasks.mcmc.noise_ladder import annealing, ladder_exchange
from scorefleet.tasks.mcmc.noise_ladder import program as programs
from scorefleet.tasks.mcmc.noise_ladder.annealing import Ladder, TargetAt, Tuning
from scorefleet.tasks.mcmc.noise_ladder.program import Chains, Program, Segment
from scorefleet.tasks.mcmc.streams import Stream
from scorefleet.tasks.sampling import composition
from scorefleet.tasks.sampling.draws import exchange_facts, level_facts, path_table, to_table, trace_table
from scorefleet.tasks.store.layout import Layout


class ChainMaker:
    """Makes any segment of a model's chains, on a device; a pure function, by whomever it is called."""

    def __init__(self, folder: str, device: str):
        self.device = torch.device(device)
        torch.set_num_threads(1)  # the order of a sum must not depend on the machine's number of cores
        self.model = composition.load(Path(folder), self.device)
        self.schema = composition.schema_of(Path(folder))

    def tune(self, stream: Stream, levels: tuple[float, ...], tuning: Tuning) -> Ladder:
        """Find the step size of every level, and the levels to exchange between."""
        target_at, dim = self.target_at(tuning.temperature), self.model.dim
        ladder = annealing.tune(stream, target_at, levels, dim, tuning, self.device)
        if not tuning.is_exchanged:
            return ladder
        others = dataclasses.replace(stream, purpose=f"{stream.purpose}/exchange")
        return ladder_exchange.choose_levels(others, target_at, ladder, tuning.num_chains, dim, self.device)

    def walk(self, program: Program) -> tuple[pa.Table, pa.Table]:
        """One block of chains for people to look at: its way down, and where it goes at the lowest level."""
        target_at = self.target_at(program.ladder.temperature)
        walk = programs.descend_ladder(program, 0, target_at, self.device)
        draws = range(program.draws_per_segment, program.num_draws)
        stay = programs.next_segment(program, 0, draws, programs.arrived(program, walk), target_at)
        tables = path_table(walk), trace_table(stay)
        if isinstance(self.model, models.ScoreModel):
            return tuple(table.drop_columns("log_density") for table in tables)
        return tables

    def make(
        self, program: Program, layout: Layout, block: int, segment: int, before: dict[str, np.ndarray] | None
    ) -> Made:
        """One segment of one block, from the state that the segment before it left."""
        made, chains = self._advanced(program, block, layout.draws(block, segment), before), layout.chains(block)
        state = made.chains.to_tensors()
        facts = {
            "levels": level_facts(made.stats, program.steps_per_level, len(chains)),
            **(exchange_facts(made) if program.exchange_rounds else {}),
            "num_nonfinite": made.draws.num_nonfinite,
            "num_gradients": made.num_gradients,
        }
        table = to_table(made, program, chains, self.model, self.schema)
        return Made(table, {key: value.cpu().numpy() for key, value in state.items()}, facts)

    def _advanced(self, program: Program, block: int, draws: range, before: dict[str, np.ndarray] | None) -> Segment:
        target_at = self.target_at(program.ladder.temperature)
        if before is None:
            return programs.first_segment(program, block, draws, target_at, self.device)
        loaded = {key: torch.from_numpy(value).to(self.device) for key, value in before.items()}
        return programs.next_segment(program, block, draws, Chains.of_tensors(loaded), target_at)

    def target_at(self, temperature: float) -> TargetAt:
        """The model's density, or its score alone, at each noise level, to the power `1/temperature`."""
        return annealing.heat(self.model.target, temperature)


class ChainWorker(ChainMaker, Worker):
    """Holds a model on a device and advances whatever block it is given; keeps nothing between calls."""

    def __init__(self, folder: str):
        try:
            super().__init__(folder, own_device())
        except UserError as error:  # of a classifier
            self.refusal = error

    def advance(self, job: Job[Program], block: int, segment: int) -> Advanced:
        """Make one segment of one block and commit it; one that is there already is left alone."""
        make = partial(self.make, job.program, job.layout, block, segment)
        return advanced(job.store, block, segment, make, made_on(self.device))
