"""Whether the database refuses what it was given. Unlike one that is away, it will refuse it the next time too."""

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

#: SQLSTATE classes: data exceptions, constraints, limits such as the length of what is indexed.
_CLASSES: Final = ("22", "23", "54")


def is_rejected_data(error: BaseException) -> bool:
    """Whether this is about the data. Drivers raise OverflowError and UnicodeEncodeError for what cannot be sent."""
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return True
    if not isinstance(error, DBAPIError) or error.connection_invalidated:
        return False
    return isinstance(error, DataError | IntegrityError) or _sqlstate(error).startswith(_CLASSES)


def describe_rejection(error: BaseException) -> str:
    """For a person, without the data: that may be somebody's name."""
    sqlstate = _sqlstate(error)
    return f"the database refuses it: {f'SQLSTATE {sqlstate}' if sqlstate else type(error).__name__}"


def _sqlstate(error: BaseException) -> str:
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
