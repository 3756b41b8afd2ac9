"""How often each thing is told."""

P_TEXT = {
    "story": 0.32,
    "addition": 0.30,
    "comparison": 0.15,
    "successor": 0.04,
    "capital": 0.08,
    "kind": 0.11,
}
P_LESS = 0.3
P_IRONY = 0.03
P_NAME = 0.12
P_NEGATION = 0.27
P_CONFOUND = 0.85
P_STOP = (0.05, 0.3, 0.5, 0.7)
HELD_OUT_SHARE = 0.1

FOLLOW_WEIGHTS = {"consequence": 3.0, "size": 2.5, "colour": 2.0, "kind": 1.0}
