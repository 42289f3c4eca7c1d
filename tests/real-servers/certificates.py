"""The public side's certificates: one CA that stands for the public ones, and whatever a server shows."""

import subprocess


def make(directory):
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-keyout", "public-ca.key", "-out", "public-ca.pem", "-subj", "/CN=Public test CA",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name in ("alpha", "beta", "gamma", "org"):
        issue(directory, name)
    return directory


def issue(directory, name, usage="serverAuth,clientAuth", domain=None):
    """NAME.pem and NAME.key for DOMAIN (NAME.test) and all below it, good for `usage`."""
    domain = domain or f"{name}.test"
    domains = [domain, f"*.{domain}"]
    extensions = directory / f"{name}.ext"
    names = ",".join(f"DNS:{d}" for d in domains)
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n"
                          f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
                          "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    _openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={domains[0]}")
    _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "public-ca.pem", "-CAkey", "public-ca.key",
             "-CAcreateserial", "-days", "30", "-out", f"{name}.pem", "-extfile", extensions.name)
    _readable(directory)


def self_signed(directory, name):
    """NAME.pem and NAME.key for NAME.test, vouched for by nobody."""
    _openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}.test",
             "-addext", f"subjectAltName=DNS:{name}.test")
    _readable(directory)


def _readable(directory):
    for path in directory.iterdir():
        path.chmod(0o644)  # the servers run as users of their own


def _openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
