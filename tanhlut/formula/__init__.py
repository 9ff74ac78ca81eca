"""The mathematics, written once: `equation` says what is solved, `element` how a kernel solves it on one element.

`element` and `bits` are the text: plain Python that speaks only of `operations`. Nobody imports them; each backend has
them run with its own operations (`instantiate`). `plain` is the text in NumPy: slow and obvious.
"""
