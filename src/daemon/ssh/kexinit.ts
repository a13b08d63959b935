/** What a peer offers, each list in its order. Names are raw: as the peer wrote them. */
export interface KexInit {
  readonly kex: readonly string[]
  readonly serverHostKey: readonly string[]
  readonly cipherToServer: readonly string[]
  readonly cipherToClient: readonly string[]
  readonly macToServer: readonly string[]
  readonly macToClient: readonly string[]
  readonly compressToServer: readonly string[]
  readonly compressToClient: readonly string[]
}

const KEXINIT = 20
/** IGNORE, UNIMPLEMENTED and DEBUG: where the exchange is not strict they may come first. */
const MAY_PRECEDE = [2, 3, 4]
/** OpenSSH sends and takes no longer packet. */
const MAX_PACKET = 35_000
/** The type of the message and its random cookie. */
const BEFORE_LISTS = 17
const LISTS = 10

/**
 * Reads the first message of a key exchange from what follows the identification line, where all is in clear. Only to tell
 * a person what was offered: ssh2 reads the same bytes for itself, and nothing is decided by this.
 * @returns `more` while the message is not there as a whole; null when it is none
 */
export function readKexInit(bytes: Buffer): KexInit | 'more' | null {
  let at = 0
  for (;;) {
    if (at + 6 > bytes.length) return 'more'
    const length = bytes.readUInt32BE(at)
    const padding = bytes[at + 4] ?? 0
    if (length > MAX_PACKET || length < padding + 2) return null
    const type = bytes[at + 5] ?? 0
    if (type !== KEXINIT && !MAY_PRECEDE.includes(type)) return null
    const end = at + 4 + length
    if (end > bytes.length) return 'more'
    if (type === KEXINIT) return readLists(bytes.subarray(at + 5, end - padding))
    at = end
  }
}

function readLists(payload: Buffer): KexInit | null {
  const lists: string[][] = []
  let at = BEFORE_LISTS
  for (let index = 0; index < LISTS; index++) {
    if (at + 4 > payload.length) return null
    const end = at + 4 + payload.readUInt32BE(at)
    if (end > payload.length) return null
    lists.push(
      payload
        .toString('latin1', at + 4, end)
        .split(',')
        .filter((name) => name !== ''),
    )
    at = end
  }
  const [kex = [], serverHostKey = [], cipherToServer = [], cipherToClient = [], ...rest] = lists
  const [macToServer = [], macToClient = [], compressToServer = [], compressToClient = []] = rest
  return {
    kex,
    serverHostKey,
    cipherToServer,
    cipherToClient,
    macToServer,
    macToClient,
    compressToServer,
    compressToClient,
  }
}
