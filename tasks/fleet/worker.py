"""One of a fleet."""

from scorefleet.tasks.errors import UserError


class Worker:
    """Makes segments by `advance(job, block, segment)`, and keeps nothing between calls."""

    refusal: UserError | None = None
    """Why it cannot work: raised when it arrives, since Ray makes many lines of what is raised before."""

    def arrive(self) -> str:
        """The node where an actor is, once it is there."""
        if self.refusal is not None:
            raise self.refusal
        from scorefleet.tasks.fleet import cluster  # Ray, which whoever has no actors does without

        return cluster.this_node()
