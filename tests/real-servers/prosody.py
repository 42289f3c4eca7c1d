"""Prosody as Debian ships it: with its strict settings, or as a `Stance` says."""

import dataclasses
import os
import shutil

from addresses import PASSWORD
from processes import Process, with_resolver

CONFIG = """
run_as_root = true
pidfile = "{home}/prosody.pid"
data_path = "{home}/data"
certificates = "{home}"
log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{home}/prosody.log" }} }}
interfaces = {{ "{address}" }}
c2s_ports = {{ 5222 }}
s2s_ports = {{ 5269 }}
s2s_direct_tls_ports = {{ 5270 }}
use_ipv6 = false
modules_enabled = {{ "roster"; "saslauth"; "disco"; "ping"; "posix"; "presence"; "message"; "iq"; {enabled} }}
modules_disabled = {{ "http"; {disabled} }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
s2s_require_encryption = {encryption}
s2s_secure_auth = {strict}
{more}
s2s_timeout = 20
ssl = {{ cafile = "{ca}", certificate = "{certificate}", key = "{key}" }}
VirtualHost "{domain}"
Component "conference.{domain}" "muc"
"""


@dataclasses.dataclass(frozen=True)
class Stance:
    """What a server asks of others, and what it can do."""

    encryption: bool = True     # no stream without TLS
    strict: bool = True         # no dialback for those whose certificate proves nothing
    modules: tuple = ("tls",)   # of OPTIONAL
    more: str = ""


OPTIONAL = ("tls", "dialback", "s2s_bidi", "smacks")


def start(directory, domain, address, nameserver, ca, certificate, key, users, stance=Stance()):
    home = directory / f"prosody-{domain}"
    for user in users:
        accounts = home / "data" / domain.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};\n')
    # libunbound answers for `.test` by itself, so Prosody is left with its older resolver.
    masked = home / "masked"
    masked.mkdir(parents=True)
    (masked / "lunbound.lua").write_text('error("masked for the .test domain")\n')
    config = home / "prosody.cfg.lua"
    config.write_text(CONFIG.format(home=home, address=address, domain=domain, ca=ca, certificate=certificate, key=key,
                                    encryption=lua(stance.encryption), strict=lua(stance.strict), more=stance.more,
                                    enabled=names(stance.modules), disabled=names(set(OPTIONAL) - set(stance.modules))))
    command = with_resolver(home, domain, nameserver, f"{shutil.which('prosody')} -F --config {config}")
    process = Process(f"prosody {domain}", command, home / "output.log",
                      env={"LUA_PATH": f"{masked}/?.lua;;", "PATH": os.environ["PATH"]})
    process.wait_listening(address, 5222)
    process.wait_listening(address, 5269)
    return process


def lua(value):
    return "true" if value else "false"


def names(modules):
    return " ".join(f'"{module}";' for module in sorted(modules))
