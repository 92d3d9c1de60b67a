#!/usr/bin/env python3
"""`make install` installs what the installed documents name: every link and every file of the tree beside the
document, every path below the folders of this configuration, every manual page. Then `make uninstall` leaves
nothing. Sources, tests, benchmarks and build products are only in the tree.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from daemon import BUILD, check, finish

OF_THE_TREE = ("src/", "tests/", "bench/", "include/", "build/", "systemd/", "scripts/", "packaging/")
INSTALLED = ("scripts/fetch-dataset", "scripts/post-mnist", "packaging/container/",
             "packaging/kubernetes/", "packaging/apparmor/")


# Without the variables of a make that may run this test, which would make it print the folders that it
# enters.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def make(target, root):
    done = subprocess.run(["make", "-s", "-C", BUILD, target, "DESTDIR=" + root], env=ENVIRONMENT,
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, "make %s: %s" % (target, done.stderr[-2000:]))


def folder(name):
    """A folder of this configuration."""
    done = subprocess.run(["make", "-s", "-C", BUILD, "-f", "-", "print"], text=True, check=True,
                          env=ENVIRONMENT,
                          input="include Makefile\nprint: ; @echo $(%s)\n" % name, capture_output=True)
    return done.stdout.strip().splitlines()[-1]


def look_at(document, docdir, root):
    with open(document, encoding="utf-8") as file:
        text = file.read()
    name = document[len(docdir) + 1:]
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not re.match("[a-z]+:", link):
            check(os.path.exists(os.path.join(os.path.dirname(document), link)),
                  "%s links to %s, which is not installed" % (name, link))
    for path in re.findall(r"(?:^|[\s`(@])((?:docs|examples|scripts|packaging|etc|models)/[\w./*-]*[\w*])", text):
        if path.startswith(OF_THE_TREE) and not path.startswith(INSTALLED):
            continue
        # Trained models are in the folder where the programs look for them.
        places = [docdir, os.path.join(root + folder("pkgdatadir"))]
        check(any(glob.glob(os.path.join(place, path)) for place in places),
              "%s names %s, which is not installed" % (name, path))
    return name


def pages(root):
    """Each of our manual pages that a page refers to."""
    mandir = root + folder("mandir")
    for page in glob.glob(os.path.join(mandir, "man*", "*")):
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for name, section in set(re.findall(r"\b(convnet[\w.-]*) \((\d)\)", text)):
            check(os.path.exists("%s/man%s/%s.%s" % (mandir, section, name, section)),
                  "%s names %s(%s)" % (page, name, section))


def main():
    if not shutil.which("make"):
        print("make is missing")
        return 77
    with tempfile.TemporaryDirectory() as work:
        root = os.path.join(work, "root")
        make("install", root)
        docdir = root + folder("docdir")
        documents = glob.glob(os.path.join(docdir, "**", "*.md"), recursive=True)
        names = [look_at(document, docdir, root) for document in sorted(documents)]
        check("README.md" in names and "docs/operations.md" in names and len(names) > 10,
              "the documents: %s" % names)
        pages(root)
        state = root + folder("localstatedir") + "/lib/convnetd/models"
        check(os.path.isdir(state), "the folder of models that docs/operations.md fills: " + state)
        for program in ("convnet", "convnetd"): # as bash-completion does at the first Tab
            loaded = subprocess.run(["bash", "-c", '. "$1" && complete -p "$2"', "-",
                                     os.path.join(root + folder("completionsdir"), program), program],
                                    check=False, capture_output=True, text=True)
            check(" -F _convnet " in loaded.stdout, "completion of %s: %s" % (program, loaded))
        make("uninstall", root)
        left = [os.path.join(place, file) for place, _, files in os.walk(root) for file in files]
        check(not left, "after make uninstall: %s" % left)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
