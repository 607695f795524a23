"""What the project depends on: licences against an allow-list, versions against known vulnerabilities.

python .ci/supply_chain.py licences|audit
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Names as packages give them, of licences that put no terms on what uses a package (MPL: on its own files alone).
ALLOWED = re.compile(
    r"MIT|MIT-CMU|MIT License|0BSD|BSD|BSD License|BSD-[23]-Clause|3-Clause BSD License|BSL-1\.0|Zlib|CC0-1\.0"
    r"|Apache-2\.0"
    r"|Apache Software License|Apache-2\.0 WITH LLVM-exception|Python Software Foundation License|PSF-2\.0|MPL-2\.0"
    r"|Mozilla Public License 2\.0 \(MPL 2\.0\)|ISC|ISC License \(ISCL\)|The Unlicense \(Unlicense\)|Unlicense|HPND"
)


def output(*command: str) -> str:
    done = subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], capture_output=True, text=True)
    if not done.stdout:
        sys.exit(f"{command[0]} said nothing: {done.stderr[-1000:]}")
    return done.stdout


def locked() -> set[str]:
    """Packages of the lock file, by their normal names."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {normal(line.split("==")[0]) for line in lines if "==" in line}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licences() -> None:
    """Prints how many packages have which licence; exit status 1 at one that is not allowed."""
    listed = json.loads(output("pip-licenses", "--format=json", "--from=mixed", "--with-system"))
    wanted, counted, wrong = locked(), Counter[str](), []
    for package in listed:
        if normal(package["Name"]) not in wanted:
            continue
        licence = package["License"]
        counted[licence] += 1
        alternatives = [re.split(r" AND |; ", choice) for choice in licence.split(" OR ")]
        if not any(all(ALLOWED.fullmatch(part.strip()) for part in choice) for choice in alternatives):
            wrong.append(f"{package['Name']} {package['Version']}: {licence}")
    for licence, n in counted.most_common():
        print(f"{n:4d}  {licence}")
    if absent := wanted - {normal(package["Name"]) for package in listed}:
        sys.exit(f"not installed, so not looked at: {', '.join(sorted(absent))}")
    if wrong:
        sys.exit("licences that are not on the allow-list of .ci/supply_chain.py:\n" + "\n".join(wrong))


def audit() -> None:
    """Exit status 1 at a known vulnerability. Where no service answers, says that nothing was audited."""
    command = ["pip-audit", "--requirement", str(ROOT / "requirements.lock"), "--no-deps", "--disable-pip"]
    try:
        found = json.loads(output(*command, "--format=json", "--progress-spinner=off", "--timeout=10"))["dependencies"]
    except SystemExit as error:
        print(f"NOT AUDITED: {error}")
        return
    audited = [package for package in found if "skip_reason" not in package]
    if len(audited) < len(found):
        print(f"NOT AUDITED: {len(found) - len(audited)} of {len(found)} packages, the service does not know them")
    vulnerable = [
        f"{package['name']} {package['version']}: {', '.join(v['id'] for v in package['vulns'])}"
        for package in audited
        if package["vulns"]
    ]
    if vulnerable:
        sys.exit("known vulnerabilities:\n" + "\n".join(vulnerable))
    print(f"{len(audited)} packages audited")


if __name__ == "__main__":
    {"licences": licences, "audit": audit}[sys.argv[1]]()
