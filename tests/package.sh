#!/bin/bash
# package.sh - the Debian package, built and taken through its life
#
# usage: sudo tests/package.sh
#
# Builds the package as dpkg-buildpackage does, asks lintian, makes a clean
# Debian in a folder (debootstrap; kept in /var/cache/nixie-tests/root as long
# as that stands), and there installs the package beside Postfix and Redis,
# sends mail through it, upgrades, removes and purges it. Needs the package
# sources of the host, and some minutes. Not part of make check.
set -u
setup_top=$(cd "$(dirname "$0")/.." && pwd) || exit 2
setup_program=tests/package.sh
# shellcheck source=tests/integration/setup.sh
. "$setup_top/tests/integration/setup.sh" || exit 2

clean=/var/cache/nixie-tests/root
failures=0

check() { # TITLE COMMAND…
    local title=$1
    shift
    [ ! -e "$folder/said" ] || mv "$folder/said" "$folder/told"
    if "$@" >"$folder/said" 2>&1; then
        setup_say "ok: $title"
    else
        setup_say "NOT OK: $title"
        tail -n 20 "$folder/said" | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

gone() {
    local path
    for path; do
        [ ! -e "$root$path" ] || { echo "$path is still there" && return 1; }
    done
}

finish() {
    local path
    setup_allow_services
    for path in proc dev/pts dev; do
        ! mountpoint -q "$root/$path" || umount "$root/$path"
    done
    [ -z "${KEEP-}" ] && rm -rf "$folder"
}

setup_need_root
umask 022
folder=$(mktemp -d "${TMPDIR:-/tmp}/nixie-package.XXXXXX") || exit 2
root=$folder/root
setup_log=$folder/setup.log
trap finish EXIT
trap 'exit 2' INT TERM HUP
chmod 755 "$folder"

setup_install "${setup_build_packages[@]}" "${setup_test_packages[@]}" \
    redis-server debhelper lintian debootstrap dpkg-dev fakeroot

setup_say "building the package"
mkdir "$folder/source"
git -C "$setup_top" ls-files -z 2>/dev/null |
    tar -C "$setup_top" --null -T - -cf - | tar -C "$folder/source" -xf - ||
    setup_fail "the package is built from a clone of the repository"
cd "$folder/source" || exit 2
DEB_BUILD_OPTIONS="nocheck parallel=2" \
    setup_quietly dpkg-buildpackage dpkg-buildpackage -us -uc
first=$(echo ../nixie_*.deb)
check "lintian finds no error" lintian --allow-root --fail-on error ../nixie_*.changes

# The next version: the same files, as only dpkg looks at the number.
mkdir "$folder/next"
dpkg-deb -R "$first" "$folder/next/nixie"
sed -i 's/^Version: .*/&+1/' "$folder/next/nixie/DEBIAN/control"
setup_quietly dpkg-deb dpkg-deb -b "$folder/next/nixie" "$folder/next/nixie.deb"

if [ ! -e "$clean/usr/bin/apt-get" ]; then
    setup_say "making a clean Debian in $clean"
    rm -rf "$clean"
    setup_quietly debootstrap debootstrap --variant=minbase bookworm "$clean"
fi
cp -a "$clean" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
echo postfix postfix/main_mailer_type select Local only |
    inside debconf-set-selections
cp "$first" "$root/nixie.deb"
cp "$folder/next/nixie.deb" "$root/next.deb"
setup_quietly "apt-get update" inside apt-get update

setup_say "a host with nothing"
check "it installs" inside apt-get install -y --no-install-recommends /nixie.deb
check "its configuration is right" inside nixied -n
check "its user is there" inside id nixie
check "the configuration is not open to all" \
    test "$(inside stat -c %a:%U:%G /etc/nixie/nixie.conf)" = 640:root:nixie
for script in bash-completion/completions/nixie zsh/vendor-completions/_nixie \
    fish/vendor_completions.d/nixie.fish; do
    check "there is $script" test -s "$root/usr/share/$script"
done
check "it purges" inside apt-get purge -y nixie
check "nothing of it stays" gone /etc/nixie /var/lib/nixie /var/log/nixie \
    /usr/sbin/nixied /etc/logrotate.d/nixie

setup_say "a host with Postfix and Redis"
check "these install" inside apt-get install -y --no-install-recommends \
    postfix redis-server python3 procps
touch "$root/var/log/mail.log"
chgrp adm "$root/var/log/mail.log" && chmod 640 "$root/var/log/mail.log"
check "it installs" inside apt-get install -y --no-install-recommends /nixie.deb
check "its configuration is right" inside nixied -n
check "the socket is where a chrooted Postfix sees it" grep -qx \
    'milter_socket = "unix:/var/spool/postfix/nixie/milter.sock"' \
    "$root/etc/nixie/nixie.conf"
check "the mail log is followed" grep -qx \
    'maillog = {"/var/log/mail.log"}' "$root/etc/nixie/nixie.conf"
check "Redis is where its own configuration puts it" grep -qx \
    'redis = "tcp:127.0.0.1:6379"' "$root/etc/nixie/nixie.conf"
check "the folder of the socket is Postfix's" test "$(inside stat -c %a:%U:%G \
    /var/spool/postfix/nixie)" = 2750:nixie:postfix
check "its user reaches Redis and the mail log" \
    inside sh -c 'id -nG nixie | grep -w redis | grep -qw adm'
mkdir "$root/source"
cp -a "$folder/source/tests" "$folder/source/packaging" "$root/source/"
check "mail goes through it" inside /source/packaging/try --installed

# The script at work before the next version is that of this one.
old_runs() {
    pid=$(cat "$root/var/lib/nixie/lock") &&
        grep -q "no systemd restarts it: kill $pid, then start" "$folder/told"
}
inside nixied >"$root/nixied.err" 2>&1 &
started=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -s "$root/var/lib/nixie/lock" ] && break
    sleep 0.5
