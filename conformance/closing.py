"""What a ``with`` closes at its end, whatever came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Something that holds processes, descriptors or files: as a context manager it is closed."""

    @abstractmethod
    def close(self) -> object:
        """Give up what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
