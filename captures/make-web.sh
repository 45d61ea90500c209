#!/bin/bash
# Makes web.pcap: five seconds of small, ordinary traffic through a router, with each end that a
# connection can come to, seen on the router's side of the client.
#
#   client 10.0.1.2        10.0.1.1 router 10.0.2.1        10.0.2.2 server
#          2001:db8:1::2   2001:db8:1::1 2001:db8:2::1     2001:db8:2::2
#
# Everything happens in three network namespaces of its own, which are gone afterwards.
#
#   sudo captures/make-web.sh [FILE]

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
file=${1:-$here/web.pcap}
client=web-client-$$ router=web-router-$$ server=web-server-$$

require() {
    local missing=()
    for tool in ip tcpdump python3 curl ethtool ping; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || { echo "make-web.sh: install ${missing[*]}" >&2; exit 1; }
    ((EUID == 0)) || { echo "make-web.sh: needs root, to make network namespaces" >&2; exit 1; }
}

cleanup() {
    local pids
    pids=$(jobs -p)
    [[ -z $pids ]] || kill $pids 2>/dev/null || true
    wait 2>/dev/null || true
    for space in "$client" "$router" "$server"; do
        ip netns del "$space" 2>/dev/null || true
    done
    rm -rf "$work"
}

require
work=$(mktemp -d)
trap cleanup EXIT

# inside SPACE COMMAND…
inside() { ip netns exec "$@"; }

# start SPACE COMMAND…: in the background; `cleanup` ends it.
start() { ip netns exec "$@" >/dev/null 2>&1 & }

# join SPACE INTERFACE PEER NETWORK: a cable to the router, which is .1 where SPACE is .2.
join() {
    local space=$1 link=$2 v4=$3 v6=$4
    ip -n "$space" link add eth0 type veth peer name "$link" netns "$router"
    ip -n "$space" addr add "$v4.2/24" dev eth0
    ip -n "$space" addr add "$v6::2/64" dev eth0 nodad
    ip -n "$router" addr add "$v4.1/24" dev "$link"
    ip -n "$router" addr add "$v6::1/64" dev "$link" nodad
    # What is captured is what a wire would carry: whole checksums, no joined segments.
    inside "$space" ethtool -K eth0 tx off rx off tso off gso off gro off >/dev/null
    inside "$router" ethtool -K "$link" tx off rx off tso off gso off gro off >/dev/null
    ip -n "$space" link set eth0 up
    ip -n "$router" link set "$link" up
    ip -n "$space" route add default via "$v4.1"
    ip -n "$space" route add default via "$v6::1"
}

network() {
    for space in "$client" "$router" "$server"; do
        ip netns add "$space"
        ip -n "$space" link set lo up
        inside "$space" sysctl -qw net.ipv6.conf.default.router_solicitations=0
    done
    inside "$router" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    join "$client" to-client 10.0.1 2001:db8:1
    join "$server" to-server 10.0.2 2001:db8:2
    # An address that never answers, but to which packets are forwarded.
    ip -n "$router" neigh add 10.0.2.99 lladdr 02:00:00:00:00:63 dev to-server
    sleep 3 # link-local addresses settle
}

# A name server that knows one answer (port 53), and an echo (port 5004).
cat >"$work/udp.py" <<'PY'
import select, socket

def bound(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.0.2.2", port))
    return s

names, echo = bound(53), bound(5004)
while True:
    for s in select.select([names, echo], [], [])[0]:
        data, peer = s.recvfrom(2048)
        if s is names:
            # The same id; a response, recursion available; one A record: 10.0.2.2, for 300 s.
            record = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x0a\0\x02\x02"
            data = data[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + data[12:] + record
        s.sendto(data, peer)
PY

# Two questions from one port.
cat >"$work/ask.py" <<'PY'
import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
for number, host in enumerate([b"www", b"ftp"], 0x1001):
    name = b"\x03" + host + b"\x07example\x03com\0"
    s.sendto(number.to_bytes(2, "big") + b"\x01\0\0\x01\0\0\0\0\0\0" + name + b"\0\x01\0\x01", ("10.0.2.2", 53))
    s.recv(2048)
PY

# Ten datagrams of 160 bytes over three and a half seconds, each echoed.
cat >"$work/talk.py" <<'PY'
import socket, time

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
for number in range(10):
    s.sendto(bytes([number]) * 160, ("10.0.2.2", 5004))
    s.recv(2048)
    time.sleep(0.35)
PY

serve() {
    mkdir "$work/www"
    for page in index.html one.html two.html; do
        { echo "<title>$page</title>"; printf 'A line of this page, made to fill it.\n%.0s' {1..50}; } \
            >"$work/www/$page"
    done
    start "$server" python3 -m http.server 80 --bind :: --protocol HTTP/1.1 --directory "$work/www"
    start "$server" python3 "$work/udp.py"
    for _ in {1..50}; do
        inside "$server" curl -so /dev/null "http://[::1]/" && return
        sleep 0.1
    done
    echo "make-web.sh: the web server did not start (it needs Python 3.11)" >&2
    exit 1
}

fetch() { inside "$client" curl -so /dev/null "$@"; }

traffic() {
    # Still open at the end: the second page is asked for 15 s after the first.
    start "$client" curl --rate 4/m http://10.0.2.2/one.html http://10.0.2.2/two.html
    start "$client" curl http://10.0.2.99/              # never answered
    start "$client" python3 "$work/talk.py"
    start "$client" ping -c 3 -i 0.5 10.0.2.2
    inside "$client" python3 "$work/ask.py"
    fetch http://10.0.2.2/
    fetch http://10.0.2.2/two.html
    sleep 0.5
    fetch "http://[2001:db8:2::2]/one.html"
    inside "$client" ping -q -6 -c 2 -i 0.5 2001:db8:2::2 >/dev/null
    # Two pages over one connection; after an error the server closes first.
    fetch http://10.0.2.2/one.html -o /dev/null http://10.0.2.2/missing.html
    sleep 0.5
    fetch http://10.0.2.2:8080/ || true                 # refused
    inside "$client" bash -c 'echo anybody >/dev/udp/10.0.2.2/9999' # port unreachable
    sleep 4
}

network
serve
ip netns exec "$router" tcpdump -qni to-client -s 0 -U --immediate-mode -Z root -w "$file" 2>"$work/log" &
capture=$!
sleep 1
traffic
kill -INT "$capture"
wait "$capture" || { cat "$work/log" >&2; exit 1; }
echo "$file: $(tcpdump -nr "$file" 2>/dev/null | wc -l) packets, $(stat -c %s "$file") bytes"
