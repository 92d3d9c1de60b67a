#!/usr/bin/env python3
"""`convnetd --check-config` prints OK only for a configuration that would start, and names the option that is
wrong; with --unit it checks what systemd's unit would start. Models are found by name, also from a tree that is
not installed. Skipped (77) without openssl.
"""
import contextlib
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile

from daemon import BUILD, MODEL, SOURCE, ask, check, finish, run, serving, status_of, get

KEY = "4f9d2c6b8a7e41f0b3c5d7e9a1b2c3d4"
WORLD = ("--address=0.0.0.0", "--insecure")


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)


def certificate(folder):
    path, key = os.path.join(folder, "server.pem"), os.path.join(folder, "server.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=a", "-days", "2", "-out", path, "-keyout", key],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o644)
    return path, key


def refused(name, words, *options, status=1, environment=None):
    code, out, error = run("--check-config", *options, environment=environment)
    check(code == status and words in error and "OK" not in out and error.count("\n") == 1,
          "%s: wanted %d with %r: %s" % (name, status, words, (code, out, error)))


def good(name, *options, environment=None, words="OK: configuration, 1 model"):
    result = run("--check-config", *options, environment=environment)
    check(result[0] == 0 and result[1].startswith("OK") and words in result[1],
          "%s: %s" % (name, result))


def test_addresses(folder):
    pem, key = certificate(folder)
    tls = ("--model=" + MODEL, "--tls-certificate=" + pem, "--tls-key=" + key)
    model = "--model=" + MODEL
    good("localhost", model, "--address=localhost")
    good("an IPv6 address in brackets", model, "--address=[::1]")
    good("both, and TLS", *tls, "--address=localhost, [::1]", "--tls-address=[::1]")
    for what, options, words in (
            ("a name", ("--address=example",), "address 'example' must be"),
            ("a name for TLS", ("--tls-address=example",), "tls-address 'example' must be"),
            ("others, by TLS", ("--tls-address=0.0.0.0",), "tls-address 0.0.0.0 is reachable"),
            ("others", ("--address=0.0.0.0",), "address 0.0.0.0 is reachable"),
            ("one port twice", ("--port=8443", "--tls-address=127.0.0.1"), "must differ"),
            ("one port twice, by any", (*WORLD, "--port=8443", "--tls-address=127.0.0.1"),
             "must differ"),
            ("an address twice", ("--address=127.0.0.1,localhost",),
             "address has 127.0.0.1 and localhost"),
            ("an address in another", (*WORLD, "--address=[::1],127.0.0.1,0.0.0.0"),
             "address has 127.0.0.1 and 0.0.0.0"),
            ("an address twice for TLS", ("--tls-address=::1,[0:0::1]",), "tls-address has ::1 and [0:0::1]"),
            ("a word for a port", ("--tls-port=https",), "tls-port 'https' must be"),
            ("no certificate", ("--tls-address=::1", "--tls-certificate=", "--tls-key="),
             "tls-address ::1 needs tls-certificate")):
        refused(what, words, *tls, *options, status=2)
    good("the same address on any two ports", *tls, "--address=127.0.0.1,localhost", "--port=0")
    refused("no address", "there is no address to listen at", model, "--address=")
    good("16 addresses each", *tls, "--address=" + ",".join("127.0.1.%d" % i for i in range(1, 17)),
         "--tls-address=" + ",".join("127.0.2.%d" % i for i in range(1, 17)))
    refused("an address of another machine", "tls-address: cannot listen at 192.0.2.77", *tls,
            "--insecure", "--tls-address=192.0.2.77")
    refused("no certificate there", "/nonexistent/a.pem", model, "--tls-certificate=/nonexistent/a.pem",
            "--tls-key=" + key)
    refused("no key there", "/nonexistent/a.key", model, "--tls-certificate=" + pem,
            "--tls-key=/nonexistent/a.key")
    refused("a certificate that is none", MODEL, model, "--tls-certificate=" + MODEL, "--tls-key=" + key)
    refused("keys that are not there", "/nonexistent/keys", model, "--api-keys-file=/nonexistent/keys")
    for path, words in (("admin.sock", "must be a path from the root"),
                        ("/nonexistent/admin.sock", "its folder /nonexistent/"),
                        (MODEL if MODEL[0] == "/" else os.path.abspath(MODEL), "is not a socket"),
                        ("/" + 120 * "a", "admin-socket")):
        refused("admin-socket", words, model, "--admin-socket=" + path,
                status=2 if len(path) == 121 else 1)
    good("an admin socket", model, "--admin-socket=" + os.path.join(folder, "admin.sock"))
    with serving("--address=localhost", "--tls-certificate=" + pem, "--tls-key=" + key,
                 "--tls-address=[::1]", "--tls-port=0") as server:
        check(status_of(server, get()) == 200 and server.tls_port > 0, "the daemon starts with this configuration")
    with serving("--address=" + ",".join("127.0.1.%d" % i for i in range(1, 17)), "--tls-port=0",
                 "--tls-address=" + ",".join("127.0.2.%d" % i for i in range(1, 17)), *tls[1:],
                 "--admin-socket=" + os.path.join(folder, "admin.sock")) as server:
        check(any("listening on" in line for line in server.lines), "16 addresses each start")
    with serving("--address=localhost", "--tls-certificate=" + pem, "--tls-key=" + key,
                 "--tls-address=[::1]", "--tls-port=0") as server:
        text = ask(server, get("/metrics"))[2].decode()
        end = float(re.search(r"^convnetd_certificate_end_timestamp_seconds (\S+)$", text, re.M).group(1))
        said = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", pem],
                              capture_output=True, text=True, check=True).stdout
        there = datetime.datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(
            tzinfo=datetime.timezone.utc)
        check(end == there.timestamp(), "the metrics tell when the certificate ends: %s %s" % (end, said))


