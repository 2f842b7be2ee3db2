"""Refuses configuration files that a YAML reader takes in silence, or never comes to an end with."""

from dataclasses import dataclass
from pathlib import Path

import yaml

DEEPEST, MOST_NODES = 40, 10_000
"""Sections within sections, and values with aliases written out, of which the largest configuration has 5 and 200."""


def require_plain(path: Path) -> None:
    """`ValueError` for a key that stands twice, of which readers keep the last, and for aliases that hold themselves or
    are written out to more than `MOST_NODES`. What is no YAML at all is left to the parser.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _require_small(text, path)
        _require_distinct(yaml.compose(text, Loader=yaml.SafeLoader), path)
    except (OSError, UnicodeError, yaml.YAMLError):
        return


@dataclass
class _Open:
    """A mapping or list that has begun: its anchor, and how many nodes it holds so far."""

    anchor: str | None
    num_nodes: int = 1


def _require_small(text: str, path: Path) -> None:
    """Count nodes as events come, since to build the nodes of an alias that holds itself would not end."""
    sizes: dict[str, int] = {}
    pending = [_Open(None)]
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            pending.append(_Open(event.anchor))
        elif isinstance(event, yaml.AliasEvent):
            if any(one.anchor == event.anchor for one in pending):
                raise ValueError(f"{path}: the alias *{event.anchor} stands within what it names: write it out")
            pending[-1].num_nodes += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            pending[-1].num_nodes += 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = pending.pop()
            pending[-1].num_nodes += closed.num_nodes
            sizes |= {closed.anchor: closed.num_nodes} if closed.anchor else {}
        if len(pending) > DEEPEST or pending[-1].num_nodes > MOST_NODES:
            raise ValueError(
                f"{path} holds more than {DEEPEST} sections within each other, or {MOST_NODES:,} values with aliases "
                "written out: a configuration has neither"
            )


def _require_distinct(root: yaml.Node | None, path: Path) -> None:
    pending = [root]
    while pending:
        node = pending.pop()
        if not isinstance(node, yaml.MappingNode):
            continue
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"key {key!r} stands twice in {path}, line {node.start_mark.line + 1}: keep one")
        pending += [value for _, value in node.value]
