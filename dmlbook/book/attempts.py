"""A learner's function is called: on copies, for a limited time, and whatever comes of it is said in one sentence.

The time limit is an alarm of the operating system where there is one and this is the main thread, as in a notebook on
Linux or macOS. Elsewhere (Windows, other threads) the function runs in a thread of its own, which is told to stop when
its time is up. Neither ends one long operation of another library, nor each loop that catches every exception there is.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import inspect
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import CoroutineType, GeneratorType

import numpy as np
import torch

SECONDS = 10.0
"""For one call of a learner's function."""
AGAIN = 0.05
"""Seconds after which the alarm rings again, for loops that swallow it."""
DEEPEST, LONGEST = 20, 100_000
"""Answers that are nested deeper or have more entries are not looked at."""


@dataclass(frozen=True)
class Odd:
    """Stands for an answer that cannot be compared with anything.

    Attributes:
        text: What it is, in a few words.
        hint: What to do about it, in one sentence; empty where nobody knows.
    """

    text: str
    hint: str = ""

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Attempt:
    """What came of one call.

    Attributes:
        result: The answer as plain numbers, tensors, texts, lists, tuples and dictionaries; see ``plain``.
        problem: What went wrong, such as ``raised ZeroDivisionError: division by zero``; empty if nothing did.
        changed: Names of the arguments that the function changed.
        raised: The class of the exception that ended it; None if none did.
    """

    result: object
    problem: str
    changed: tuple[str, ...]
    raised: type[BaseException] | None = None


class _TooDeep(Exception):
    """Lists within lists without end."""


class OutOfTime(BaseException):
    """Not an ``Exception``: a loop that catches those should end all the same."""


def attempt(call: Callable, read: Callable, answer: Callable, arguments: tuple, seconds: float = SECONDS) -> Attempt:
    """``read(call(answer, arguments))`` on a copy of the arguments.

    Everything that the function raises is caught, SystemExit too, except for KeyboardInterrupt: that is the reader's.
    """
    given, result, problem, raised = copy.deepcopy(arguments), None, "", None
    try:
        result = within(seconds, lambda: plain(read(call(answer, given))))
    except KeyboardInterrupt:
        raise
    except OutOfTime:
        problem = f"did not end within {seconds:g} seconds: is there a loop that never stops?"
    except SystemExit:
        problem = "ended the program (SystemExit): leave a function by `return`, not by exit()."
    except BaseException as error:  # whatever a learner's code raises is part of the lesson
        said = text(error)
        problem, raised = f"raised {type(error).__name__}" + (f": {said}" if said else ""), type(error)
    return Attempt(result, problem, tuple(_changed(answer, arguments, given)), raised)


def within(seconds: float, function: Callable[[], object]) -> object:
    """What the function returns, or else ``OutOfTime``. An alarm that was set before rings as if nothing had been."""
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            return function()
    return _in_a_thread(seconds, function)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    over, start = False, time.monotonic()

    def ring(*_: object) -> None:
        if not over:
            raise OutOfTime

    former, (left, interval) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            over = True
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if former is None else former)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - start), 1e-3), interval)


def _in_a_thread(seconds: float, function: Callable[[], object]) -> object:
    found, grad = {}, torch.is_grad_enabled()

    def run() -> None:
        try:
            with torch.set_grad_enabled(grad):
                found["result"] = function()
        except BaseException as error:  # it is raised again below, where somebody waits
            found["error"] = error

    thread, end = threading.Thread(target=run, daemon=True), time.monotonic() + seconds
    try:
        thread.start()
    except RuntimeError:  # a Python in a browser has no threads: no limit there
        return function()
    try:
        while thread.is_alive() and time.monotonic() < end:
            thread.join(AGAIN)
    finally:
        for _ in range(20):  # it may swallow the first ones
            if not thread.is_alive():
                break
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTime))
            thread.join(AGAIN)
    if "error" in found:
        raise found["error"]
    if "result" not in found:
        raise OutOfTime
    return found["result"]


