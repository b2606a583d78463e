import { isIP } from 'node:net';

/** 4 or 6: the family of an address or of a subnet in CIDR notation. Throws on anything else, so that it is safe in a script. */
export function familyOf(addressOrSubnet: string): 4 | 6 {
  const [address = '', bits, ...more] = addressOrSubnet.split('/');
  const family = isIP(address);
  if ((family !== 4 && family !== 6) || address.includes('%') || more.length > 0 || !/^\d{1,3}$/.test(bits ?? '0')) {
    throw new Error(`not an IP address or subnet: ${addressOrSubnet}`);
  }
  return family;
}
