"""A folder that belongs to one plan: never mixed with anything else, never overwritten unasked, gone on with later.

What the folder is to hold stands in `PLAN_FILE`. Pieces are made in a hidden folder inside and moved to their places
whole, so that whatever is there is complete.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cspine.dicom import write_atomically
from cspine.domain import ConfigError, Rejected

PLAN_FILE = "plan.json"
_STAGE = ".making-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class ClaimedFolder:
    """Where the pieces of one plan go.

    Attributes
    ----------
    document
        What the plan is, as plain JSON values; another document means another plan.
    parts
        Names of all folders and files directly below that any plan makes: what may be thrown away.
    """

    root: Path
    document: Mapping[str, Any]
    parts: Sequence[str]

    def claim(self, overwrite: bool = False) -> None:
        """Take an empty or new folder, or one that already is this plan's.

        Parameters
        ----------
        overwrite
            First throw away what any plan made here; a folder with anything else in it is left alone even then.

        Raises
        ------
        ConfigError
            The folder holds anything else.
        StoreError
            It cannot be written, or the disk is full.
        """
        content = (json.dumps(self.document, indent=2, sort_keys=True) + "\n").encode()
        path = self.root / PLAN_FILE
        with self.translated():
            self.root.mkdir(parents=True, exist_ok=True)
            if overwrite:
                self._clear()
            if path.exists():
                if path.read_bytes() != content:
                    raise ConfigError(
                        f"{self.root}: holds phantoms of another plan ({PLAN_FILE} differs); "
                        "use another folder, or --overwrite to replace them"
                    )
            elif any(self.root.iterdir()):
                raise ConfigError(f"{self.root}: is not empty and holds no {PLAN_FILE}; use another folder")
            else:
                write_atomically(path, content)

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Yield a hidden folder on the same disk that is gone afterwards."""
        stage = self.root / f"{_STAGE}{os.getpid()}"
        with self.translated():
            try:
                stage.mkdir()
                yield stage
            finally:
                shutil.rmtree(stage, ignore_errors=True)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say in our words what the disk refused."""
        goes_on = "finished studies stay, run again to go on"
        full = {errno.errorcode[number] for number in _FULL}
        try:
            yield
        except Rejected as error:
            if error.status not in full:
                raise
            raise Rejected(f"{self.root}: no space left on the disk; {goes_on}", error.status) from error
        except OSError as error:
            reason, code = error.strerror or str(error), errno.errorcode.get(error.errno or 0, "")
            if error.errno in _FULL:
                reason = "no space left on the disk"
            raise Rejected(f"{self.root}: {reason}; {goes_on}", code) from error

    def _clear(self) -> None:
        """Remove what a plan made, and what an interrupted run left."""
        entries = list(self.root.iterdir())
        owned = {PLAN_FILE, *self.parts}
        foreign = sorted(e.name for e in entries if e.name not in owned and not e.name.startswith(_STAGE))
        if foreign or (entries and not (self.root / PLAN_FILE).is_file()):
            what = f"holds {foreign[0]}" if foreign else f"holds no {PLAN_FILE}"
            raise ConfigError(f"{self.root}: {what}, which phantoms never have; --overwrite leaves it alone")
        for entry in sorted(entries, key=lambda e: e.name == PLAN_FILE):  # the claim goes last
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def move_all(stage: Path, root: Path, relative: Sequence[str]) -> None:
    """Move finished pieces from the stage to their places, in turn; the last one says that all are there.

    Raises
    ------
    Rejected
        The last one has appeared meanwhile.
    """
    if (root / relative[-1]).exists():
        raise Rejected(f"{root / relative[-1]}: appeared while it was being made; is another run writing here?")
    for name in relative:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(target)
