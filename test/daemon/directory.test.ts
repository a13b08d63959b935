import fs from 'node:fs'
import path from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { prepareStateDirectory, statePaths } from '../../src/daemon/lifecycle.ts'
import { loadSealingKey } from '../../src/daemon/ssh/credentials.ts'
import { openDatabase } from '../../src/daemon/store/database.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

afterEach(() => void vi.restoreAllMocks())

/** Directories whose names are put on disk from now on, in order. */
function watchSyncs(): readonly string[] {
  const synced: string[] = []
  vi.spyOn(fs, 'fsyncSync').mockImplementation((descriptor) => {
    synced.push(fs.readlinkSync(`/proc/self/fd/${descriptor}`))
  })
  return synced
}

it('lost a new state directory with all its acknowledged work, because nobody had synced the directories above', () => {
  const home = temporaryDirectory()
  // The client makes it for its log before it starts a daemon.
  fs.mkdirSync(path.join(home, 'state', 'vosctl'), { recursive: true, mode: 0o700 })
  const synced = watchSyncs()
  prepareStateDirectory(statePaths(path.join(home, 'state', 'vosctl')))
  expect(synced.slice(0, 2)).toEqual([path.join(home, 'state'), home])
})

it('takes a directory above that it may not read for the matter of the system', () => {
  vi.spyOn(fs, 'fsyncSync').mockImplementation(() => {
    throw Object.assign(new Error('EACCES'), { code: 'EACCES' })
  })
  const directory = path.join(temporaryDirectory(), 'state')
  prepareStateDirectory(statePaths(directory))
  expect(fs.existsSync(directory)).toBe(true)
})

it('lost the sealing key of a daemon that was killed before it had synced its name, and every password with it', async () => {
  const directory = temporaryDirectory()
  const file = path.join(directory, 'key')
  await loadSealingKey(file)
  const synced = watchSyncs()
  await loadSealingKey(file)
  expect(synced).toContain(directory)
})

it('refused to start for ever: a new journal had got its name on disk, and the database of a killed daemon had not', () => {
  const directory = temporaryDirectory()
  const file = path.join(directory, 'vosctl.db')
  openDatabase(file).close()
  const journals: boolean[] = []
  vi.spyOn(fs, 'fsyncSync').mockImplementation(() => void journals.push(fs.existsSync(`${file}-wal`)))
  openDatabase(file).close()
  // Before there is a journal, and once more for its own name.
  expect(journals).toEqual([false, true])
})

it('refused a journal as damaged: a commit that a kill had left unsynced was torn, and what the next start wrote was not', () => {
  const directory = temporaryDirectory()
  const file = path.join(directory, 'vosctl.db')
  const killed = openDatabase(file)
  fs.cpSync(directory, `${directory}-left`, { recursive: true })
  killed.close()
  const synced = watchSyncs()
  const left = path.join(`${directory}-left`, 'vosctl.db')
  try {
    openDatabase(left).close()
    expect(synced).toEqual([`${left}-wal`, `${directory}-left`, `${directory}-left`])
  } finally {
    fs.rmSync(`${directory}-left`, { recursive: true })
  }
})