class Units:
    """A folder of units, and the result of --check-config --unit for them."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {"SYSTEMD_UNIT_PATH": folder, "CONVNETD_PORT": "not the unit's"}

    def unit(self, *lines, name="convnetd.service"):
        write(os.path.join(self.folder, name), "\n".join(("[Unit]", "Description=[Service]",
                                                         "[Service]", *lines, "")))

    def drop_in(self, name, *lines):
        path = os.path.join(self.folder, "convnetd.service.d", name)
        if lines:
            write(path, "\n".join(("[Service]", *lines, "")))
        else:
            os.unlink(path)

    def refused(self, name, words, *options, status=1):
        refused(name, words, *(options or ("--unit",)), status=status, environment=self.environment)

    def good(self, name, *options, words=""):
        good(name, *(options or ("--unit",)), environment=self.environment, words=words)


def open_to_all(folder):
    return folder == "/" or os.stat(folder).st_mode & 1 and open_to_all(os.path.dirname(folder))


def test_unit(folder):
    units = Units(os.path.join(folder, "units"))
    pem, key = certificate(folder)
    conf, keys = os.path.join(folder, "convnetd.conf"), os.path.join(folder, "keys")
    shutil.copy(MODEL, folder)
    write(conf, "model = %s\naddress =\ntls-address = 0.0.0.0\n"
          % os.path.join(folder, os.path.basename(MODEL)))
    write(keys, KEY, 0o600)
    os.mkdir(units.folder)
    units.refused("no such unit", "there is no unit convnetd.service", status=2)
    units.unit("ExecStart=/usr/sbin/convnetd --config %s \\" % conf, "  --max-images 10")
    units.refused("without credentials", "tls-address 0.0.0.0 is reachable", status=2)
    units.drop_in("credentials.conf", "LoadCredential=api-keys:" + keys,
                  "LoadCredential = tls-certificate:" + pem, "LoadCredential=tls-key:%s" % key)
    units.good("its credentials", words="API keys of %s, certificate of %s" % (keys, pem))
    units.good("by its name", "--unit=convnetd.service", words=keys)
    units.good("by a short name", "--unit=convnetd", words=keys)
    units.refused("another", "there is no unit other.service", "--unit=other", status=2)
    units.refused("a flag beside --unit counts", "max-images '0'", "--unit", "--max-images=0", status=2)
    units.drop_in("10-options.conf", "Environment=CONVNETD_MAX_IMAGES=7 'CONVNETD_QUEUE_IMAGES=3'")
    units.refused("the flag wins over the variable", "max-images 10 must not be over queue-images 3",
                  status=2)
    units.drop_in("10-options.conf", "Environment=CONVNETD_QUEUE_IMAGES=3", "Environment=")
    units.good("an empty Environment= removes the variable")
    units.drop_in("20-start.conf", "ExecStart=", 'ExecStart=/usr/sbin/convnetd "--config=%s" --port=x' % conf)
    units.refused("another start", "port 'x'", status=2)
    units.drop_in("20-start.conf")
    write(keys, "short", 0o600)
    units.refused("a key that is too short", ":1: a key must have 16 bytes")
    os.unlink(keys)
    units.refused("a credential that is not there", keys)
    write(keys, KEY, 0o600)
    for line, words in (("SetCredential=api-keys:" + KEY, "SetCredential=api-keys"),
                        ("LoadCredentialEncrypted=tls-key:/x", "LoadCredentialEncrypted=tls-key"),
                        ("LoadCredential=store", "LoadCredential=store"),
                        ("EnvironmentFile=/x", "EnvironmentFile=/x")):
        units.drop_in("30-more.conf", line)
        units.refused("a setting that cannot be checked", words, status=2)
    # Files that the service could not see.
    units.drop_in("30-more.conf", "PrivateTmp=yes")
    if folder.startswith("/tmp/"):
        units.refused("a /tmp of its own", "(PrivateTmp): move what --config names")
    units.drop_in("30-more.conf", "ProtectHome=yes")
    units.good("no home")
    os.chmod(folder, 0o755)
    if os.geteuid() == 0 and open_to_all(folder):
        units.drop_in("30-more.conf", "DynamicUser=yes")
        units.good("a user of its own reads the configuration, and root the credentials")
        os.chmod(conf, 0o600)
        units.refused("which it cannot", "the service's user cannot read what --config names")
        os.chmod(conf, 0o644)
    units.drop_in("30-more.conf")
    os.rename(os.path.join(units.folder, "convnetd.service"), os.path.join(units.folder, "x"))
    os.symlink("/dev/null", os.path.join(units.folder, "convnetd.service"))
    units.refused("a masked unit", "masked", status=2)
    code, _, error = run("--unit")
    check(code == 2 and "--unit goes with --check-config" in error, "--unit alone: %s" % error)


def test_shipped_unit():
    """The check can read the units of this build. They hide homes and /tmp, where this tree may be."""
    built = os.path.join(BUILD, "systemd")
    for name in ("convnetd.service", "convnetd-activated.service"):
        if os.path.exists(os.path.join(built, name)):
            result = run("--check-config", "--unit=" + name,
                         "--config=" + os.path.abspath(os.path.join(SOURCE, "etc", "convnetd.conf")),
                         environment={"SYSTEMD_UNIT_PATH": built})
            check(result[0] == 0 or "the service" in result[2], "%s: %s" % (name, result))


@contextlib.contextmanager
def elsewhere(folder):
    before = os.getcwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def test_names(folder):
    """A program that is not installed finds the models of its tree, wherever it is started."""
    names = os.path.join(folder, "names")
    os.mkdir(names)
    shutil.copy(MODEL, os.path.join(names, "mine.safetensors"))
    program = os.path.abspath(os.path.join(BUILD, "convnetd"))
    command = os.path.abspath(os.path.join(BUILD, "convnet"))
    picture = os.path.abspath(os.path.join(SOURCE, "examples", "seven.png"))
    with elsewhere(folder):
        for options in ((), ("--model=digits",), ("--model=digits-small",)):
            result = subprocess.run([program, "--check-config", *options], capture_output=True, check=False)
            check(result.returncode == 0, "%s: %s" % (options, result))
        result = subprocess.run([command, "predict", picture], capture_output=True, check=False)
        check(result.returncode == 0 and b",7,7," in result.stdout, "the command, too: %s" % (result,))
    good("a folder of one's own", "--model=mine", environment={"CONVNET_MODELSDIR": names})
    refused("an unknown name", "models/letters.safetensors: cannot open", "--model=letters")
    with serving(model="digits") as server:
        check(server.wait_for("with model digits"), "a name is served")


def main():
    if not shutil.which("openssl"):
        print("no openssl")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_addresses(folder)
    with tempfile.TemporaryDirectory() as folder:
        test_unit(folder)
        test_names(folder)
    test_shipped_unit()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
