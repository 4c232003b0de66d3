"""Every error that a user can be told of; each message says what, where, and what to do."""


class FreerecallError(Exception):
    """Base of all errors that are shown to a user without a traceback."""


class DeckError(FreerecallError):
    """A deck file cannot be read. `line` is 1-based, 0 where no single line is to blame."""

    def __init__(self, message: str, *, source: str = "", line: int = 0) -> None:
        where = ":".join(part for part in (source, str(line) if line else "") if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.source = source
        self.line = line


class NotFoundError(FreerecallError):
    """No such deck, card or answer."""


class ForbiddenError(FreerecallError):
    """Whoever asks lacks the role for it."""


class NotSignedInError(FreerecallError):
    """Nobody is signed in, and somebody must be."""


class TooManyError(FreerecallError):
    """Too many tries in a short time. `wait_s`: seconds until the next may be made."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class ConflictError(FreerecallError):
    """The request contradicts what is stored."""


class InputError(FreerecallError):
    """A value is malformed, too long, or out of range."""


class SettingsError(FreerecallError):
    """A setting is unusable; the message names its environment variable."""


class LLMError(FreerecallError):
    """No usable reply from the language model. `retryable`: the same call may succeed later."""

    retryable = False


class LLMUnavailableError(LLMError):
    """Refused, timed out, overloaded, or a server error."""

    retryable = True


class HeldBackError(LLMUnavailableError):
    """Not asked at all: the provider failed again and again just now."""


class LLMReplyError(LLMError):
    """The model replied, but not in the form that was asked for."""


class BudgetExceededError(LLMError):
    """The spending limit (FREERECALL_BUDGET_USD) is reached."""
