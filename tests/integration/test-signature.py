#!/usr/bin/env python3
"""Signed models: the command makes and checks signatures, and the daemon requires them at start and at a
reload."""
import os
import shutil
import sys
import tempfile

from daemon import MODEL, SOURCE, check, convnet, finish, run, serving



def test_commands(folder):
    me, model = os.path.join(folder, "me"), os.path.join(folder, "digits.safetensors")
    shutil.copy(MODEL, model)
    check(convnet("keygen", me)[0] == 0, "keys are made")
    check(os.stat(me + ".key").st_mode & 0o777 == 0o600, "only the owner can read the secret key")
    check(convnet("keygen", me)[0] == 1, "existing keys are not overwritten")
    result = convnet("verify", "--trusted-keys=" + me + ".pub", model)
    check(result[0] == 1 and "is not signed" in result[2], "unsigned: %s" % (result,))
    result = convnet("sign", "--key=" + me + ".key", model)
    check(result[0] == 0, "signed: %s" % (result,))
    result = convnet("verify", "--trusted-keys=" + me + ".pub", model)
    check(result[0] == 0 and "signed by a trusted key" in result[1], "verified: %s" % (result,))
    result = convnet("sign", "--key=" + me + ".pub", model)
    check(result[0] == 1 and "is not a secret key" in result[2], "the wrong key: %s" % (result,))


def test_daemon(folder):
    me, model = os.path.join(folder, "me"), os.path.join(folder, "digits.safetensors")
    admin = os.path.join(folder, "admin.sock")
    options = ("--trusted-keys=" + me + ".pub", "--admin-socket=" + admin)
    os.remove(model + ".sig")
    result = run("--model=" + model, *options, "--check-config")
    check(result[0] == 1 and "is not signed" in result[2], "unsigned at start: %s" % (result,))
    convnet("sign", "--key=" + me + ".key", model)
    with serving(*options, model=model):
        shutil.copy(os.path.join(SOURCE, "models", "digits-small.safetensors"), model + ".new")
        os.rename(model + ".new", model)
        result = run("reload", "--admin-socket=" + admin)
        check(result[0] == 1 and "of another file" in result[2], "another model: %s" % (result,))
        os.remove(model + ".sig")
        result = run("reload", "--admin-socket=" + admin)
        check(result[0] == 1 and "is not signed" in result[2], "without: %s" % (result,))
        convnet("sign", "--key=" + me + ".key", model)
        result = run("reload", "--admin-socket=" + admin)
        check(result[0] == 0 and "1 loaded" in result[1], "signed again: %s" % (result,))
    with open(me + ".pub", "w", encoding="ascii") as file:
        file.write("# nobody\n")
    result = run("--model=" + model, *options, "--check-config")
    check(result[0] == 1 and "has no key" in result[2], "no keys: %s" % (result,))


def main():
    with tempfile.TemporaryDirectory() as folder:
        test_commands(folder)
        test_daemon(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
