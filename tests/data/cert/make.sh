#!/bin/sh
# Makes the fixtures of this folder anew, with the openssl command (3.0) and python3 for what openssl cannot
# write. The results are committed; run it only to add one, and commit what it changed together.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ext="$work/ext.cnf"
days=36500

cat > "$ext" <<'CNF'
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[inter]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[cross]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = @names
[names]
DNS.1 = www.example.com
DNS.2 = *.example.org
IP.1 = 192.0.2.7
IP.2 = 2001:db8::7
email.1 = ops@example.com
URI.1 = https://example.com/x
RID.1 = 1.2.3.4
otherName.1 = 1.2.3.5;UTF8:odd
dirName.1 = odd
[odd]
CN = odd
[plain]
subjectAltName = DNS:www.example.com
[mark]
basicConstraints = CA:FALSE
extendedKeyUsage = 1.3.6.1.5.5.7.3.31
authorityKeyIdentifier = keyid
subjectAltName = DNS:example.com
# A stand-in for RFC 3709 logotype data: what counts here is that it is large, opaque and critical.
1.3.6.1.5.5.7.1.12 = critical, ASN1:FORMAT:ASCII,OCTETSTRING:<svg xmlns="http://www.w3.org/2000/svg"/>
CNF

key_ec() { openssl ecparam -genkey -name "$2" -noout -out "$work/$1.key"; }
# self NAME SUBJECT SECTION [options]
self() { n=$1 s=$2 e=$3; shift 3
  openssl req -new -x509 -key "$work/$n.key" -subj "$s" -days $days -config "$ext" -extensions "$e" "$@" -out "$work/$n.pem"; }
# issue NAME SUBJECT SECTION ISSUER [options]
issue() { n=$1 s=$2 e=$3 i=$4; shift 4
  openssl req -new -key "$work/$n.key" -subj "$s" -config "$ext" -out "$work/$n.csr"
  openssl x509 -req -in "$work/$n.csr" -CA "$work/$i.pem" -CAkey "$work/$i.key" -days $days -extfile "$ext" -extensions "$e" "$@" -out "$work/$n.pem"; }
der() { openssl x509 -in "$work/$1.pem" -outform DER -out "$1.der"; }

# The chain that most cases use.
key_ec root prime256v1;  self root '/C=XX/O=Fixture Inc/CN=Fixture Root' root
key_ec inter prime256v1; issue inter '/C=XX/O=Fixture Inc/CN=Fixture Issuing CA' inter root
key_ec leaf prime256v1;  issue leaf '/C=XX/O=Fixture Inc/CN=www.example.com' leaf inter
der root; der inter; der leaf
cat "$work/leaf.pem" "$work/inter.pem" "$work/root.pem" > bundle.pem

# The leaf's key and request, in every form that operators have.
openssl ecparam -name prime256v1 -out "$work/params.pem"
cat "$work/params.pem" "$work/leaf.key" > leaf.sec1.key
openssl pkcs8 -topk8 -nocrypt -in "$work/leaf.key" -out leaf.pkcs8.key
openssl pkcs8 -topk8 -in "$work/leaf.key" -passout pass:fixture -out leaf.encrypted.key
openssl ec -in "$work/leaf.key" -aes128 -passout pass:fixture -out leaf.proctype.key 2>/dev/null
openssl req -new -key "$work/leaf.key" -subj '/CN=www.example.com' -config "$ext" -reqexts plain -out leaf.csr.pem
openssl req -in leaf.csr.pem -outform DER -out leaf.csr.der
openssl x509 -in "$work/leaf.pem" -trustout -addtrust serverAuth -out trusted.pem

# RSA: 2048 in both key forms, 1024 which the crypto library refuses, and the RSASSA-PSS key type.
openssl genrsa -traditional -out "$work/rsa.key" 2048 2>/dev/null
issue rsa '/CN=rsa.example.com' plain inter; der rsa
cp "$work/rsa.key" rsa.pkcs1.key
openssl pkcs8 -topk8 -nocrypt -in rsa.pkcs1.key -out rsa.pkcs8.key
openssl genrsa -traditional -out "$work/rsa1024.key" 1024 2>/dev/null
issue rsa1024 '/CN=rsa1024.example.com' plain inter; der rsa1024
cp "$work/rsa1024.key" rsa1024.key
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out "$work/pss.key" 2>/dev/null
issue pss '/CN=pss.example.com' plain inter; der pss
cp "$work/pss.key" pss.key
openssl genpkey -algorithm ED25519 -out "$work/ed25519.key"
issue ed25519 '/CN=ed25519.example.com' plain inter; der ed25519
cp "$work/ed25519.key" ed25519.key

