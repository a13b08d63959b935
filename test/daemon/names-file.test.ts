import fs from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import type { Names } from '../../src/core/names.ts'
import { keepNames } from '../../src/daemon/names-file.ts'
import { House } from '../helpers/manager.ts'
import { ScriptedDevice } from '../helpers/scripted-device.ts'
import { GOOD } from '../helpers/stuck-device.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { until } from '../helpers/wait.ts'

function keep(house: House, file = path.join(temporaryDirectory(), 'names.json')) {
  const flush = keepNames(file, house.store, house.manager, (line) => house.log.push(line))
  const read = () => JSON.parse(fs.readFileSync(file, 'utf8')) as Names
  return { file, flush, read, version: () => fs.statSync(file).ino }
}

it('the file of names is there at once, and follows what happens without being asked', async () => {
  const house = new House(() => new ScriptedDevice(GOOD))
  const connection = house.add('cucm-pub')
  const names = keep(house)
  expect(names.read()).toMatchObject({
    connections: [{ id: connection, name: 'cucm-pub', services: [] }],
    operations: [],
  })
  expect(fs.statSync(names.file).mode & 0o777).toBe(0o600)
  const [operation] = house.start(connection).operations
  await house.settled(operation?.id ?? '')
  await until('it is written', () => names.read().operations[0]?.status === 'completed')
  expect(names.read().operations).toHaveLength(1)
  expect(names.read().connections[0]?.services).toContain('Cisco Tomcat')
  expect(fs.readdirSync(path.dirname(names.file))).toEqual(['names.json'])
  names.flush()
})

it('the file of names is written at most once a second, the rest with the end, and not at all when nothing changed', () => {
  const house = new House(() => new ScriptedDevice(GOOD))
  const names = keep(house)
  const first = names.version()
  for (const name of ['a', 'b', 'c']) house.add(name, name)
  expect(names.version()).toBe(first)
  names.flush()
  expect(names.read().connections.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  house.add('d', 'd')
  names.flush()
  expect(names.read().connections).toHaveLength(4)
  const last = names.version()
  house.store.write(() => house.store.connections.pin(1, { type: 'ssh-rsa', fingerprint: 'SHA256:x' }))
  names.flush()
  expect(names.version()).toBe(last)
})

it('a file of names that cannot be written is told of once, and is written when it can be', async () => {
  const house = new House(() => new ScriptedDevice(GOOD))
  const directory = path.join(temporaryDirectory(), 'gone')
  const names = keep(house, path.join(directory, 'names.json'))
  for (const name of ['a', 'b']) {
    house.add(name, name)
    names.flush()
  }
  expect(house.log).toEqual([expect.stringMatching(/^names for completion were not written: ENOENT/)])
  expect((await house.settled(house.start(1).operations[0]?.id ?? '')).status).toBe('completed')
  fs.mkdirSync(directory)
  house.add('c', 'c')
  names.flush()
  expect(names.read().connections).toHaveLength(3)
})

it('a write that is rolled back changes no name', () => {
  const house = new House(() => new ScriptedDevice(GOOD))
  const names = keep(house)
  const add = () =>
    house.store.write(() => {
      house.store.connections.add({ name: 'a', host: 'h', username: 'u' }, 0)
      throw new TypeError('a mistake')
    })
  expect(add).toThrow('a mistake')
  names.flush()
  expect(names.read().connections).toEqual([])
})
