import { randomBytes } from "node:crypto";
import { isIP, isIPv4 } from "node:net";

/** Browsers refuse certificates that are valid for more than 398 days. */
const validDays = 397;
const dayMs = 86_400_000;
/** The kinds of alternative names. RFC 5280, section 4.2.1.6. */
const [dnsName, ipAddress] = [2, 7] as const;

/** Returns a key and a certificate that it has signed for itself, in PEM. */
export async function makeCertificate(names: readonly string[], days = validDays): Promise<string> {
  // Only those who ask for such a certificate have these loaded.
  const [asn1, pki] = await Promise.all([import("asn1js"), import("pkijs")]);
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const certificate = new pki.Certificate();
  // Version 3, which has extensions, is the number 2. RFC 5280, section 4.1.2.1.
  certificate.version = 2;
  // A positive number of 16 bytes: its first bits are 01.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  certificate.serialNumber = new asn1.Integer({ valueHex: bufferOf(serial) });
  // A program that trusts several certificates looks one up by this name, and takes the first that it finds.
  const name = `browser-stream-server development ${serial.toString("hex", 0, 4)}`;
  for (const { typesAndValues } of [certificate.issuer, certificate.subject]) {
    const value = new asn1.Utf8String({ value: name });
    typesAndValues.push(new pki.AttributeTypeAndValue({ type: "2.5.4.3", value }));
  }
  // The clock of another machine may be behind.
  certificate.notBefore.value = new Date(Date.now() - dayMs);
  certificate.notAfter.value = new Date(Date.now() + (days - 1) * dayMs);
  const altNames = names.map((name) =>
    isIP(name) === 0
      ? new pki.GeneralName({ type: dnsName, value: name })
      : new pki.GeneralName({
          type: ipAddress,
          value: new asn1.OctetString({ valueHex: bufferOf(addressBytes(name)) }),
        }),
  );
  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }) =>
    new pki.Extension({ extnID, critical, extnValue: value.toBER() });
  certificate.extensions = [
    extension("2.5.29.17", false, new pki.GeneralNames({ names: altNames }).toSchema()),
    // A machine that trusts this certificate trusts no other that its key may sign.
    extension("2.5.29.19", true, new pki.BasicConstraints({ cA: false }).toSchema()),
    extension("2.5.29.37", false, new pki.ExtKeyUsage({ keyPurposes: ["1.3.6.1.5.5.7.3.1"] }).toSchema()),
  ];
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  await certificate.sign(keys.privateKey, "SHA-256");
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return pem("CERTIFICATE", certificate.toSchema(true).toBER()) + pem("PRIVATE KEY", key);
}

/** An address of IPv6 as most programs write it. */
export function compressedAddress(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  const [head = "", tail] = compressedAddress(address).split("::");
  const groupsOf = (text = "") => (text === "" ? [] : text.split(":"));
  const [first, last] = [groupsOf(head), groupsOf(tail)];
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  const groups = [...first, ...zeros, ...last].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
