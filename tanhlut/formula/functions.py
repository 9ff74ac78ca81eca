"""The functions of one element beside the mode, each with the file of the text that it is in.

Every backend runs every one of them in a loop: to add one, write it there and name it here; no other file changes
(tests/test_newcomer.py).
"""

FUNCTIONS = {
    "mean": "moments",
    "stddev": "moments",
    "variance": "moments",
    "entropy": "moments",
    "slope": "moments",
}

# The text after `bits`, in the order in which its files call each other.
FILES = ("element", "chart", *dict.fromkeys(FUNCTIONS.values()))
