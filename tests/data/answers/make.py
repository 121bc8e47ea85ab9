"""Writes the files that hold certificates, from ../cert. The others are text as their origin shows it."""
import base64, os
from urllib.parse import quote_plus

def der(name):
    return open(os.path.join("..", "cert", name + ".der"), "rb").read()

def b64(name):
    return base64.b64encode(der(name)).decode()

def lines(text, end="\n"):
    return "".join(text[at:at + 64] + end for at in range(0, len(text), 64))

def pem(name, end="\n", label="CERTIFICATE"):
    return f"-----BEGIN {label}-----{end}{lines(b64(name), end)}-----END {label}-----{end}"

def write(name, text):
    open(name, "wb").write(text if isinstance(text, bytes) else text.encode())

chain = ["root", "inter", "leaf"]
form = lambda *pairs: "&".join(f"{key}={value}" for key, value in pairs)
issued = lambda value, cas=("root", "inter"): form(
    ("errorCode", 2), *[("caCertificate", value(name)) for name in cas], ("certificate", value("leaf")))

write("ssl-form-der64.txt", issued(lambda name: quote_plus(b64(name))))
write("ssl-form-pem64.txt", issued(lambda name: quote_plus(base64.b64encode(pem(name).encode()))))
write("ssl-form-pem.txt", issued(lambda name: quote_plus(pem(name))))
write("ssl-form-der64-lines.txt", issued(lambda name: quote_plus(lines(b64(name), "\r\n"))))
write("ssl-form-raw-plus.txt", issued(lambda name: b64(name).replace("/", "%2F").replace("=", "%3D")))
write("ssl-form-issuer-first.txt", issued(lambda name: quote_plus(b64(name)), ("inter", "root")))
write("ssl-form-empty-fqdn.txt", issued(lambda name: quote_plus(b64(name))) + "&fqdn=&orderNumber=123456789&certificateID=987654")
write("ssl-form-pkcs7.txt", form(("errorCode", 2), ("pkcs7", quote_plus(base64.b64encode(open("../cert/certs-only.p7b", "rb").read())))))
write("ssl-form-netscape.txt", form(("errorCode", 2), ("netscapeCertificateSequence", quote_plus(base64.b64encode(open("../cert/nseq.der", "rb").read())))))
write("ssl-form-zip.txt", form(("errorCode", 2), ("zipFile", quote_plus(base64.b64encode(open("../cert/bundle.zip", "rb").read())))))
dashes = lambda name: f"----- BEGIN CERTIFICATE -----\n{lines(b64(name))}----- END CERTIFICATE -----\n"
last = dashes("leaf").replace("----- END", "---- END")
write("ssl-lines-issued.txt",
      "2\n14/05/2013 13/05/2014\n" + dashes("root") + dashes("inter") + last + "Issued\nComplete\n1761696000 1793232000\n")
write("mc-lines-pem.txt", "2\n" + "".join(map(pem, chain)))
write("mc-bare-pem.txt", "".join(pem(name, "\r\n") for name in chain))
write("mc-binary-signed.p7b", open("../cert/signer.p7b", "rb").read())
write("mc-binary-ber.p7b", open("../cert/stream.p7b", "rb").read())
write("mc-binary-zip.zip", open("../cert/bundle.zip", "rb").read())

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body

# RFC 4210 section 5.3.4: caPubs, then one response with its certificate under [0].
certified = tlv(0x30, tlv(0xA0, der("leaf")))
response = tlv(0x30, tlv(2, b"\0"), tlv(0x30, tlv(2, b"\0")), certified)
whole = tlv(0x30, tlv(0xA1, tlv(0x30, der("root"), der("inter"))), tlv(0x30, response))
write("smime-lines-cmmf.txt", "2\n14/05/2025 13/05/2026\n" + lines(base64.b64encode(whole).decode()))
write("push-post.txt", form(("orderNumber", 123456789), ("certificateID", 987654), ("eventType", "Certificate"),
                            ("status", "Issued"), ("statusCode", 9), ("certificate", quote_plus(pem("leaf"))),
                            ("caCertificate", quote_plus(pem("inter")))))
