#!/usr/bin/env python3
"""convnet(1) and convnetd(8) document each command and option of --help with its default, and no other option."""
import os
import re
import subprocess
import sys

from daemon import BUILD, SOURCE, check, finish, run

# Options of argp, which convnet(1) documents once for all commands.
COMMON = {"help", "usage", "version"}


def read_page(name):
    """{section: its source without escapes and fonts}."""
    with open(os.path.join(SOURCE, "docs", name), encoding="utf-8") as file:
        source = file.read()
    source = re.sub(r"\\f\(?[A-Z]|\\c\b", "", source.replace("\\-", "-").replace("\\(dq", '"'))
    parts = re.split(r'^\.SH "?([A-Z, ]+)"?\n', source, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def read_help(text):
    """{option: (letter or None, text)} of argp's help."""
    options = {}
    entries = re.split(r"\n +(?=(?:-[a-zA-Z0-9?], +)?--[a-z])", text)[1:]
    for entry in entries:
        entry = " ".join(entry.split("\n\n")[0].split())
        letter, name, rest = re.match(r"(?:-(.), )?--([a-z0-9-]+)(.*)", entry).groups()
        options[name] = (letter, rest)
    return options


def entries_of(section):
    """[(tag line, text)] of the page's tagged paragraphs."""
    parts = re.split(r"^\.T[PQ]\n", section, flags=re.M)[1:]
    return [tuple(part.split("\n", 1)) for part in parts]


def names_in(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", text))


def check_command(command, section, options):
    for name, (letter, text) in options.items():
        if name in COMMON:
            continue
        check(name in names_in(section), "%s: convnet(1) has --%s" % (command, name))
        if letter is not None:
            check(re.search(r"(?<![\w-])-%s\b" % letter, section) is not None,
                  "%s: convnet(1) has -%s" % (command, letter))
        default = re.search(r"(?<= )\((?:default: )?([0-9][0-9.e-]*)[):]", text)
        for tag, body in entries_of(section):
            if default is not None and name in names_in(tag):
                check(default.group(1) in re.findall(r"[0-9][0-9.e-]*[0-9]|[0-9]", body),
                      "%s: the default of --%s is %s: %s" % (command, name, default.group(1), body))
    for tag, _ in entries_of(section):
        for name in names_in(tag) - COMMON:
            check(name in options, "%s: --help has --%s" % (command, name))


def convnet(*arguments):
    return subprocess.run([os.path.join(BUILD, "convnet"), *arguments], check=True, capture_output=True,
                          text=True).stdout


def check_convnet():
    page = read_page("convnet.1")
    commands = re.findall(r"^  ([a-z]+) ", convnet("--help"), flags=re.M)
    check(len(commands) >= 17, "the commands are found: %s" % commands)
    for command in commands:
        check(re.search(r"^\.B convnet %s\b" % command, page["SYNOPSIS"], re.M) is not None,
              "%s is in the synopsis" % command)
        sections = [text for name, text in page.items() if command.upper() in name.split(", ")]
        check(len(sections) == 1, "%s has a section" % command)
        options = read_help(convnet(command, "--help"))
        check(COMMON - {"version"} <= set(options), "%s: the options are found" % command)
        if sections:
            check_command(command, sections[0], options)


def check_convnetd():
    """Options that are not in the configuration file; test-options.py checks the other ones."""
    settings = set(re.findall(r"^([a-z0-9-]+) =", run("--print-config")[1], flags=re.M))
    options = set(read_help(run("--help")[1]))
    tagged = set()
    for tag, _ in entries_of(read_page("convnetd.8")["OPTIONS"]):
        tagged |= names_in(tag)
    check(tagged == options - settings - {"usage"},
          "convnetd(8) has %s, --help %s" % (sorted(tagged), sorted(options - settings)))
    check(settings < options, "each setting is an option")


check_convnet()
check_convnetd()
sys.exit(finish())
