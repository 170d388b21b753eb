"""What the checks found, as people, programs and CI read it."""

from dataclasses import asdict
from xml.etree import ElementTree as ET

import orjson

from service.sqlcheck.checks import Report


def as_text(report: Report) -> str:
    """Return a line for each fault, and a last one that sums up."""
    checks = ", ".join(f"{result.check} {result.seconds:.1f} s" for result in report.results)
    count = len(report.faults)
    verdict = "no fault" if not count else "1 fault" if count == 1 else f"{count} faults"
    summary = f"{len(report.statements)} statements on PostgreSQL {report.version}: {verdict} ({checks})."
    return "\n".join([*map(str, report.faults), summary])


def as_json(report: Report) -> bytes:
    """Return the same as JSON: `statements`, `postgresql`, `checks` with their seconds, and `faults`."""
    return orjson.dumps(
        {
            "statements": len(report.statements),
            "postgresql": report.version,
            "checks": [{"check": result.check, "seconds": round(result.seconds, 3)} for result in report.results],
            "faults": [asdict(fault) for fault in report.faults],
        },
        option=orjson.OPT_INDENT_2,
    )


def as_junit(report: Report) -> bytes:
    """Return the same as JUnit has it: a suite for each check, a case for each statement and for each file beside."""
    suites = ET.Element("testsuites", name="sql check")
    for result in report.results:
        seconds = f"{result.seconds:.3f}"
        cases = {
            (one.file, one.name): ET.Element("testcase", classname=one.file, name=one.name) for one in report.statements
        }
        for fault in result.faults:
            empty = ET.Element("testcase", classname=fault.file, name=fault.query or fault.file)
            case = cases.setdefault((fault.file, fault.query), empty)
            ET.SubElement(case, "failure", message=fault.message, type=fault.check).text = str(fault)
        failures = sum(case.find("failure") is not None for case in cases.values())
        suite = ET.SubElement(
            suites, "testsuite", name=result.check, tests=str(len(cases)), failures=str(failures), time=seconds
        )
        suite.extend(cases.values())
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(file: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=file, name=name)
