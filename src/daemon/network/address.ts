import { isIPv4, isIPv6 } from 'node:net'

/** Where to listen: an address and never a name, which may lead anywhere. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:8443` or `[::1]:8443`; null for anything else. Port 0 is any that is free. */
export function parseAddress(text: string): Address | null {
  const [, v6, v4, digits = ''] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(0|[1-9]\d{0,4})$/i.exec(text) ?? []
  const host = v6 ?? v4 ?? ''
  const port = Number(digits)
  // An IPv4 address in the clothes of IPv6 is one that somebody takes for another.
  if (!(v4 === undefined ? isIPv6(host) && !/\./.test(host) && !/^(0*:)+ffff:/i.test(host) : isIPv4(host))) return null
  return port <= 65_535 ? { host, port } : null
}

/** Only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === '127.0.0.1' || host === '::1'
}

/** As it stands in a URL and in a Host header. */
export function toHostPort({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
