# setup.sh - what packaging/try and tests/run share; bash sources it
#
# setup_top must name the top of the source tree, setup_program the caller, for
# its messages, and setup_log a file for the output of what is run.
# shellcheck shell=bash disable=SC2034,SC2154

setup_build_packages=(gcc make autoconf automake libc6-dev pkg-config
    libmilter-dev libhiredis-dev libjansson-dev libconfuse-dev
    libglib2.0-dev libidn2-dev libpcre2-dev libsystemd-dev zlib1g-dev liblzma-dev
    libzstd-dev libbz2-dev
    libcurl4-gnutls-dev libgmime-3.0-dev nettle-dev libmicrohttpd-dev
    libncurses-dev)
setup_server_packages=(postfix redis-server redis-tools python3)
setup_test_packages=(libcmocka-dev python3-pytest python3-pytest-xdist
    python3-jsonschema miltertest jq mandoc gzip xz-utils zstd bzip2
    systemd-journal-remote chromium chromium-driver zsh fish)
# for the Sendmail of setup_sendmail: m4 makes its configuration
setup_sendmail_packages=(m4 libsasl2-modules)
setup_unpacked=/var/cache/nixie-tests

setup_say() {
    printf '%s: %s\n' "$setup_program" "$*"
}

setup_fail() {
    printf '%s: %s\n' "$setup_program" "$*" >&2
    exit 2
}

# Root, for Postfix and for apt-get.
setup_need_root() {
    [ "$(id -u)" -eq 0 ] ||
        setup_fail "run it as root (sudo $0): it installs packages and" \
            "starts a Postfix of its own"
}

setup_missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qx installed || printf '%s\n' "$package"
    done
}

# Lets no service start while packages are installed, unless the machine has
# a rule of its own. Undone by setup_allow_services.
setup_policy=/usr/sbin/policy-rc.d
setup_policy_is_ours=
setup_forbid_services() {
    [ -e "$setup_policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$setup_policy"
    chmod 755 "$setup_policy"
    setup_policy_is_ours=yes
}

setup_allow_services() {
    [ -z "$setup_policy_is_ours" ] || rm -f "$setup_policy"
    setup_policy_is_ours=
}

# setup_install PACKAGE…: installs what is missing. Nothing of it runs
# afterwards or is enabled; an MTA that is there stays as it is.
setup_install() {
    local missing removed package
    command -v apt-get >/dev/null ||
        setup_fail "this is no Debian (no apt-get). Install what these" \
            "packages hold: $*; then: autoreconf -i && ./configure && make" \
            "check"
    mapfile -t missing < <(setup_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    setup_say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null ||
        setup_fail "apt-get update failed: are the package sources reachable?"
    removed=$(apt-get install -s -y --no-install-recommends "${missing[@]}" \
        </dev/null 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p')
    [ -z "$removed" ] ||
        setup_fail "installing ${missing[*]} would remove" \
            "${removed//$'\n'/ } - not done; use another machine, or a" \
            "container"
    printf 'postfix postfix/main_mailer_type select No configuration\n' |
        debconf-set-selections
    setup_forbid_services
    if ! apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        </dev/null >"$setup_log" 2>&1; then
        setup_allow_services
        tail -n 20 "$setup_log" >&2
        setup_fail "apt-get could not install them"
    fi
    setup_allow_services
    for package in "${missing[@]}"; do
        case $package in
        postfix | redis-server)
            if command -v systemctl >/dev/null; then
                systemctl disable --quiet "$package" >/dev/null 2>&1 || true
            fi
            setup_say "$package is installed, but not started or enabled"
            ;;
        esac
    done
}

# setup_unpack FOLDER PROGRAM PACKAGE…: packages in a folder of their own, as
# they would remove what the host has. Only their libraries are installed. The
# folder, which has PROGRAM then, stays for the next time; delete it at will.
setup_unpack() {
    local folder=$1 program=$2 new=$1.new libraries package
    shift 2
    [ -x "$folder/$program" ] ||
        setup_quietly "apt-get update" apt-get update -qq
    mapfile -t libraries < <(apt-cache depends "$@" |
        sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | sort -u)
    setup_install "${libraries[@]}"
    [ ! -x "$folder/$program" ] || return 0
    setup_say "unpacking $* into $folder"
    rm -rf "$new" "$folder"
    mkdir -p "$new"
    (cd "$new" && setup_quietly "apt-get download" apt-get download -qq \
        "$@") || exit
    for package in "$new"/*.deb; do
        setup_quietly "dpkg -x" dpkg -x "$package" "$new/unpacked"
        rm "$package"
    done
    chmod -R u=rwX,go=rX "$new/unpacked" # nothing set-group-ID
    mv "$new/unpacked" "$folder"
    rmdir "$new"
}

# setup_sendmail: Sendmail's programs; its packages would remove Postfix.
setup_sendmail() {
    setup_install "${setup_sendmail_packages[@]}"
    setup_unpack "$setup_unpacked/sendmail" usr/libexec/sendmail/sendmail \
        sendmail-bin sendmail-base sendmail-cf
}

# setup_shippers: log shippers; the packages of each would remove the other.
setup_shippers() {
    setup_unpack "$setup_unpacked/rsyslog" usr/sbin/rsyslogd rsyslog
    setup_unpack "$setup_unpacked/syslog-ng" usr/sbin/syslog-ng syslog-ng-core
}

# setup_exim: whose bounces are read; its packages would remove Postfix.
setup_exim() {
    setup_unpack "$setup_unpacked/exim" usr/sbin/exim4 exim4-daemon-light
}

# setup_quietly TITLE COMMAND…: its output only when it fails.
setup_quietly() {
    local title=$1
    shift
    if ! "$@" </dev/null >"$setup_log" 2>&1; then
        tail -n 40 "$setup_log" >&2
        setup_fail "$title failed"
    fi
}

# setup_build FOLDER [configure options]: builds a copy of the sources, so
# that the checkout stays as it is; leaves FOLDER/source and FOLDER/build.
setup_build() {
    local folder=$1 started=$SECONDS
    shift
    mkdir -p "$folder/source" "$folder/build"
    tar -C "$setup_top" --exclude-vcs --exclude='./build' --exclude='./build[._]*' \
        --exclude='*.o' --exclude='*.a' --exclude=.deps \
        --exclude=.dirstamp --exclude=__pycache__ --exclude=autom4te.cache \
        --exclude=./config.status --exclude=./config.log \
        --exclude=./config.h --exclude=./stamp-h1 --exclude=./Makefile \
        --exclude=./nixied --exclude=./nixie \
        -cf - . | tar -C "$folder/source" -xf - --no-same-owner
    # programs of the tests, if somebody built in the checkout
    find "$folder/source/tests" -type f ! -name '*.*' \
        \( -name 'test_*' -o -name 'replay_*' -o -name 'fuzz_*' \) -delete
    setup_quietly autoreconf autoreconf -i "$folder/source"
    (cd "$folder/build" && setup_quietly configure ../source/configure "$@")
    (cd "$folder/build" && setup_quietly make make -j2 V=0)
    setup_say "built in $((SECONDS - started)) s"
}
