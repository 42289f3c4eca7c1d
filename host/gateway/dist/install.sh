#!/bin/sh
# Puts this directory's files where the configuration's defaults and the systemd unit look for them:
# /usr/local/bin, /usr/local/share/portcullis, /usr/lib/portcullis, /etc/portcullis. Run as root; run it again to upgrade.
# An existing configuration is left alone. DESTDIR=/some/where installs below another root.
set -eu
cd "$(dirname "$0")"
(cd plugins && sha256sum --quiet --strict --check SHA256SUMS)

install -D -m 755 portcullis "${DESTDIR:-}/usr/local/bin/portcullis"
install -d -m 755 "${DESTDIR:-}/usr/lib/portcullis/plugins"
# Each component appears whole: a running gateway watches the directory.
for file in plugins/*.wasm; do
    there="${DESTDIR:-}/usr/lib/portcullis/$file"
    install -m 644 "$file" "$there.new"
    mv -f "$there.new" "$there"
done
# For `portcullis plugin new`. Replaced whole: a file of an older version must not stay.
sdk="${DESTDIR:-}/usr/local/share/portcullis/sdk"
install -d -m 755 "${sdk%/*}"
rm -rf "$sdk.new" && cp -R sdk "$sdk.new" && rm -rf "$sdk" && mv "$sdk.new" "$sdk"
install -D -m 644 portcullis.service "${DESTDIR:-}/etc/systemd/system/portcullis.service"

if [ -z "${DESTDIR:-}" ] && ! getent passwd portcullis >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/portcullis --no-create-home --shell /usr/sbin/nologin portcullis
fi
etc="${DESTDIR:-}/etc/portcullis"
if [ ! -e "$etc/portcullis.toml" ]; then
    install -d -m 750 "$etc"
    sed -e 's|^data_dir = "data".*|data_dir = "/var/lib/portcullis"|' \
        -e 's|^plugins_dir = "plugins".*|plugins_dir = "/usr/lib/portcullis/plugins"|' \
        portcullis.toml >"$etc/portcullis.toml"
    chmod 640 "$etc/portcullis.toml"
    [ -n "${DESTDIR:-}" ] || chgrp portcullis "$etc" "$etc/portcullis.toml"
fi

cat <<END
Installed. What is left to do:
  1. portcullis ca init /etc/portcullis/ca --domain YOUR.DOMAIN     (once for each domain of yours)
  2. your certificate for partners: /etc/portcullis/fullchain.pem and key.pem
  3. the service must be able to read them: chgrp -R portcullis /etc/portcullis
     and chmod 750 /etc/portcullis/ca, chmod 640 /etc/portcullis/key.pem /etc/portcullis/ca/*.key
  4. edit /etc/portcullis/portcullis.toml, then: portcullis check --config /etc/portcullis/portcullis.toml
  5. systemctl daemon-reload && systemctl enable --now portcullis
END
