import { X509Certificate } from 'node:crypto';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates in a text, each PEM with a line break at its end. */
export function pemCertificates(bundle: string): string[] {
  return (bundle.match(PEM_CERTIFICATE) ?? []).map((pem) => `${pem}\n`);
}

/** One text of certificates, each once, in order. */
export function pemBundle(...bundles: readonly string[]): string {
  const seen = new Map<string, string>();
  for (const pem of bundles.flatMap(pemCertificates)) seen.set(digestOf(pem), pem);
  return [...seen.values()].join('');
}

/** SHA-256 of a certificate (DER), lower-case hex. @throws the error of X509Certificate for what is none */
export function digestOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
}

/** Whether an authority of the bundle issued a certificate. @throws the error of X509Certificate when something in the bundle is none */
export function issuerIn(bundle: string, certificate: X509Certificate): boolean {
  return pemCertificates(bundle)
    .map((pem) => new X509Certificate(pem))
    .some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
}

/** A serial number as lists have it: lower-case hex without leading zeros. */
export function serialOf({ serialNumber }: { readonly serialNumber: string }): string {
  return serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
}