def plain(value: object) -> object:
    """An answer as something that can be compared and shown; what cannot be is ``Odd``. Nothing in it is shared."""
    try:
        return _plain(value, 0)
    except _TooDeep:
        return Odd(f"lists within lists, more than {DEEPEST} deep", "Return the values themselves.")


def _plain(value: object, depth: int) -> object:
    if value is None or value is Ellipsis or isinstance(value, bool):
        return value
    if depth > DEEPEST:
        raise _TooDeep
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc":
            return _plain_tensor(torch.from_numpy(value.copy()))
        return Odd(f"a numpy array of {value.dtype}", "Return numbers.")
    if isinstance(value, np.generic):
        return _plain(value.item(), depth + 1)
    if isinstance(value, (list, tuple, dict)) and len(value) > LONGEST:
        return Odd(f"{type(value).__name__} of {len(value)} entries", "That is far more than was asked for.")
    if isinstance(value, (list, tuple)):
        kind = list if isinstance(value, list) else tuple
        return kind(_plain(entry, depth + 1) for entry in kind.__iter__(value))
    if isinstance(value, dict):
        return {key: _plain(entry, depth + 1) for key, entry in dict.items(value)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return _unusual(value)


def _plain_tensor(tensor: torch.Tensor) -> object:
    shape = tuple(tensor.shape)
    if tensor.is_meta:
        return Odd(f"a tensor {shape} on the device meta", "It has a shape and no numbers: use the device cpu.")
    if tensor.is_nested or tensor.is_quantized:
        return Odd("a nested or quantized tensor", "Return an ordinary one.")
    if tensor.is_complex():
        return Odd(f"a complex tensor {shape}", "Complex numbers are not asked for: return real ones.")
    if tensor.numel() > LONGEST:
        return Odd(f"a tensor {shape}", "That is far more than was asked for.")
    dense = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    return dense.to("cpu", copy=True).as_subclass(torch.Tensor)


def _unusual(value: object) -> object:
    if isinstance(value, complex):
        return Odd(text(value), "That is complex: return a real number.")
    if isinstance(value, CoroutineType):
        value.close()
        return Odd("a coroutine", "Write `def`, not `async def`.")
    if isinstance(value, GeneratorType):
        return Odd("a generator", "Put list(...) around it, or write `return`, not `yield`.")
    if isinstance(value, (range, map, filter, zip, Mapping)) or type(value).__name__.startswith("dict_"):
        return Odd(f"a {type(value).__name__}", "Make a list of it: list(...).")
    if callable(value):
        return Odd("a function", "Call it: are the brackets missing?")
    try:
        return float(value)  # fractions and their like
    except Exception:
        return Odd(text(value))


def text(value: object) -> str:
    """A value as text short enough for one line, whatever its own ``__str__`` does."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**100:
        return f"a whole number of about {math.floor(math.log10(abs(value))) + 1} digits"
    try:
        said = str(value)
        return said if len(said) <= 120 else said[:117] + "..."
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # OutOfTime is not among them: the clock has been stopped
        return f"an object of {type(value).__name__}, whose text raised {type(error).__name__}"


def names_of(function: Callable) -> list[str]:
    """The names of a function's parameters, in order; none where it does not tell them."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def _changed(answer: Callable, before: tuple, after: tuple) -> Iterator[str]:
    """Names of the arguments that are no longer what they were."""
    names = names_of(answer)
    for place, (one, other) in enumerate(zip(before, after, strict=True)):
        try:
            kept = _alike(one, other)
        except Exception:  # what a learner left there cannot even be compared
            kept = False
        if not kept:
            yield f"`{names[place]}`" if place < len(names) else f"number {place + 1}"


def _alike(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        alike = one.shape == other.shape and one.dtype == other.dtype
        return alike and torch.equal(torch.nan_to_num(one.detach()), torch.nan_to_num(other.detach()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, torch.nn.Module):
        return _alike(dict(one.state_dict()), dict(other.state_dict()))
    if is_dataclass(one):
        return all(_alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and bool((one == other).all())
    return bool(one == other) or one != one or type(one).__eq__ is object.__eq__
