"""The old form, in which every call names its function first, for the modules that still write it."""

from __future__ import annotations

from collections.abc import Callable

from dmlbook._checks import messages, values


def bad_input(*said: object, function: str | None = None) -> ValueError:
    if len(said) == 5:
        function, *said = said
    return messages.bad_input(*said, function=function)


def _renamed(check: Callable) -> Callable:
    def either(*arguments: object, **named: object) -> None:
        if not (arguments and isinstance(arguments[0], str)):
            return check(*arguments, **named)
        try:
            return check(*arguments[1:], **named)
        except ValueError as error:
            raise ValueError(f"{arguments[0]}: {str(error).partition(': ')[2]}") from None

    return either


check_batch = _renamed(values.check_batch)
check_choice = _renamed(values.check_choice)
check_number = _renamed(values.check_number)
check_shape = _renamed(values.check_shape)
check_unique = _renamed(values.check_unique)
