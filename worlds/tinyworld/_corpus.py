"""The corpus as rows of token ids: each row starts at a text's start, and is drawn afresh."""

import random

import numpy as np
import numpy.typing as npt

from conceptscope.worlds.tinyworld import _grammar
from conceptscope.worlds.tinyworld._statements import VERDICT
from conceptscope.worlds.tinyworld._teller import END
from conceptscope.worlds.tinyworld._tellers import Sampler
from conceptscope.worlds.tinyworld._tokenizer import vocabulary


class Corpus:
    """An endless stream of training rows.

    Rows cut in the middle of a text would be scored without what determines their words, so the text that a
    row cuts short is not continued on the next.
    """

    def __init__(self, width: int, generator: random.Random) -> None:
        self.width = width
        self.generator = generator
        self._ids = {word: i for i, word in enumerate(vocabulary())}

    def rows(self, n: int, *, statements: bool = False) -> npt.NDArray[np.int64]:
        """The next `n` rows, [row, position], "<s>" before and after each text; or statements alone."""
        return np.array([self._row(statements) for _ in range(n)])

    def _row(self, statements: bool) -> list[int]:
        words = [END]
        while len(words) < self.width:
            sampler = Sampler(self.generator)
            _grammar.tell(sampler)
            if not statements or VERDICT in sampler.words:
                words += sampler.words
        return [self._ids[word] for word in words[: self.width]]
