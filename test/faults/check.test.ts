import fs from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { expect, it } from 'vitest'
import { lived } from '../helpers/journal.ts'
import { checkSoFar } from './check.ts'

it('the judge of the rigs sees a row that somebody has touched, and a password in another form', async () => {
  const { file, store } = lived()
  store.close()
  const directories = [path.dirname(file)]
  const look = () => checkSoFar(file, { devices: [], acknowledged: [], secrets: ['correct horse'], directories })
  expect(await look()).toEqual([])
  const note = path.join(path.dirname(file), 'note')
  fs.writeFileSync(note, Buffer.from('password: correct horse\n').toString('base64'))
  const db = new Database(file)
  db.exec('UPDATE operation_events SET at = at + 1 WHERE cursor = (SELECT max(cursor) FROM operation_events)')
  db.close()
  expect(await look()).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^14: \d+ in operation_events /),
      expect.stringMatching(new RegExp(`^8: a password, base64.*: ${note} at `)),
    ]),
  )
})
