"""The public side's certificates: one CA that stands for the public ones, one certificate per server."""

import subprocess


def make(directory):
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "30", "-keyout", "public-ca.key", "-out", "public-ca.pem", "-subj", "/CN=Public test CA",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    both = "serverAuth,clientAuth"
    _issue(directory, "alpha", ["alpha.test", "*.alpha.test"], both)
    _issue(directory, "beta", ["beta.test", "*.beta.test"], both)
    _issue(directory, "gamma", ["gamma.test", "*.gamma.test"], both)
    _issue(directory, "org", ["org.test", "*.org.test"], both)
    for path in directory.iterdir():
        path.chmod(0o644)  # the servers run as users of their own
    return directory


def _issue(directory, name, domains, usage):
    extensions = directory / f"{name}.ext"
    names = ",".join(f"DNS:{d}" for d in domains)
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n"
                          f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n"
                          "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    _openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={domains[0]}")
    _openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", "public-ca.pem", "-CAkey", "public-ca.key",
             "-CAcreateserial", "-days", "30", "-out", f"{name}.pem", "-extfile", extensions.name)


def _openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
