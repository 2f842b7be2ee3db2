"""How the draws of a block are cut into segments."""

from scorefleet.tasks.store.extents import Extent
from scorefleet.tasks.store.layout import Layout


def cuts_of(program, *extents: int) -> list[range]:
    """Of a store that is drawn in one go, or had so many draws a chain before it had all."""
    sizes = tuple(Extent(program.block_size, num_draws) for num_draws in (*extents, program.num_draws))
    layout = Layout(program.block_size, program.draws_per_segment, sizes)
    return [layout.draws(0, segment) for segment in range(layout.num_segments(0))]
