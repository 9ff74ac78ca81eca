"""What a call asks for: method, table, bounds. Checked before anything is computed."""

import os

import numpy as np
import torch

from tanhlut.arrays import ArrayLike, check_choice, is_number, number, shown
from tanhlut.file.table import ModeTable
from tanhlut.methods import METHODS, REFINED, Method


def refined(method: Method, refine: bool) -> Method:
    """The method that `method` and `refine` name together."""
    check_choice("method", method, METHODS)
    if not isinstance(refine, (bool, int, np.bool_)):
        raise TypeError(f"refine: {shown(refine)}: give True or False")
    return REFINED.get(method, method) if refine else method


def check_numbers(scale: ArrayLike, low: ArrayLike, high: ArrayLike) -> None:
    """Python numbers can be judged at once; arrays answer NaN instead, since judging them would stall a GPU."""
    if is_number(scale) and number(scale) < 0:
        raise ValueError(f"scale = {scale} is negative: give a standard deviation ≥ 0")
    if is_number(low) and is_number(high) and not -torch.inf < number(low) < number(high) < torch.inf:
        raise ValueError(f"low = {low}, high = {high}: give finite bounds with low < high")


def check_table(table: object) -> None:
    """Refuse, with a TypeError, what is neither a table nor None."""
    if table is not None and not isinstance(table, ModeTable):
        path = isinstance(table, (str, bytes, os.PathLike))
        remedy = f"tanhlut.ModeTable.load({'path'})" if path else "a tanhlut.ModeTable"
        raise TypeError(f"table: {shown(table)}: give {remedy}")
