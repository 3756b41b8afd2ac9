"""English words that stay in a text by default: they bind others and say little by themselves."""

from __future__ import annotations

_LINES = (
    "a an the this that these those",
    "i me my mine we us our ours you your yours he him his she her hers it its they them their theirs",
    "myself ourselves yourself yourselves himself herself itself themselves",
    "who whom whose which what where when why how there here",
    "am is are was were be been being do does did doing done have has had having",
    "will would shall should can could may might must",
    "i'm i've i'll i'd we're we've we'll we'd you're you've you'll you'd he's he'll he'd she's she'll she'd",
    "it's it'll they're they've they'll they'd that's there's what's who's let's",
    "of in on at by for with from to into onto about as than between through over under up down out off",
    "and or so if while then also",
)

STOP_WORDS = frozenset(word for line in _LINES for word in line.split())
"""In lower case.

What turns or joins meanings is left out on purpose, and so is a player: not, no, never, n't, without, but,
because, until, only.
"""
