"""Reports of the checks, as people, programs and CI read them."""

from dataclasses import asdict
from xml.etree import ElementTree as ET

import orjson

from service.sqlcheck.run import Report

_COUNTED = (("failures", "failure"), ("skipped", "skipped"))


def as_text(report: Report) -> str:
    """Return a line for each diagnostic and for each note, and a last one that sums up."""
    checks = ", ".join(
        f"{result.check} {'skipped' if result.is_skipped else f'{result.seconds:.1f} s'}" for result in report.results
    )
    notes = [f"{result.check}: {note}" for result in report.results for note in result.notes]
    count = len(report.diagnostics)
    verdict = "no fault" if not count else "1 fault" if count == 1 else f"{count} faults"
    where = f" on PostgreSQL {report.version}" if report.version else ""
    summary = f"{len(report.statements)} statements{where}: {verdict} ({checks})."
    return "\n".join([*map(str, report.diagnostics), *notes, summary])


def as_json(report: Report) -> bytes:
    """Return the same as JSON: `statements`, `postgresql`, `checks` with their seconds and notes, and `faults`."""
    return orjson.dumps(
        {
            "statements": len(report.statements),
            "postgresql": report.version,
            "checks": [
                {
                    "check": result.check,
                    "seconds": round(result.seconds, 3),
                    "is_skipped": result.is_skipped,
                    "notes": result.notes,
                }
                for result in report.results
            ],
            "faults": [asdict(diagnostic) for diagnostic in report.diagnostics],
        },
        option=orjson.OPT_INDENT_2,
    )


def as_junit(report: Report) -> bytes:
    """Return the same as JUnit has it: a suite for each check, a case for each statement and for each file beside."""
    suites = ET.Element("testsuites", name="sql check")
    for result in report.results:
        seconds = f"{result.seconds:.3f}"
        cases = {(one.file, one.name): _case(one.file, one.name) for one in report.statements}
        for diagnostic in result.diagnostics:
            case = cases.setdefault(
                (diagnostic.file, diagnostic.query), _case(diagnostic.file, diagnostic.query or diagnostic.file)
            )
            ET.SubElement(case, "failure", message=diagnostic.message, type=diagnostic.check).text = str(diagnostic)
        for case in cases.values() if result.is_skipped else ():
            ET.SubElement(case, "skipped", message=" ".join(result.notes))
        counts = {kind: str(sum(case.find(tag) is not None for case in cases.values())) for kind, tag in _COUNTED}
        suite = ET.SubElement(
            suites, "testsuite", {"name": result.check, "tests": str(len(cases)), **counts, "time": seconds}
        )
        suite.extend(cases.values())
        if result.notes:
            ET.SubElement(suite, "system-out").text = "\n".join(result.notes)
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(file: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=file, name=name)
