import type { Connection } from 'ssh2'

const disconnectMessage = 1

/** Reason codes of RFC 4253, section 11.1, that a server has use for. */
export const disconnectReasons = { protocolError: 2, tooManyConnections: 12, byApplication: 11 } as const

/**
 * SSH's own goodbye with a text. ssh2 sends only an empty one and exports nothing better, so this follows its
 * `Protocol#disconnect` (1.17) step by step; a test reads the text at the client.
 */
export function disconnect(connection: Connection, reason: number, text: string): void {
  const { _protocol: protocol } = connection as unknown as { _protocol: Protocol }
  const description = Buffer.from(text)
  const { write } = protocol._packetRW
  const packet = write.alloc(1 + 4 + 4 + description.length + 4, true)
  let at = write.allocStartKEX
  at = packet.writeUInt8(disconnectMessage, at)
  at = packet.writeUInt32BE(reason, at)
  at = packet.writeUInt32BE(description.length, at)
  at += description.copy(packet, at)
  packet.writeUInt32BE(0, at)
  protocol._cipher.encrypt(write.finalize(packet, true))
}

interface Protocol {
  readonly _packetRW: {
    readonly write: {
      readonly allocStartKEX: number
      alloc(size: number, force: boolean): Buffer
      finalize(packet: Buffer, force: boolean): Buffer
    }
  }
  readonly _cipher: { encrypt(packet: Buffer): void }
}