# Signatures by unusual issuers; each child names its issuer's file.
openssl genrsa -traditional -out "$work/rsaroot.key" 2048 2>/dev/null
self rsaroot '/CN=Fixture RSA Root' root -sha1; der rsaroot
cp "$work/leaf.key" "$work/by-pss.key"
issue by-pss '/CN=by-pss.example.com' plain rsaroot -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1; der by-pss
cp "$work/leaf.key" "$work/by-sha1.key"
issue by-sha1 '/CN=by-sha1.example.com' plain rsaroot -sha1; der by-sha1
cp "$work/rsa1024.key" "$work/rsa1024root.key"
self rsa1024root '/CN=Fixture RSA 1024 Root' root; der rsa1024root
cp "$work/leaf.key" "$work/by-rsa1024.key"
issue by-rsa1024 '/CN=by-rsa1024.example.com' plain rsa1024root; der by-rsa1024
cp "$work/pss.key" "$work/pssroot.key"
self pssroot '/CN=Fixture PSS Root' root -sha256 -sigopt rsa_pss_saltlen:-1; der pssroot
cp "$work/leaf.key" "$work/by-psskey.key"
issue by-psskey '/CN=by-psskey.example.com' plain pssroot -sha256 -sigopt rsa_pss_saltlen:-1; der by-psskey
key_ec p521 secp521r1; self p521 '/CN=Fixture P-521 Root' root -sha512; der p521
cp "$work/p521.key" p521.key
cp "$work/leaf.key" "$work/by-p521.key"
issue by-p521 '/CN=by-p521.example.com' plain p521 -sha512; der by-p521

# A version 1 root that signed itself, and what it issued.
key_ec v1 prime256v1
openssl req -new -key "$work/v1.key" -subj '/CN=Fixture Version 1 Root' -config "$ext" -out "$work/v1.csr"
openssl x509 -req -in "$work/v1.csr" -signkey "$work/v1.key" -days $days -out "$work/v1.pem" 2>/dev/null; der v1
cp "$work/leaf.key" "$work/by-v1.key"
issue by-v1 '/CN=by-v1.example.com' plain v1; der by-v1

# 21 bytes of serial number; RFC 5280 section 4.1.2.2 ends at 20, certificates do not.
cp "$work/leaf.key" "$work/serial21.key"
issue serial21 '/CN=serial21.example.com' plain inter -set_serial 0x0102030405060708090a0b0c0d0e0f101112131415; der serial21

# A root cross-signed by an older one: same subject, same key, two certificates.
key_ec oldroot prime256v1; self oldroot '/CN=Fixture Old Root' root
cp "$work/root.key" "$work/cross.key"
issue cross '/C=XX/O=Fixture Inc/CN=Fixture Root' cross oldroot
der oldroot; der cross

# A mark certificate: its own usage, and a critical logotype extension.
cp "$work/leaf.key" "$work/mark.key"
issue mark '/O=Fixture Inc/CN=Fixture Mark' mark inter; der mark

# Containers.
openssl crl2pkcs7 -nocrl -certfile bundle.pem -outform DER -out certs-only.p7b
openssl crl2pkcs7 -nocrl -certfile bundle.pem -out certs-only.p7.pem
cat "$work/inter.pem" "$work/root.pem" > "$work/cas.pem"
printf 'fixture' > "$work/text"
openssl smime -sign -binary -nodetach -in "$work/text" -signer "$work/leaf.pem" -inkey "$work/leaf.key" -certfile "$work/cas.pem" -outform DER -out signer.p7b
openssl cms -sign -binary -nodetach -stream -in "$work/text" -signer "$work/leaf.pem" -inkey "$work/leaf.key" -certfile "$work/cas.pem" -outform DER -out stream.p7b
openssl cms -encrypt -binary -in "$work/text" -outform DER -out enveloped.p7b "$work/rsa.pem"
openssl nseq -toseq -in bundle.pem -out nseq.pem
openssl pkcs12 -export -passout pass:fixture -inkey "$work/leaf.key" -in "$work/leaf.pem" -out bundle.p12
grep -v '^-----' nseq.pem | openssl base64 -d > nseq.der

python3 - <<'PY'
import zipfile

def tlv(data, at):
    """Tag, start of content and end of one definite-length element."""
    length, body = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7f
        length, body = int.from_bytes(data[body:body + count], "big"), body + count
    return data[at], body, body + length

def children(data):
    _, at, end = tlv(data, 0)
    found = []
    while at < end:
        _, _, stop = tlv(data, at)
        found.append(data[at:stop])
        at = stop
    return found

def indefinite(tag, parts):
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"

# certs-only.p7b with indefinite lengths on all levels outside the certificates.
content_type, wrapped = children(open("certs-only.p7b", "rb").read())
version, digests, encapsulated, certificates, signers = children(children(wrapped)[0])
signed = indefinite(0x30, [version, digests, indefinite(0x30, children(encapsulated)),
                           indefinite(0xa0, children(certificates)), signers])
open("indefinite.p7b", "wb").write(indefinite(0x30, [content_type, indefinite(0xa0, [signed])]))

with zipfile.ZipFile("bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for name in ("leaf", "inter", "root"):
        archive.write(f"{name}.der", f"{name}.crt")
    archive.writestr("readme.txt", "Install these files on your server.\n")
with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("leaf.crt", b"0" * (8 << 20))
PY
