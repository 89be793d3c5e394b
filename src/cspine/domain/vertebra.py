"""Names of vertebrae, with the label values of the RSNA 2022 masks."""

from collections.abc import Iterable
from enum import IntEnum


class Vertebra(IntEnum):
    """A vertebra; the value is the label in RSNA 2022 masks and in every `LabelMap`."""

    C1 = 1
    C2 = 2
    C3 = 3
    C4 = 4
    C5 = 5
    C6 = 6
    C7 = 7
    T1 = 8
    T2 = 9
    T3 = 10
    T4 = 11
    T5 = 12
    T6 = 13
    T7 = 14
    T8 = 15
    T9 = 16
    T10 = 17
    T11 = 18
    T12 = 19

    @property
    def is_cervical(self) -> bool:
        """Whether this is one of C1 … C7."""
        return self <= Vertebra.C7


CERVICAL: tuple[Vertebra, ...] = tuple(v for v in Vertebra if v.is_cervical)


def level_runs(vertebrae: Iterable[Vertebra]) -> str:
    """Return names with runs joined: ``"C1–C3, C5"``."""
    runs: list[list[Vertebra]] = []
    for vertebra in sorted(set(vertebrae)):
        if runs and vertebra == runs[-1][-1] + 1:
            runs[-1].append(vertebra)
        else:
            runs.append([vertebra])
    return ", ".join(r[0].name if len(r) == 1 else f"{r[0].name}–{r[-1].name}" for r in runs)
