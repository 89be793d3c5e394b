"""The one error tree of cspine.

::

    CspineError
    ├── InputError            the study cannot be read or must not be answered
    │   ├── NoImages          nothing readable was found
    │   ├── NotAVolume        the slices do not form one volume (reason, where)
    │   ├── UnsupportedSeries readable, but of a kind that cspine refuses
    │   └── OutOfScope        a CT volume, but not one of a cervical spine
    ├── BundleError           the model bundle
    │   ├── BundleMissing
    │   ├── BundleCorrupt
    │   └── BundleIncompatible
    ├── StoreError            where series come from and results go
    │   ├── Unreachable
    │   ├── Rejected          carries the peer's status
    │   └── StoreTimeout
    ├── ConfigError           a setting, a recipe or a phantom specification
    ├── RequestError      what somebody asked of the service cannot be given
    │   ├── Unauthenticated
    │   ├── Forbidden
    │   ├── NotFound
    │   ├── Conflict
    │   ├── TooLarge
    │   └── TooManyTries
    ├── TrainingStopped       a training that cannot go on: its loss is not a number, or the memory does not suffice
    └── RenderError           a document could not be made

A message says what happened, to which object, the measured value, the limit, and what to do.
"""


class CspineError(Exception):
    """Base of every error that cspine raises on purpose."""


class InputError(CspineError):
    """The input cannot be analyzed."""


class NoImages(InputError):
    """No readable CT image was found."""


class NotAVolume(InputError):
    """The slices do not form one volume.

    Parameters
    ----------
    reason
        What is wrong, with the measured value and the limit.
    where
        The object: series UID, file, or slice positions in mm.
    """

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.where = where


class UnsupportedSeries(InputError):
    """The series is readable, but of a kind that cspine refuses to answer on."""


class OutOfScope(InputError):
    """The volume is a CT, but not one of a cervical spine."""


class BundleError(CspineError):
    """A model bundle cannot be used."""


class BundleMissing(BundleError):
    """There is no bundle where one was expected."""


class BundleCorrupt(BundleError):
    """A file of the bundle differs from what its manifest promises."""


class BundleIncompatible(BundleError):
    """The bundle was made for another schema or another version of cspine."""


class StoreError(CspineError):
    """A source or sink failed."""


class Unreachable(StoreError):
    """The store does not answer or its path cannot be opened."""


class Rejected(StoreError):
    """The store answered with a failure.

    Parameters
    ----------
    message
        What was refused, and why.
    status
        The peer's own status, as it gave it.
    """

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class StoreTimeout(StoreError):
    """The store did not answer in time."""


class ConfigError(CspineError):
    """A setting, recipe or specification is impossible."""


class RequestError(CspineError):
    """What somebody asked of the service cannot be given."""


class Unauthenticated(RequestError):
    """It is not known who asks: no session, a wrong password, an expired key."""


class Forbidden(RequestError):
    """It is known who asks, and that role may not do this."""


class NotFound(RequestError):
    """There is no such thing."""


class Conflict(RequestError):
    """The thing exists, but is not in a state in which this can be done."""


class TooLarge(RequestError):
    """More was sent than the service takes."""


class TooManyTries(RequestError):
    """Too many failed attempts; wait."""


class TrainingStopped(CspineError):
    """A training cannot go on; what it reached is saved."""


class RenderError(CspineError):
    """A result document could not be made."""
