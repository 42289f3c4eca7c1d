"""ejabberd as Debian ships it: with certificate checks on and without dialback, or as a `Stance` says."""

import dataclasses
import os
import shutil
import subprocess

from addresses import PASSWORD
from processes import Failed, Process, with_resolver

CONFIG = """
hosts: [{domain}]
loglevel: debug
certfiles: ["{bundle}"]
ca_file: "{ca}"
listen:
  - {{port: 5222, ip: "{address}", module: ejabberd_c2s, max_stanza_size: 262144, starttls: false}}
  - {{port: 5269, ip: "{address}", module: ejabberd_s2s_in, max_stanza_size: 524288}}
  - {{port: 5270, ip: "{address}", module: ejabberd_s2s_in, tls: true, max_stanza_size: 524288}}
s2s_use_starttls: {starttls}
s2s_cafile: "{ca}"
outgoing_s2s_families: [ipv4]
outgoing_s2s_ipv4_address: "{address}"
outgoing_s2s_timeout: 10
s2s_max_retry_delay: 3
negotiation_timeout: 20
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: []
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ local: {{ allow: local }}, c2s: {{ allow: all }}, s2s: {{ allow: all }} }}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_caps: {{}}
  mod_muc: {{host: "conference.{domain}"}}
{dialback}"""


@dataclasses.dataclass(frozen=True)
class Stance:
    """What a server asks of others, and what it can do."""

    starttls: str = "required"  # required, optional or false
    dialback: bool = False      # loading the module turns its certificate checks off


def start(directory, domain, address, nameserver, ca, certificate, key, users, distribution_port, stance=Stance()):
    home = directory / f"ejabberd-{domain}"
    conf, unused = home / "conf", home / "unused"
    for path in (conf, unused, home / "spool", home / "logs"):
        path.mkdir(parents=True)
    bundle = conf / "bundle.crt"
    bundle.write_text(open(certificate).read() + open(key).read())
    (conf / "ejabberd.yml").write_text(CONFIG.format(domain=domain, address=address, bundle=bundle, ca=ca, starttls=stance.starttls,
                                                      dialback="  mod_s2s_dialback: {}\n" if stance.dialback else ""))
    name = domain.split(".")[0]
    (conf / "ejabberdctl.cfg").write_text(
        f"ERLANG_NODE=portcullis_{name}@localhost\nEJABBERD_PID_PATH={home}/pid\n"
        f"CONTRIB_MODULES_CONF_DIR={unused}\nERL_DIST_PORT={distribution_port}\nINET_DIST_INTERFACE=127.0.0.1\n"
        # Nothing to dump: a crash shows in the log.
        "ERL_CRASH_DUMP_SECONDS=0\n")
    (conf / "inetrc").write_text('{lookup,["dns","file"]}.\n{resolv_conf,""}.\n'
                                 f"{{nameserver,{{{nameserver.replace('.', ',')}}}}}.\n{{cache_size,0}}.\n")
    subprocess.run(["chown", "-R", "ejabberd:ejabberd", home], check=True)
    control = (f"{shutil.which('ejabberdctl')} -d {conf} -s {home}/spool -l {home}/logs "
               f"-f {conf}/ejabberd.yml -c {conf}/ejabberdctl.cfg")
    env = {"HOME": str(home), "PATH": os.environ["PATH"]}
    process = Process(f"ejabberd {domain}", with_resolver(home, domain, nameserver, f"{control} foreground"),
                      home / "output.log", env=env, pid_file=home / "pid")
    process.wait_listening(address, 5222)
    process.wait_listening(address, 5269)
    process.wait_until(lambda: subprocess.run([*control.split(), "status"], capture_output=True, env=env).returncode == 0,
                       "an answer to `ejabberdctl status`")
    for user in users:
        done = subprocess.run([*control.split(), "register", user, domain, PASSWORD], capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise Failed(f"ejabberdctl register {user} {domain}: {done.stdout}{done.stderr}")
    return process
