#!/bin/sh
# Builds for wasm32-wasip2 where rustup cannot fetch that target's standard library: on sites without
# a way to rustup's server, but with a Debian mirror.
#
#   std-from-debian.sh DIR                     fetches Debian's packages below DIR, once
#   std-from-debian.sh DIR COMMAND [ARG...]    and then runs COMMAND so that cargo uses them, such as
#
#   plugin-sdk/std-from-debian.sh target/std-from-debian \
#       cargo build --release --target wasm32-wasip2 -Zbuild-std=std,panic_abort
#
# `portcullis plugin build` does that by itself when `rustup target add wasm32-wasip2` fails.
#
# Nothing is installed and nothing outside DIR is written: Debian's rustc and the sources of its
# standard library are unpacked below DIR, and cargo builds the library from there with `-Zbuild-std`.
# cargo and the linkers are those of the Rust toolchain that is already here. Takes about a minute and
# 400 MB, once. Needs no root if apt knows its package lists.
set -eu

say() { echo "std-from-debian: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

[ $# -ge 1 ] || fail "usage: std-from-debian.sh DIR [COMMAND [ARG...]]"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift

export LC_ALL=C
for tool in apt-get apt-cache dpkg rustc; do
    command -v "$tool" >/dev/null || fail "$tool is not here: this way needs a Debian system and a Rust toolchain"
done

# Where Debian keeps libraries of this machine's kind.
case $(dpkg --print-architecture) in
    amd64) multiarch=x86_64-linux-gnu ;;
    arm64) multiarch=aarch64-linux-gnu ;;
    *) fail "no Debian packages are known for $(dpkg --print-architecture)" ;;
esac

# The linkers that Debian has not, from the toolchain. Asked before RUSTC is set below.
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
linkers=$sysroot/lib/rustlib/$host/bin
for linker in wasm-component-ld gcc-ld/wasm-ld; do
    [ -x "$linkers/$linker" ] || fail "$linkers/$linker is missing: the Rust toolchain here is not one of rustup's"
done

fetch() {
    # The names carry versions, which differ from one Debian to the next.
    std=$(apt-cache depends libstd-rust-web-dev 2>/dev/null | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p' | head -n 1)
    [ -n "$std" ] || return 1
    llvm=$(apt-cache depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p' | head -n 1)
    [ -n "$llvm" ] || return 1
    # As root, apt would drop to a user who cannot write here.
    (cd "$dir/new/archives" && apt-get -q -o APT::Sandbox::User="$(id -un)" download \
        rustc-web libstd-rust-web-dev "$std" rust-web-src "$llvm" wasi-libc >&2)
}

if [ ! -e "$dir/complete" ]; then
    rm -rf "$dir/new" "$dir/root"
    mkdir -p "$dir/new/archives" "$dir/new/root"
    say "fetching Debian's rustc-web, rust-web-src and wasi-libc (about 140 MB) below $dir"
    if ! fetch; then
        if [ "$(id -u)" -ne 0 ]; then
            fail "apt has no rustc-web: run 'apt-get update' as root; if it is still missing, this Debian has none"
        fi
        say "running apt-get update"
        apt-get -q update >&2
        fetch || fail "apt has no rustc-web with its parts, or the mirror cannot be reached"
    fi
    for package in "$dir"/new/archives/*.deb; do
        dpkg -x "$package" "$dir/new/root"
    done
    # Of the compiler's sources only the library's are used; the rest are 600 MB.
    for source in "$dir"/new/root/usr/src/rustc-*; do
        find "$source" -mindepth 1 -maxdepth 1 ! -name library -exec rm -rf {} +
    done
    rm -rf "$dir/new/archives"
    mv "$dir/new/root" "$dir/root"
    rmdir "$dir/new"
    touch "$dir/complete"
    say "ready"
fi

[ $# -ge 1 ] || exit 0

RUSTC=$dir/root/usr/bin/rustc
LD_LIBRARY_PATH=$dir/root/usr/lib/$multiarch${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
for llvm in "$dir"/root/usr/lib/llvm-*/lib; do
    if [ -d "$llvm" ]; then LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$llvm; fi
done
# -Zbuild-std is not stable.
RUSTC_BOOTSTRAP=1
# Not RUSTFLAGS, which splits at spaces. Holds for the target alone, since the command names one.
CARGO_ENCODED_RUSTFLAGS=$(printf -- '-L\037%s' "$dir/root/usr/lib/wasm32-wasi")${CARGO_ENCODED_RUSTFLAGS:+$(printf '\037')$CARGO_ENCODED_RUSTFLAGS}
PATH=$linkers:$linkers/gcc-ld:$PATH
unset RUSTFLAGS LC_ALL
export RUSTC LD_LIBRARY_PATH RUSTC_BOOTSTRAP CARGO_ENCODED_RUSTFLAGS PATH
exec "$@"
