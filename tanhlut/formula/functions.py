"""The functions of one element beside the mode, each with the file of the text that it is in.

Every backend runs every one of them in a loop: to add one, write it there and name it here; no other file changes
(tests/test_newcomer.py).
"""

FUNCTIONS = {
    "stddev": "half_plane",
    "variance": "half_plane",
    "mean": "moments",
    "entropy": "moments",
    "mean_by_loc": "slopes",
    "mean_by_scale": "slopes",
    "stddev_by_loc": "slopes",
    "stddev_by_scale": "slopes",
}
IN_DOUBLE = {"moments": "patched"}  # the files that float64 has in their place

# The text after `bits`, in the order in which its files call each other: in float32, and in float64.
FILES = ("element", "chart", *dict.fromkeys(FUNCTIONS.values()))
DOUBLE_FILES = tuple(IN_DOUBLE.get(file, file) for file in FILES)
