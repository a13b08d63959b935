import { addConnection } from '../../helpers/quick-house.ts'
import type { Rig } from '../../helpers/rig.ts'
import { playServer, type Play, type PlayedServer } from '../../helpers/ssh-server.ts'

export interface Planting {
  readonly rig: Rig
  /** For files that a person writes, secret and all: the hunt does not look here. */
  readonly outside: string
  readonly atEnd: (end: () => void | Promise<void>) => void
}

/** Of a secret that is made only when it is planted. */
export interface LatePlanter {
  readonly name: string
  /** What it wants to have in `config.yaml`. */
  readonly settings?: (planting: Planting) => string
  /** Puts it where it belongs, and lets it go wrong there in every way that there is. */
  plant(planting: Planting): Promise<void>
}

/**
 * A secret that nobody else has, and everything that people and devices do with such a one. Whoever brings a new kind of
 * secret into the house brings its planter: the hunt then looks for it wherever the house writes.
 */
export interface Planter extends LatePlanter {
  readonly secret: string
}

/** A connection to a server that the test plays. */
export async function connect(planting: Planting, name: string, play: Play, input: object = {}): Promise<PlayedServer> {
  const server = await playServer(play)
  planting.atEnd(() => server.close())
  await addConnection(planting.rig, name, server, input)
  return server
}