done

echo '# of the operator' >>"$root/etc/nixie/nixie.conf"
before=$(sha256sum <"$root/etc/nixie/nixie.conf")
echo state >"$root/var/lib/nixie/kept"
check "it upgrades" inside apt-get install -y --no-install-recommends /next.deb
check "a nixied that runs on is told with its number" old_runs
check "the operator's configuration stays" \
    test "$before" = "$(sha256sum <"$root/etc/nixie/nixie.conf")"
inside postconf -e smtpd_milters=unix:nixie/milter.sock
check "it is removed" inside apt-get remove -y nixie
told_at_removal() {
    grep -q 'smtpd_milters still names nixie' "$folder/told" &&
        grep -q "no systemd stops it: kill $(cat "$root/var/lib/nixie/lock")," \
            "$folder/told"
}
check "whoever removes it is told of main.cf and of what runs" told_at_removal
kill "$(cat "$root/var/lib/nixie/lock")"
wait "$started"
check "configuration and state stay" test -e "$root/etc/nixie/nixie.conf" -a \
    -e "$root/var/lib/nixie/kept"
check "it comes back" inside apt-get install -y --no-install-recommends /nixie.deb
umount "$root/proc"
check "it is removed where there is no /proc, too" inside dpkg -r nixie
mount -t proc proc "$root/proc"
check "it purges" inside apt-get purge -y nixie
check "nothing of it stays" gone /etc/nixie /var/lib/nixie /var/log/nixie \
    /usr/sbin/nixied /etc/logrotate.d/nixie /var/spool/postfix/nixie
echo 'unixsocket "/run/redis/redis-server.sock"' >>"$root/etc/redis/redis.conf"
check "it installs" inside apt-get install -y --no-install-recommends /nixie.deb
check "Redis's socket is taken, as Redis itself writes it" grep -qx \
    'redis = "unix:/run/redis/redis-server.sock"' "$root/etc/nixie/nixie.conf"
check "its configuration is right" inside nixied -n
check "it purges" inside apt-get purge -y nixie

setup_say "an MTA that comes later"
check "Postfix goes" inside apt-get purge -y postfix
check "it installs" inside apt-get install -y --no-install-recommends /nixie.deb
check "Postfix comes" inside apt-get install -y --no-install-recommends postfix
check "the folder of the socket is made" test -d \
    "$root/var/spool/postfix/nixie"

if [ "$failures" -gt 0 ]; then
    setup_say "$failures failed"
    exit 1
fi
setup_say "all of it is well"
