"""Print how each study ended: for people as tables, for machines as one JSON document."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import typer

from cspine.cli.exit_codes import ExitCode, exit_code_of
from cspine.cli.guard import explain, printable
from cspine.cli.terminal import console, findings_table, flag_lines, timing_line
from cspine.report import findings_document
from cspine.workflow import CaseResult, Done, StudyOutcome

DOCUMENT_SCHEMA = "1.0"
Paused = Callable[[], AbstractContextManager[None]]


class Printer:
    """Takes outcomes as they come; keeps no volume.

    Parameters
    ----------
    as_json
        Print nothing but one JSON document at the end.
    paused
        A context in which nothing else writes to the terminal.
    """

    def __init__(self, as_json: bool, verbose: bool, paused: Paused = nullcontext) -> None:
        self._as_json, self._verbose, self._paused = as_json, verbose, paused
        self._studies: list[dict[str, Any]] = []

    def take(self, outcome: StudyOutcome) -> Exception | None:
        """Print one study, or keep it for the document; return its error."""
        if self._as_json:
            self._studies.append(study_document(outcome))
        else:
            with self._paused():
                self._say(outcome)
        return outcome.error

    def finish(self, code: ExitCode, error: Exception | None = None) -> None:
        """Print the document, when that was asked for.

        Parameters
        ----------
        error
            What kept all studies from being run.
        """
        if self._as_json:
            document = {
                "schema_version": DOCUMENT_SCHEMA,
                "exit_code": int(code),
                "error": None if error is None else error_document(error, str(error)),
                "studies": self._studies,
            }
            typer.echo(json.dumps(document, indent=2, ensure_ascii=True))

    def _say(self, outcome: StudyOutcome) -> None:
        if isinstance(outcome.ended, Done):
            self._tables(outcome, outcome.ended.value)
        else:
            typer.echo(f"{printable(outcome.name)}: {explain(outcome.ended, verbose=self._verbose)}", err=True)

    def _tables(self, outcome: StudyOutcome, result: CaseResult) -> None:
        out = console()
        findings = result.analysis.findings
        out.print(findings_table(outcome.name, findings))
        for line in flag_lines(findings):
            out.print(line)
        for receipt in result.receipts:
            out.print(printable(receipt.where), soft_wrap=True)
        for kind, reason in result.left_out.items():
            out.print(printable(f"no {kind}: {reason}"), soft_wrap=True)
        if self._verbose:
            out.print(timing_line(result.timings_s))


def study_document(outcome: StudyOutcome) -> dict[str, Any]:
    """Return how one study ended as plain JSON values."""
    document: dict[str, Any] = {"name": outcome.name, "findings": None, "files": [], "left_out": {}, "error": None}
    if isinstance(outcome.ended, Done):
        result = outcome.ended.value
        document["findings"] = findings_document(result.analysis, result.loaded, result.timings_s)
        document["files"] = [receipt.where for receipt in result.receipts]
        document["left_out"] = {kind: printable(reason) for kind, reason in result.left_out.items()}
    else:
        document["error"] = error_document(outcome.ended.error, explain(outcome.ended))
    return document


def error_document(error: Exception, message: str) -> dict[str, Any]:
    """Return an error as plain JSON values."""
    return {"kind": type(error).__name__, "message": printable(message), "exit_code": int(exit_code_of(error))}
