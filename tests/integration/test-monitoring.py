#!/usr/bin/env python3
"""The dashboard and the alerts use metrics that a daemon really has, with their label names; each alert fires
in its case and not before (promtool, if it is installed).
"""
import json
import os
import re
import shutil
import subprocess
import sys

from daemon import SOURCE, ask, check, finish, get, post, serving

SUFFIX = re.compile(r"_(bucket|sum|count)$")
CASES = [os.path.join(SOURCE, "tests", name) for name in ("alerts.yaml", "alerts-weeks.yaml")]
PREFIX = r"\b((?:convnetd|process|nv)_[a-z_]+)(\{[^}]*\})?"


def expressions():
    """(where, expression) of both files."""
    with open(os.path.join(SOURCE, "etc", "grafana-dashboard.json"), encoding="utf-8") as file:
        board = json.load(file)
    ids = [panel["id"] for panel in board["panels"]]
    check(len(set(ids)) == len(ids) > 10, "panels: %s" % ids)
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        check(not cells & taken and place["x"] + place["w"] <= 24, "place of " + panel["title"])
        taken |= cells
        for target in panel["targets"]:
            yield "dashboard: " + panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield "dashboard: $" + variable["name"], variable["query"]
    with open(os.path.join(SOURCE, "etc", "alerts.yaml"), encoding="utf-8") as file:
        text = re.sub(r"^ *#.*$", "", file.read(), flags=re.M)
    names = re.findall(r"- alert: (\w+)", text)
    check(len(names) == len(set(names)) > 4, "alerts: %s" % names)
    for rule in re.split(r"- alert: ", text)[1:]:
        yield "alert " + rule.split()[0], rule[rule.index("expr:"):rule.index("labels: {sev")]


def given():
    """Metric -> names of labels, of a daemon that has answered requests and refused some."""
    with serving() as server:
        ask(server, post())
        ask(server, get("/nonesuch"))
        text = ask(server, get("/metrics"))[2].decode()
    digits = 'convnetd_answer_confidence_count{model="digits",version="1"} 1\n'
    check(digits in text, "the answer's confidence is counted")
    check("convnetd_certificate_end_timestamp_seconds 0\n" in text, "no certificate ends")
    metrics = {}
    for line in text.splitlines():
        match = re.match(r"(?:# TYPE )?([a-z_]+)(\{.*\})?", line)
        if match and not line.startswith("# HELP"):
            labels = set(re.findall(r'([a-z_]+)="', match.group(2) or ""))
            metrics.setdefault(match.group(1), set()).update(labels)
    return metrics


def test_names():
    metrics = given()
    used = set()
    for where, expression in expressions():
        found = re.findall(PREFIX, expression)
        check(found or "up{" in expression, "%s asks for a metric" % where)
        for name, labels in found:
            if name not in ("convnetd_build",):
                used.add(SUFFIX.sub("", name))
            check(name in metrics, "%s: %s is not a metric" % (where, name))
            for label in re.findall(r"([a-z_]+) *(?:=|!)", labels):
                check(label in metrics.get(name, ()) or label in ("instance", "job"),
                      "%s: %s has no label %s" % (where, name, label))
    own = {SUFFIX.sub("", name) for name in metrics if name.startswith("convnetd_")}
    check(own - used == set(), "the dashboard shows all but %s" % (own - used))


def test_rules():
    if shutil.which("promtool") is None:
        print("promtool is missing: the alerts are not tried")
        return
    for words in (["check", "rules", os.path.join(SOURCE, "etc", "alerts.yaml")],
                  ["test", "rules", CASES[0]], ["test", "rules", CASES[1]]):
        out = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        check(out.returncode == 0, "promtool %s: %s%s" % (words[0], out.stdout, out.stderr))
    with open(os.path.join(SOURCE, "etc", "alerts.yaml"), encoding="utf-8") as file:
        names = re.findall(r"- alert: (\w+)", file.read())
    cases = []
    for path in CASES:
        with open(path, encoding="utf-8") as file:
            cases += re.findall(r"alertname: (\w+)\n +exp_alerts", file.read())
    check(set(names) == set(cases), "alerts without a case: %s" % (set(names) ^ set(cases)))


def main():
    test_names()
    test_rules()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
