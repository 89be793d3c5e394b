"""Severities of fractures, 1 (barely visible) to 5, in the groups that tables of the tools have a row for."""

GROUPS = {"any": (1, 2, 3, 4, 5), "1–2": (1, 2), "3–5": (3, 4, 5), **{str(k): (k,) for k in range(1, 6)}}
