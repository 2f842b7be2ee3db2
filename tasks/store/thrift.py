"""Reads Thrift's compact protocol, in which Parquet writes its footer and page headers, without trusting a count in it.

A value is int, bytes, a list of values, or a struct: field number -> value. `ValueError` for what is none of these.
"""

from collections.abc import Iterator
from typing import Any

DEEPEST = 8
"""Structs and lists inside one another; Parquet's own have five."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


class Reader:
    """Reads values from `data`, from `position` on."""

    def __init__(self, data: bytes | memoryview, position: int = 0):
        self._data, self.position = data, position

    def fields(self, depth: int = 0) -> Iterator[tuple[int, Any]]:
        """The fields of a struct, in turn, so that who needs only the first reads no further."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            yield number, self._value(head & 15, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("its metadata is nested too deep")
        if kind in (_TRUE, _FALSE):
            return int(kind == _TRUE)
        if kind == _BYTE:
            return self._byte()
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_DOUBLE, _BINARY):
            return self._bytes(8 if kind == _DOUBLE else self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return dict(self.fields(depth + 1))
        raise ValueError("its metadata has values of an unknown kind")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = self._unsigned() if head >> 4 == 15 else head >> 4
        kind = _BYTE if head & 15 in (_TRUE, _FALSE) else head & 15  # in a list each has a byte of its own
        return [self._value(kind, depth + 1) for _ in range(count)]  # each of which is a byte, or the end of them

    def _integer(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)

    def _unsigned(self) -> int:
        value = shift = 0
        while shift < 64:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("its metadata has a number that is too long")

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        found = bytes(self._data[self.position : self.position + count])
        if len(found) < count:
            raise ValueError("its metadata is cut off")
        self.position += count
        return found
