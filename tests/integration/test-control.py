#!/usr/bin/env python3
"""`convnetd reload` and the other calls: the exit status is right, and the message comes from the daemon."""
import json
import os
import shutil
import socket
import sys
import tempfile

from daemon import DAEMON, MODEL, PATIENCE, check, finish, run, serving


def call(path, *words):
    """(exit status, standard output, standard error)"""
    return run(*words, "--admin-socket=" + path)


def test_calls(folder):
    path = os.path.join(folder, "admin.sock")
    models = os.path.join(folder, "models")
    os.mkdir(models)
    shutil.copy(MODEL, os.path.join(models, "a.safetensors"))
    shutil.copy(MODEL, os.path.join(models, "b.safetensors"))
    with serving("--admin-socket=" + path, "--model-dir=" + models, model=None):
        for words, text in ((("status",), "ready"), (("models",), "READY"),
                            (("reload",), "reloaded: 0 loaded, 2 unchanged, 0 gone"),
                            (("unload", "b"), "unloaded b"), (("load", "b"), "loaded b")):
            result = call(path, *words)
            check(result[0] == 0 and text in result[1],
                  "%s: %s" % (" ".join(words), result))
        stats = call(path, "stats")
        check(stats[0] == 0 and json.loads(stats[1])["model_stats"], "stats: %s" % (stats,))
        for words, status, text in ((("load", "none"), 1, "none"), (("load",), 2, "needs the name"),
                                    (("reload", "a"), 2, "takes no name"),
                                    (("load", "a b\u00e9"), 1, "no file for a model"),
                                    (("load", "../a"), 1, "slash")):
            result = call(path, *words)
            check(result[0] == status and text in result[2],
                  "%s: %s" % (" ".join(words), result))
        with open(os.path.join(models, "b.safetensors"), "wb") as file:
            file.write(b"no model")
        result = call(path, "reload")
        check(result[0] == 1 and "b.safetensors" in result[2], "a bad model: %s" % (result,))
        listed = call(path, "models")
        check(listed[1].count("READY") == 2, "both models are still served: %s" % (listed,))
    result = call(path, "status")
    check(result[0] == 1 and path in result[2], "nobody there: %s" % (result,))


def test_default_place(folder):
    """The socket is in the service manager's folder, unless the configuration names another place."""
    run_folder, own = os.path.join(folder, "run"), os.path.join(folder, "own.sock")
    os.mkdir(run_folder)
    environment = {"RUNTIME_DIRECTORY": run_folder + ":/nonexistent"}
    conf = os.path.join(folder, "place.conf")
    with open(conf, "w", encoding="ascii") as file:
        file.write("admin-socket = %s\n" % own)
    with serving(environment=environment):
        result = call(os.path.join(run_folder, "admin.sock"), "status")
        check(result[0] == 0, "in the manager's folder: %s" % (result,))
    with serving("--config=" + conf, environment=environment):
        check(call(own, "status")[0] == 0, "where the configuration says")
        check(os.listdir(run_folder) == [], "there is no socket in the manager's folder")


def test_options_and_status(folder):
    """A changed option is reported; the service manager gets the last refusal."""
    path, conf = os.path.join(folder, "b.sock"), os.path.join(folder, "convnetd.conf")
    notify = os.path.join(folder, "notify")

    def configure(body):
        with open(conf, "w", encoding="ascii") as file:
            file.write("max-body = %s\nadmin-socket = %s\n" % (body, path))

    configure("1M")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(notify)
        manager.settimeout(PATIENCE)
        model = os.path.join(folder, "mine.safetensors")
        shutil.copy(MODEL, model)
        with serving("--config=" + conf, model=model, environment={"NOTIFY_SOCKET": notify}):
            check(b"READY=1" in manager.recv(4096), "ready")
            result = run("reload", "--config=" + conf)
            check(result[0] == 0, "nothing changed: %s" % (result,))
            shown = manager.recv(4096)
            check(b"STATUS=listening" in shown and b"refused" not in shown, "status: %s" % shown)
            configure("2M")
            result = run("reload", "--config=" + conf)
            check(result[0] == 1 and "max-body" in result[2] and "2M" in result[2]
                  and "1M" in result[2], "an option that was changed: %s" % (result,))
            shown = manager.recv(4096)
            check(b"refused: max-body" in shown or b"refused" in shown and b"max-body" in shown,
                  "the manager is told: %s" % shown)
            configure("1M")
            check(run("reload", "--config=" + conf)[0] == 0, "the next reload succeeds")
            shown = manager.recv(4096)
            check(b"refused" not in shown, "the refusal is forgotten: %s" % shown)
            with open(model + ".new", "w", encoding="ascii") as file:
                file.write("not a model")
            os.rename(model + ".new", model)
            result = run("reload", "--config=" + conf)
            check(result[0] == 1 and model in result[2], "a broken model: %s" % (result,))
            shown = manager.recv(4096)
            check(b"refused: " + model.encode() + b": " in shown, "the manager reads which: %s" % shown)


def main():
    if not os.path.exists(MODEL) or not os.path.exists(DAEMON):
        print("%s or %s is missing" % (MODEL, DAEMON))
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_calls(folder)
        test_default_place(folder)
        test_options_and_status(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
