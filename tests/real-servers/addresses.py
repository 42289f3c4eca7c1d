"""Who lives where: loopback only, each server on an address of its own."""

ALPHA = "127.77.0.2"      # Prosody, partner
BETA = "127.77.0.3"       # ejabberd, partner
ORG = "127.77.0.4"        # the internal server, Prosody or ejabberd
GAMMA = "127.77.0.6"      # Prosody, on nobody's list
STREET = "127.77.1."       # more partners, numbered by the world that needs them
GATEWAY = "127.77.0.10"   # both sides of the gateway
SOURCE = "127.77.0.11"    # where the gateway connects out from
DNS_PUBLIC = "127.77.0.53"
DNS_INTERNAL = "127.77.0.54"
ADMIN = (GATEWAY, 9269)

PASSWORD = "loopback-only"
