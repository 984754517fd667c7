#!/bin/sh
# Makes a CA for this installation, once, and by it a certificate for each service, PostgreSQL and NATS, and one for those who call them.
#
#   deploy/certificates.sh                    all that are not there yet
#   deploy/certificates.sh --anew customers   this one anew, by the same CA; deploy/README.md tells what has to follow
#
# They lie in deploy/secrets/tls, beside the other secrets. For an installation in earnest put files of the same names there, made by the
# CA of your house: ca.crt, and for each of the names below a .crt (with whatever lies between it and the CA) and a .key.
set -eu
secrets=${VEFA_SECRETS:-$(dirname "$0")/secrets}
tls=$secrets/tls
names='customers interactions segmentation campaigns postgres nats client'
days=${VEFA_CERTIFICATE_DAYS:-365}
umask 077

refuse() {
  echo "deploy/certificates.sh: $1" >&2
  exit 2
}

write() { # FROM NAME: written over, not replaced, since a container sees the file that was there when it began
  [ ! -e "$tls/$2" ] || chmod 644 "$tls/$2"
  cat "$1" >"$tls/$2"
  chmod 444 "$tls/$2"
}

key() { # FILE
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

make_ca() {
  key "$work/ca.key"
  openssl req -x509 -new -sha256 -key "$work/ca.key" -days 3650 -subj '/CN=Vefa CA' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out "$work/ca.crt"
  write "$work/ca.key" ca.key
  # No container has it.
  chmod 400 "$tls/ca.key"
  write "$work/ca.crt" ca.crt
  echo "made $tls/ca.crt"
}

make() { # NAME
  key "$work/key"
  openssl req -new -sha256 -key "$work/key" -subj "/CN=$1" -out "$work/request"
  cat >"$work/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:$1,DNS:localhost,IP:127.0.0.1
EXTENSIONS
  openssl x509 -req -sha256 -in "$work/request" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -days "$days" -set_serial "0x$(openssl rand -hex 16)" \
    -extfile "$work/extensions" -out "$work/certificate" 2>"$work/said" || refuse "$(cat "$work/said")"
  # The key first: whoever looks between the two finds that they do not fit, and keeps what it has.
  write "$work/key" "$1.key"
  write "$work/certificate" "$1.crt"
  echo "made $tls/$1.crt, good for $days days"
}

command -v openssl >/dev/null || refuse "openssl is not installed"
mkdir -p "$tls"
# It may have been made by hand. The files themselves are read by containers, as users that this machine does not know.
chmod 700 "$secrets" "$tls"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" = --anew ]; then
  [ $# -eq 2 ] && [ -s "$tls/ca.key" ] || refuse "--anew takes one name, of a certificate by the CA that is there"
  case " $names " in
    *" $2 "*) make "$2" ;;
    *) refuse "'$2' is none of: $names" ;;
  esac
  exit
fi
[ $# -eq 0 ] || refuse "takes nothing, or --anew and a name"
[ -s "$tls/ca.crt" ] || make_ca
for name in $names; do
  if [ ! -s "$tls/$name.crt" ]; then
    [ -s "$tls/ca.key" ] || refuse "$tls has no $name.crt, and no ca.key to make it by"
    make "$name"
  fi
done
