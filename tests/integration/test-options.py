#!/usr/bin/env python3
"""convnetd.conf(5), the shipped file, --help and the option table agree about each option. Needs groff for the
page (77 without).
"""
import os
import re
import shutil
import subprocess
import sys

from daemon import SOURCE, check, finish, run

PAGE = os.path.join(SOURCE, "docs", "convnetd.conf.5")


def read_file(text):
    """{option: (value, rule)} of a configuration file, in its order."""
    found = {}
    for help_and_rule in re.finditer(r"# Takes (.*)\.\n([a-z-]+) =(.*)\n", text):
        rule, name, value = help_and_rule.groups()
        found[name] = (value.strip(), rule)
    return found


def read_page():
    """{option: text} of the rendered page, with white space reduced to single blanks."""
    shown = subprocess.run(["groff", "-man", "-t", "-Tutf8", "-K", "utf8", "-P-cbou", "-rLL=2000n", PAGE],
                           check=True, capture_output=True).stdout.decode()
    options = shown[shown.index("\nOPTIONS\n"):shown.index("\nEXAMPLE\n")]
    parts = re.split(r"\n {7}([a-z][a-z0-9-]*)(?:\n|  +)", options)
    return {parts[i]: " ".join(parts[i + 1].split()) for i in range(1, len(parts), 2)}


def rule_of(text):
    """The page's rule for a value; None if it has none."""
    found = re.search(r"(?:A|a) (whole number|number|size) from (\S+) to (\S+)", text)
    return found.groups() if found else None


def main():
    if shutil.which("groff") is None:
        print("groff is missing")
        return 77
    code, printed, _ = run("--print-config")
    check(code == 0, "--print-config")
    table, page = read_file(printed), read_page()
    with open(os.path.join(SOURCE, "etc", "convnetd.conf"), encoding="utf-8") as file:
        text = file.read()
    check(text == printed, "etc/convnetd.conf is what --print-config prints")
    shipped = read_file(text)
    check(len(table) > 30, "the table is found: %s" % list(table))
    check(list(page) == list(table), "options of the page in the table's order: %s\n%s"
          % ([x for x in page if x not in table], [x for x in table if x not in page]))
    check(list(shipped) == list(table), "the shipped file has each option")
    help_text = " ".join(run("--help")[1].split())
    for name, (value, rule) in table.items():
        text = page.get(name, "")
        if value == "":
            check(text.endswith("Default: empty."), "%s is empty: %s" % (name, text))
        else:
            check(text.endswith("Default: %s." % value) or text.endswith(": " + value),
                  "%s is %s: %s" % (name, value, text))
        check(shipped.get(name) == (value, rule), "%s as shipped: %s" % (name, shipped.get(name)))
        check(rule_of(text) == rule_of("A" + rule[1:] if rule[:2] == "a " else rule),
              "%s: the page's rule is not %s: %s" % (name, rule, text))
        check("--%s" % name in help_text, "--help has %s" % name)
        # The value that the page shows is valid.
        if value:
            code, _, error = run("--%s=%s" % (name, text.rstrip(".").split(": ")[-1]), "--print-config")
            check(code == 0, "%s: the page's value is refused: %s" % (name, error))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
