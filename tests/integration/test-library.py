#!/usr/bin/env python3
"""libconvnet as another program finds it after `make install`: pkg-config, the headers in C and in C++, the
shared library and the archive, dlopen, and the exported symbols. 77 without pkg-config, without a shared
library and with a sanitizer.
"""
import ctypes
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from daemon import BUILD, MODEL, SOURCE, check, finish

PICTURE = os.path.join(SOURCE, "tests", "data", "seven.png")
PROGRAM = os.path.join(SOURCE, "examples", "classify.c")
CC = os.environ.get("CC", "cc").split()


def output(command, **more):
    """The command's standard output; "" if it fails, which is reported."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        print(" ".join(command), done.stderr[-2000:], sep="\n")
    return done.stdout if done.returncode == 0 else ""


def install(folder):
    """Runs make install into folder; returns the environment in which pkg-config and programs find the library."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    subprocess.run(["make", "-s", "-C", BUILD, "install", f"DESTDIR={folder}"], check=True,
                   stdout=subprocess.DEVNULL, env=environment)
    pkgconfig = place(folder, "libconvnet.pc")
    return {**os.environ, "PKG_CONFIG_PATH": pkgconfig, "PKG_CONFIG_SYSROOT_DIR": folder,
            "LD_LIBRARY_PATH": os.path.dirname(pkgconfig)}


def place(folder, name):
    """The folder that contains the one file of this name."""
    [found] = glob.glob(os.path.join(folder, "**", name), recursive=True)
    return os.path.dirname(found)


def flags(environment, *arguments):
    return output(["pkg-config", *arguments, "libconvnet"], env=environment).split()


def declared(headers):
    """The functions and variables that the headers declare."""
    names = set()
    for header in glob.glob(os.path.join(headers, "*.h")):
        with open(header) as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        names |= set(re.findall(r"\b(cn_\w+)\(", re.sub(r"static inline [^(]*\(|typedef [^;{]*;", "", text)))
        names |= set(re.findall(r"^extern [^;]*?\b(cn_\w+)(?:\[\w*\])?;", text, flags=re.M))
    return names


def main():
    if os.environ.get("sanitizer", "no") != "no":
        return 77
    if not os.path.exists(os.path.join(BUILD, ".libs", "libconvnet.so")) or not shutil.which("pkg-config"):
        print("there is no shared library, or no pkg-config")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        environment = install(os.path.join(folder, "root"))
        libdir, headers = environment["LD_LIBRARY_PATH"], place(folder, "convnet.h")

        def program(name, compiler, source, libraries):
            """The output of the program built in this way."""
            path = os.path.join(folder, name)
            output([*compiler, "-o", path, *source, *compile_flags, *libraries])
            return output([path, MODEL, PICTURE], env=environment) if os.path.exists(path) else "nothing"

        compile_flags, link_flags = flags(environment, "--cflags"), flags(environment, "--libs")
        shared = program("shared", [*CC, "-Wall", "-Wextra", "-Werror"], [PROGRAM], link_flags)
        check(re.match(r"7 0\.\d+\n$", shared), f"a C program with the shared library says {shared!r}")
        everything = [f if f != "-lconvnet" else "-l:libconvnet.a" for f in flags(environment, "--static", "--libs")]
        if os.path.exists(os.path.join(libdir, "libconvnet.a")):
            static = program("static", CC, [PROGRAM], everything)
            check(static == shared, f"with the archive it says {static!r}, with the shared one {shared!r}")
        if shutil.which("c++"):
            for standard in "c++11", "c++20":
                plus = program(standard, ["c++", f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror"],
                               ["-x", "c++", PROGRAM, "-x", "none"], link_flags)
                check(plus == shared, f"a {standard} program says {plus!r}, a C one {shared!r}")
        for header in sorted(os.listdir(headers)):
            alone = subprocess.run([*CC, "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-", *compile_flags],
                                   input=f'#include "convnet/{header}"\n', text=True, capture_output=True)
            check(alone.returncode == 0, f"{header} cannot be included alone: {alone.stderr[-300:]}")

        library = os.path.join(libdir, "libconvnet.so")
        loaded = ctypes.CDLL(library, mode=os.RTLD_NOW)
        loaded.cn_instruction_set.restype = ctypes.c_char_p
        check(loaded.cn_instruction_set() in (b"portable", b"avx2", b"avx512"), "dlopen gives no usable library")
        exported = {line.split()[-1] for line in output(["nm", "-D", "--defined-only", library]).splitlines()}
        public = declared(headers)
        check(public, "no header declares anything")
        check(not exported - public, f"exported, but in no header: {sorted(exported - public)}")
        check(not public - exported, f"in a header, but not exported: {sorted(public - exported)}")
    return finish()


sys.exit(main())
